import { describe, expect, test } from "@jest/globals";
import type { Config, Linux, Resources } from "../../spec-schemas/config.ts";
import type { AbsPath, ContainerId } from "../core/brands.ts";
import type { CgroupFacts, Hierarchy, HostFacts } from "../host/facts.ts";
import { renderPlan } from "../plan/render.ts";
import { compileCgroups } from "./cgroups.ts";
import { cpuWeight, ioWeight } from "./resources-v2.ts";

const hierarchy = (version: 1 | 2, name: string, controllers: string[], own = "/", writable = true): Hierarchy => ({
  version,
  mountPoint: `/sys/fs/cgroup${name === "" ? "" : "/"}${name}` as AbsPath,
  controllers,
  own,
  writable,
});
const v1Hierarchies = [
  hierarchy(1, "systemd", ["name=systemd"], "/init.scope"),
  hierarchy(1, "cpu,cpuacct", ["cpu", "cpuacct"]),
  hierarchy(1, "cpuset", ["cpuset"]),
  hierarchy(1, "memory", ["memory"], "/user.slice"),
  hierarchy(1, "devices", ["devices"]),
  hierarchy(1, "freezer", ["freezer"]),
  hierarchy(1, "blkio", ["blkio"]),
  hierarchy(1, "pids", ["pids"]),
  hierarchy(1, "hugetlb", ["hugetlb"]),
  hierarchy(1, "net_cls,net_prio", ["net_cls", "net_prio"]),
  hierarchy(1, "rdma", ["rdma"]),
];
const v1: CgroupFacts = { mode: "v1", hierarchies: v1Hierarchies };
const hybrid: CgroupFacts = {
  mode: "hybrid",
  hierarchies: [
    ...v1Hierarchies.filter(({ mountPoint }) => !mountPoint.endsWith("hugetlb")),
    hierarchy(2, "unified", ["hugetlb"], "/user.slice/session"),
  ],
};
const v2: CgroupFacts = {
  mode: "v2",
  hierarchies: [
    hierarchy(2, "", ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"], "/user.slice/session-1.scope"),
  ],
};

function compile(cgroup: CgroupFacts, linux: Linux, facts: Partial<HostFacts> = {}, more: Partial<Config> = {}) {
  return compileCgroups({
    id: "web" as ContainerId,
    config: { ociVersion: "1.3.0", linux, ...more } as Config,
    facts: { cgroup, uid: 0, inUserNamespace: false, ...facts } as HostFacts,
  });
}
/** The steps as `tsrun plan` prints them, without their place in the list and the rules of a device program. */
function lines(steps: ReturnType<typeof compile>["before"]): string[] {
  return renderPlan({ title: "", host: steps, container: [] })
    .trimEnd()
    .split("\n")
    .slice(1)
    .filter((line) => !line.startsWith(" "))
    .map((line) => line.replace(/^host +\d+ /, "").replace(/ +/g, " "));
}
/** Only the writes, as file = value; those with alternatives as file|file = value|value. */
function writes(cgroup: CgroupFacts, resources: Resources): string[] {
  const { before, join } = compile(cgroup, { cgroupsPath: "/a", resources });
  return [...before, ...join].flatMap((step) => {
    if (step.kind === "cgroup.write") return step.file.startsWith("devices.") ? [] : [`${step.file} = ${step.value}`];
    if (step.kind !== "cgroup.writeFirst") return [];
    return [`${step.files.join("|")} = ${step.values.join("|")}${step.missing ? " (if there)" : ""}`];
  });
}

describe("the whole of it", () => {
  const linux: Linux = { cgroupsPath: "/pods/web", resources: { memory: { limit: 1000 }, pids: { limit: 0 } } };

  test("v1: made, limited, entered; pids after the process is there", () => {
    const { before, join, spawnSlot, places } = compile(
      {
        mode: "v1",
        hierarchies: v1Hierarchies.filter(({ controllers }) => /mem|dev|pids|set/.test(controllers.join())),
      },
      linux,
    );
    expect(spawnSlot).toBeNull();
    expect(lines(before)).toEqual([
      "cgroup.create hierarchy=/sys/fs/cgroup/cpuset path=/pods/web cpuset",
      "cgroup.create hierarchy=/sys/fs/cgroup/memory path=/pods/web",
      "cgroup.create hierarchy=/sys/fs/cgroup/devices path=/pods/web",
      "cgroup.create hierarchy=/sys/fs/cgroup/pids path=/pods/web",
      "cgroup.write /sys/fs/cgroup/memory/pods/web memory.limit_in_bytes = 1000",
      "cgroup.write /sys/fs/cgroup/devices/pods/web devices.deny = a",
      ...[
        "c *:* m",
        "b *:* m",
        "c 1:3 rwm",
        "c 1:8 rwm",
        "c 1:7 rwm",
        "c 5:0 rwm",
        "c 1:5 rwm",
        "c 1:9 rwm",
        "c 136:* rwm",
        "c 5:2 rwm",
      ].map((value) => `cgroup.write /sys/fs/cgroup/devices/pods/web devices.allow = "${value}"`),
      "cgroup.enter hierarchy=/sys/fs/cgroup/cpuset path=/pods/web",
      "cgroup.enter hierarchy=/sys/fs/cgroup/memory path=/pods/web",
      "cgroup.enter hierarchy=/sys/fs/cgroup/devices path=/pods/web",
      "cgroup.enter hierarchy=/sys/fs/cgroup/pids path=/pods/web",
    ]);
    expect(lines(join)).toEqual(["cgroup.write /sys/fs/cgroup/pids/pods/web pids.max = 0"]);
    expect(places[1]).toEqual({
      hierarchy: "/sys/fs/cgroup/memory",
      path: "/pods/web",
      version: 1,
      controllers: ["memory"],
      created: true,
    });
  });

  test("hybrid: each controller where it is, born into both versions, v2 controllers only where needed", () => {
    const limits: Resources = { memory: { limit: 1000 }, hugepageLimits: [{ pageSize: "2MB", limit: 4096 }] };
    const { before, spawnSlot, places } = compile(hybrid, { cgroupsPath: "/a", resources: limits });
    expect(spawnSlot).toBe("cgroup");
    expect(places).toHaveLength(hybrid.hierarchies.length);
    const text = lines(before);
    expect(text).toContain(
      'cgroup.create hierarchy=/sys/fs/cgroup/unified path=/a controllers=["hugetlb"] needed=["hugetlb"]',
    );
    expect(text).toContain("cgroup.write /sys/fs/cgroup/memory/a memory.limit_in_bytes = 1000");
    expect(text).toContain("cgroup.write /sys/fs/cgroup/unified/a hugetlb.2MB.max = 4096");
    expect(text).toContain("cgroup.enter hierarchy=/sys/fs/cgroup/memory path=/a");
    expect(text.at(-1)).toBe("cgroup.open hierarchy=/sys/fs/cgroup/unified path=/a slot=<cgroup>");
    expect(lines(compile(hybrid, { cgroupsPath: "/a" }).before)).toContain(
      "cgroup.create hierarchy=/sys/fs/cgroup/unified path=/a",
    );
  });

  test("v2: one cgroup with all controllers, devices by program, cloned into", () => {
    const { before, join, spawnSlot } = compile(v2, linux);
    expect(spawnSlot).toBe("cgroup");
    const text = lines(before);
    expect(text).toEqual([
      'cgroup.create hierarchy=/sys/fs/cgroup path=/pods/web controllers=["cpuset","cpu","io","memory","hugetlb","pids","rdma"] needed=["memory","pids"]',
      "cgroup.write /sys/fs/cgroup/pods/web memory.max = 1000",
      "cgroup.devices hierarchy=/sys/fs/cgroup path=/pods/web rules=10",
      "cgroup.open hierarchy=/sys/fs/cgroup path=/pods/web slot=<cgroup>",
    ]);
    expect(lines(join)).toEqual(["cgroup.write /sys/fs/cgroup/pods/web pids.max = 0"]);
  });

  test("sockets are tagged only by a cgroup that the container joins afterwards", () => {
    const { before, join } = compile(v1, { cgroupsPath: "/a", resources: { network: { classID: 7 } } });
    expect(lines(before)).not.toContain("cgroup.enter hierarchy=/sys/fs/cgroup/net_cls,net_prio path=/a");
    expect(lines(join)).toEqual(["cgroup.join hierarchy=/sys/fs/cgroup/net_cls,net_prio path=/a"]);
  });

  test("device rules wait for the mount of a block device", () => {
    const more = { mounts: [{ destination: "/data", type: "ext4", source: "/dev/loop0" }] };
    const { before, afterMounts } = compile(v2, { cgroupsPath: "/a" }, {}, more);
    expect(before.some(({ kind }) => kind === "cgroup.devices")).toBe(false);
    expect(afterMounts.map(({ kind }) => kind)).toEqual(["cgroup.devices"]);
    const bind = { mounts: [{ destination: "/data", source: "/dev/shm", options: ["rbind"] }] };
    expect(compile(v2, { cgroupsPath: "/a" }, {}, bind).afterMounts).toEqual([]);
  });
});

describe("cgroupsPath", () => {
  const paths = (cgroup: CgroupFacts, cgroupsPath?: string): string[] =>
    compile(cgroup, cgroupsPath === undefined ? {} : { cgroupsPath }).places.map(({ path }) => path);
  const two: CgroupFacts = {
    mode: "hybrid",
    hierarchies: [hierarchy(1, "devices", ["devices"], "/own/sub"), hierarchy(2, "unified", [], "/own/sub")],
  };
  test.each([
    [undefined, ["/own/sub/web", "/own/web"]],
    ["", ["/own/sub/web", "/own/web"]],
    ["x/y", ["/own/sub/x/y", "/own/x/y"]],
    ["/x//y/.", ["/x/y", "/x/y"]],
    ["system.slice:tsrun:web", ["/own/sub/system.slice:tsrun:web", "/own/system.slice:tsrun:web"]],
  ])("%j", (cgroupsPath, expected) => expect(paths(two, cgroupsPath)).toEqual(expected));
  test.each(["/", "/..", "a/../b", "."])("%j is refused", (cgroupsPath) => {
    expect(() => paths(two, cgroupsPath)).toThrow("/linux/cgroupsPath");
  });
});

describe("memory", () => {
  test("v1: limit and swap in the order that the kernel accepts", () => {
    expect(
      writes(v1, { memory: { limit: 100, swap: 200, reservation: 50, swappiness: 0, disableOOMKiller: true } }),
    ).toEqual([
      "memory.limit_in_bytes = 100",
      "memory.memsw.limit_in_bytes = 200",
      "memory.soft_limit_in_bytes = 50",
      "memory.swappiness = 0",
      "memory.oom_control = 1",
    ]);
    expect(writes(v1, { memory: { limit: 100, swap: -1 } })).toEqual([
      "memory.memsw.limit_in_bytes = -1",
      "memory.limit_in_bytes = 100",
    ]);
    expect(writes(v1, { memory: { limit: -1 } })).toEqual([
      "memory.memsw.limit_in_bytes = -1 (if there)",
      "memory.limit_in_bytes = -1",
    ]);
  });
  test("v2: swap is what is left of memory and swap", () => {
    expect(writes(v2, { memory: { limit: 100, swap: 250, reservation: 50, kernel: -1, useHierarchy: true } })).toEqual([
      "memory.swap.max = 150",
      "memory.max = 100",
      "memory.low = 50",
    ]);
    expect(writes(v2, { memory: { limit: 100, swap: 100 } })[0]).toBe("memory.swap.max = 0 (if there)");
    expect(writes(v2, { memory: { limit: -1 } })).toEqual(["memory.swap.max = max (if there)", "memory.max = max"]);
    expect(writes(v2, { memory: { limit: 2n ** 62n, swap: 2n ** 62n + 1n } })[0]).toBe("memory.swap.max = 1");
  });
  test("0 asks for nothing", () => {
    for (const cgroup of [v1, v2]) {
      expect(
        writes(cgroup, { memory: { limit: 0, swap: 0, reservation: 0 }, cpu: { shares: 0, quota: 0, period: 0 } }),
      ).toEqual([]);
    }
  });
  test.each([v1, v2])("swap without a limit of memory, or below it, is refused", (cgroup) => {
    expect(() => writes(cgroup, { memory: { swap: 100 } })).toThrow("/linux/resources/memory/swap");
    expect(() => writes(cgroup, { memory: { limit: -1, swap: 100 } })).toThrow("/linux/resources/memory/swap");
    expect(() => writes(cgroup, { memory: { limit: 200, swap: 100 } })).toThrow("/linux/resources/memory/swap");
  });
  test.each([
    ["kernel", { kernel: 1000 }],
    ["kernelTCP", { kernelTCP: 1000 }],
    ["swappiness", { swappiness: 10 }],
    ["disableOOMKiller", { disableOOMKiller: true }],
    ["useHierarchy", { useHierarchy: false }],
  ])("v2 refuses %s", (name, memory) => {
    expect(() => writes(v2, { memory })).toThrow(`/linux/resources/memory/${name}`);
  });
});

describe("cpu", () => {
  const cpu = { shares: 1024, quota: 50_000, period: 100_000, burst: 1000, cpus: "0-1", mems: "0", idle: 0 };
  test("v1", () => {
    expect(writes(v1, { cpu: { ...cpu, realtimePeriod: 1_000_000, realtimeRuntime: 950_000 } })).toEqual([
      "cpu.idle = 0",
      "cpu.shares = 1024",
      "cpu.cfs_period_us = 100000",
      "cpu.cfs_quota_us = 50000",
      "cpu.cfs_burst_us = 1000",
      "cpu.rt_period_us = 1000000",
      "cpu.rt_runtime_us = 950000",
      "cpuset.cpus = 0-1",
      "cpuset.mems = 0",
    ]);
  });
  test("v2", () => {
    expect(writes(v2, { cpu })).toEqual([
      "cpu.idle = 0",
      "cpu.weight = 100",
      "cpu.max = 50000 100000",
      "cpu.max.burst = 1000",
      "cpuset.cpus = 0-1",
      "cpuset.mems = 0",
    ]);
    expect(writes(v2, { cpu: { period: 5000 } })).toEqual(["cpu.max = max 5000"]);
    expect(writes(v2, { cpu: { quota: -1 } })).toEqual(["cpu.max = max 100000"]);
    expect(() => writes(v2, { cpu: { realtimeRuntime: 1 } })).toThrow("/linux/resources/cpu/realtimeRuntime");
  });
  test("shares become weights: least, default and most stay themselves, more stays more", () => {
    expect([0, 2, 1024, 262_144, 2n ** 60n].map(cpuWeight)).toEqual([1, 1, 100, 10_000, 10_000]);
    const weights = Array.from({ length: 1000 }, (_, i) => cpuWeight(2 + i * 262));
    expect(weights).toEqual(weights.toSorted((a, b) => a - b));
  });
});

describe("block input and output", () => {
  const blockIO = {
    weight: 500,
    weightDevice: [{ major: 8, minor: 0, weight: 300 }],
    throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }],
    throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 0 }],
    throttleReadIOPSDevice: [{ major: 8, minor: 16, rate: 3 }],
    throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 4 }],
  };
  test("v1", () => {
    expect(writes(v1, { blockIO: { ...blockIO, leafWeight: 20 } })).toEqual([
      "blkio.bfq.weight|blkio.weight = 500|500",
      "blkio.leaf_weight = 20",
      "blkio.bfq.weight_device|blkio.weight_device = 8:0 300|8:0 300",
      "blkio.throttle.read_bps_device = 8:0 600",
      "blkio.throttle.write_bps_device = 8:0 0",
      "blkio.throttle.read_iops_device = 8:16 3",
      "blkio.throttle.write_iops_device = 8:16 4",
    ]);
  });
  test("v2", () => {
    expect(writes(v2, { blockIO })).toEqual([
      "io.bfq.weight|io.weight = 500|4950",
      "io.bfq.weight|io.weight = 8:0 300|8:0 2930",
      "io.max = 8:0 rbps=600",
      "io.max = 8:0 wbps=max",
      "io.max = 8:16 riops=3",
      "io.max = 8:16 wiops=4",
    ]);
    expect(() => writes(v2, { blockIO: { leafWeight: 20 } })).toThrow("/linux/resources/blockIO/leafWeight");
    expect([10, 1000].map(ioWeight)).toEqual([1, 10_000]);
  });
});

