import { describe, expect, test } from "@jest/globals";
import { type CgroupProbe, parseCgroupMounts, parseMemberships, readCgroupFacts } from "./cgroup-facts.ts";

const V1 = 0x27e0eb;
const V2 = 0x63677270;

/** A host by its mounts: path → [magic, inode]. `read` fails for a file that the test did not expect to be read. */
function host(
  mounts: Readonly<Record<string, readonly [magic: number, inode: number]>>,
  files: Readonly<Record<string, string>>,
): CgroupProbe {
  return {
    magic: (path) => mounts[path]?.[0],
    inode: (path) => mounts[path]?.[1] ?? 0,
    writable: () => true,
    read(path) {
      const text = files[path];
      if (text === undefined) throw new Error(`${path} was read`);
      return text;
    },
  };
}
const brief = (probe: CgroupProbe): string[] => {
  const { mode, hierarchies } = readCgroupFacts(probe);
  return [
    mode,
    ...hierarchies.map((each) => `v${each.version} ${each.mountPoint} ${each.controllers.join(",")} ${each.own}`),
  ];
};

describe("readCgroupFacts", () => {
  test("v2 without mountinfo", () => {
    const files = {
      "/proc/self/cgroup": "0::/user.slice/user-0.slice/session-1.scope\n",
      "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
    };
    expect(brief(host({ "/sys/fs/cgroup": [V2, 1] }, files))).toEqual([
      "v2",
      "v2 /sys/fs/cgroup cpuset,cpu,io,memory,hugetlb,pids,rdma,misc /user.slice/user-0.slice/session-1.scope",
    ]);
  });

  test("hybrid with co-mounted and named hierarchies, without mountinfo", () => {
    const files = {
      "/proc/self/cgroup":
        "12:pids:/user.slice\n8:cpu,cpuacct:/user.slice\n3:net_cls,net_prio:/\n1:name=systemd:/user.slice/a:b\n0::/user.slice/a:b\n",
      "/sys/fs/cgroup/unified/cgroup.controllers": "\n",
    };
    const mounts = {
      "/sys/fs/cgroup": [0x01021994, 1],
      "/sys/fs/cgroup/pids": [V1, 1],
      "/sys/fs/cgroup/cpu,cpuacct": [V1, 1],
      "/sys/fs/cgroup/net_cls,net_prio": [V1, 1],
      "/sys/fs/cgroup/systemd": [V1, 1],
      "/sys/fs/cgroup/unified": [V2, 1],
    } as const;
    expect(brief(host(mounts, files))).toEqual([
      "hybrid",
      "v1 /sys/fs/cgroup/pids pids /user.slice",
      "v1 /sys/fs/cgroup/cpu,cpuacct cpu,cpuacct /user.slice",
      "v1 /sys/fs/cgroup/net_cls,net_prio net_cls,net_prio /",
      "v1 /sys/fs/cgroup/systemd name=systemd /user.slice/a:b",
      "v2 /sys/fs/cgroup/unified  /user.slice/a:b",
    ]);
  });

  test("v1 elsewhere is found by mountinfo, a covered or unmounted one is not", () => {
    const files = {
      "/proc/self/cgroup": "5:freezer:/a\n4:memory:/a\n2:misc:/a\n0::/\n",
      "/proc/self/mountinfo": [
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755",
        "35 31 0:32 / /dev/cg\\040roups/memory rw,relatime shared:5 - cgroup cgroup rw,memory",
        "36 31 0:33 / /covered rw - cgroup cgroup rw,freezer",
      ].join("\n"),
    };
    const mounts = { "/dev/cg roups/memory": [V1, 1], "/covered": [0x01021994, 2] } as const;
    expect(brief(host(mounts, files))).toEqual(["v1", "v1 /dev/cg roups/memory memory /a"]);
  });

  test("in a container without a cgroup namespace paths are taken relative to what is mounted", () => {
    const files = {
      "/proc/self/cgroup": "4:memory:/docker/abc/inner\n2:cpu:/docker/abc\n3:pids:/elsewhere\n0::/\n",
      "/proc/self/mountinfo": [
        "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
        "36 31 0:33 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu",
        "37 31 0:34 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids",
      ].join("\n"),
    };
    const mounts = {
      "/sys/fs/cgroup/memory": [V1, 77],
      "/sys/fs/cgroup/cpu": [V1, 78],
      "/sys/fs/cgroup/pids": [V1, 79],
    } as const;
    expect(brief(host(mounts, files))).toEqual([
      "v1",
      "v1 /sys/fs/cgroup/memory memory /inner",
      "v1 /sys/fs/cgroup/cpu cpu /",
      "v1 /sys/fs/cgroup/pids pids /",
    ]);
  });

  test("in a cgroup namespace with a mount of its own paths stay as they are", () => {
    const files = {
      "/proc/self/cgroup": "0::/init\n",
      "/proc/self/mountinfo": "35 31 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
      "/sys/fs/cgroup/cgroup.controllers": "memory pids\n",
    };
    expect(brief(host({ "/sys/fs/cgroup": [V2, 4711] }, files))).toEqual(["v2", "v2 /sys/fs/cgroup memory,pids /init"]);
  });

  test("a process outside its cgroup namespace's root never gives a path with ..", () => {
    const files = { "/proc/self/cgroup": "0::/../other\n", "/sys/fs/cgroup/cgroup.controllers": "" };
    expect(brief(host({ "/sys/fs/cgroup": [V2, 4711] }, files))).toEqual(["v2", "v2 /sys/fs/cgroup  /"]);
  });

  test("nothing mounted", () => {
    expect(brief(host({}, { "/proc/self/cgroup": "0::/\n" }))).toEqual(["none"]);
  });
});

test("parseMemberships keeps colons in paths and drops the mark of a removed cgroup", () => {
  expect(parseMemberships("7:cpu,cpuacct:/a:b:c\n0::/gone (deleted)\n")).toEqual([
    { controllers: ["cpu", "cpuacct"], path: "/a:b:c" },
    { controllers: [], path: "/gone" },
  ]);
});

test("parseCgroupMounts takes optional fields and skips other file systems", () => {
  expect(
    parseCgroupMounts(
      "26 23 0:24 / /sys rw shared:7 master:1 - sysfs sysfs rw\n41 31 0:38 /x /sys/fs/cgroup rw,nosuid shared:4 master:9 - cgroup2 cgroup2 rw,nsdelegate\n",
    ),
  ).toEqual([{ root: "/x", point: "/sys/fs/cgroup", type: "cgroup2", options: ["rw", "nsdelegate"] }]);
});