test("hugetlb, network, rdma", () => {
  const resources: Resources = {
    hugepageLimits: [{ pageSize: "2MB", limit: 2n ** 60n }],
    rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10 }, rxe3: { hcaObjects: 5 } },
  };
  const rdma = ["rdma.max = mlx5_1 hca_handle=3 hca_object=10", "rdma.max = rxe3 hca_object=5"];
  expect(writes(v1, { ...resources, network: { classID: 1, priorities: [{ name: "eth0", priority: 5 }] } })).toEqual([
    "hugetlb.2MB.limit_in_bytes = 1152921504606846976",
    "hugetlb.2MB.rsvd.limit_in_bytes = 1152921504606846976 (if there)",
    "net_cls.classid = 1",
    "net_prio.ifpriomap = eth0 5",
    ...rdma,
  ]);
  expect(writes(v2, resources)).toEqual([
    "hugetlb.2MB.max = 1152921504606846976",
    "hugetlb.2MB.rsvd.max = 1152921504606846976 (if there)",
    ...rdma,
  ]);
  expect(() => writes(v2, { network: { classID: 1 } })).toThrow("/linux/resources/network/classID");
});

describe("pids", () => {
  test.each([
    [0, "0"],
    [-1, "max"],
    [5, "5"],
  ])("%d", (limit, value) => {
    for (const cgroup of [v1, hybrid, v2]) expect(writes(cgroup, { pids: { limit } })).toEqual([`pids.max = ${value}`]);
  });
  test("nothing asked for", () => expect(writes(v2, { pids: {} })).toEqual([]));
});

describe("unified", () => {
  test("any file whose controller is there; pids after the process", () => {
    const unified = {
      "memory.high": "100",
      "pids.max": "3",
      "io.max": "8:0 rbps=1\n8:16 rbps=2",
      "cgroup.max.depth": "3",
    };
    expect(writes(v2, { unified })).toEqual([
      "memory.high = 100",
      "io.max = 8:0 rbps=1\n8:16 rbps=2",
      "cgroup.max.depth = 3",
      "pids.max = 3",
    ]);
    expect(writes(hybrid, { unified: { "hugetlb.2MB.max": "0" } })).toEqual(["hugetlb.2MB.max = 0"]);
  });
  test.each([
    [v1, "memory.high", "/linux/resources/unified"],
    [hybrid, "memory.high", "controller memory is not available"],
    [v2, "misc.max", "/linux/resources/unified/misc.max"],
    [v2, "../x.y", "/linux/resources/unified/..~1x.y"],
    [v2, "cgroup.freeze", "acts on processes"],
    [v2, "cgroup.procs", "acts on processes"],
  ])("refused: %#", (cgroup, file, message) => {
    expect(() => writes(cgroup, { unified: { [file]: "1" } })).toThrow(message);
  });
});

describe("what is not there", () => {
  const bare: CgroupFacts = {
    mode: "hybrid",
    hierarchies: [hierarchy(1, "devices", ["devices"]), hierarchy(2, "unified", [])],
  };
  test.each<[string, Resources]>([
    ["memory", { memory: { limit: 1000 } }],
    ["cpu", { cpu: { shares: 2 } }],
    ["cpuset", { cpu: { cpus: "0" } }],
    ["pids", { pids: { limit: 1 } }],
    ["blkio", { blockIO: { weight: 10 } }],
    ["hugetlb", { hugepageLimits: [{ pageSize: "2MB", limit: 0 }] }],
    ["net_cls", { network: { classID: 1 } }],
    ["net_prio", { network: { priorities: [{ name: "lo", priority: 1 }] } }],
    ["rdma", { rdma: { a: { hcaHandles: 1 } } }],
  ])("%s is named", (controller, resources) => {
    expect(() => writes(bare, resources)).toThrow(new RegExp(`controller ${controller} is not available`));
    expect(writes(bare, {})).toEqual([]);
  });
  test("no way to control devices, no cgroups at all", () => {
    const noDevices: CgroupFacts = { mode: "v1", hierarchies: [hierarchy(1, "memory", ["memory"])] };
    expect(() => compile(noDevices, {})).toThrow("/linux/resources/devices");
    expect(() => compile({ mode: "none", hierarchies: [] }, {})).toThrow(/no cgroup file system/);
  });
});

describe("without the host's root", () => {
  const closed: CgroupFacts = { mode: "v2", hierarchies: [hierarchy(2, "", ["memory"], "/session", false)] };
  test.each<Partial<HostFacts>>([{ uid: 1000 }, { inUserNamespace: true }])(
    "%j: no cgroup, if none is asked for",
    (facts) => {
      const { before, spawnSlot, places, warnings } = compile(closed, {}, facts);
      expect([before, spawnSlot, places]).toEqual([[], null, []]);
      expect(warnings).toEqual([expect.stringContaining("/sys/fs/cgroup")]);
      expect(() => compile(closed, { resources: { memory: { limit: 1 } } }, facts)).toThrow(/controller memory/);
      expect(lines(compile(closed, { cgroupsPath: "/a" }, facts).before)).toHaveLength(2);
    },
  );
  test("a delegated place is used, without device rules", () => {
    const { before, warnings } = compile(v2, { resources: { devices: [{ allow: false }] } }, { uid: 1000 });
    expect(before.map(({ kind }) => kind)).toEqual(["cgroup.create", "cgroup.open"]);
    expect(warnings).toEqual([expect.stringContaining("/linux/resources/devices")]);
  });
});

describe("ownership", () => {
  const mounts = [{ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["rw"] }];
  const linux: Linux = {
    cgroupsPath: "/a",
    namespaces: [{ type: "cgroup" }, { type: "user" }],
    uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
  };
  const process = { cwd: "/", user: { uid: 33, gid: 0 } };
  const delegated = (cgroup: CgroupFacts, of: Linux, more: object) =>
    lines(compile(cgroup, of, {}, { process, mounts, ...more } as Partial<Config>).before).filter((line) =>
      line.startsWith("cgroup.delegate"),
    );
  test("the mapped user gets a cgroup that it can see and write", () => {
    expect(delegated(v2, linux, {})).toEqual(["cgroup.delegate hierarchy=/sys/fs/cgroup path=/a uid=100033"]);
    expect(delegated(v2, { cgroupsPath: "/a", namespaces: [{ type: "cgroup" }] }, {})).toEqual([
      "cgroup.delegate hierarchy=/sys/fs/cgroup path=/a uid=33",
    ]);
  });
  test("nobody else does", () => {
    expect(delegated(v2, linux, { mounts: [{ ...mounts[0], options: ["ro"] }] })).toEqual([]);
    expect(delegated(v2, { ...linux, namespaces: [{ type: "user" }] }, {})).toEqual([]);
    expect(delegated(v2, { ...linux, namespaces: [{ type: "cgroup" }, { type: "user", path: "/x" }] }, {})).toEqual([]);
    expect(delegated(hybrid, linux, {})).toEqual([]);
  });
});
