/** Id-mapped mounts carried out: whose the files of a source are, seen from inside and from the host. */
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { namespaceFlags } from "../compile/namespaces.ts";
import { encodePlan } from "../plan/encode.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import {
  ContainerFixture,
  defaultMounts,
  defaultNamespaces,
  hostMounts,
  kernelAtLeast,
  type Mounts,
  userMappings,
} from "./container.fixture.ts";
import { openSession } from "./native.ts";

let fixture: ContainerFixture;
let before: string;
let source: string;
beforeAll(() => {
  fixture = new ContainerFixture();
});
afterAll(() => fixture.close());
beforeEach(() => {
  fixture.newRootfs();
  source = fixture.outside("source");
  rmSync(source, { recursive: true, force: true });
  mkdirSync(source);
  for (const [name, uid, gid] of [
    ["root", 0, 0],
    ["user", 1000, 2000],
    ["unmapped", 70_000, 70_000],
  ] as const) {
    writeFileSync(join(source, name), name);
    chownSync(join(source, name), uid, gid);
  }
  before = hostMounts();
});
afterEach(() => expect(hostMounts()).toBe(before));

const range = (containerID: number, hostID: number, size: number) => [{ containerID, hostID, size }];
const bind = (options: string[], more: Partial<Mounts[number]> = {}): Mounts[number] => ({
  destination: "/data",
  type: "bind",
  source,
  options: ["bind", ...options],
  ...more,
});
const withUser = { namespaces: [...defaultNamespaces, { type: "user" as const }], ...userMappings };
const onIdmap = kernelAtLeast(5, 12) ? test : test.skip; // skipped: MOUNT_ATTR_IDMAP came with Linux 5.12
const owners = "cd /data; stat -c '%n %u:%g' *; echo >made";
const owner = (name: string): string => {
  const { uid, gid } = statSync(join(source, name));
  return `${uid}:${gid}`;
};

onIdmap(
  "by the container's user namespace: owners are the same inside, and what is made belongs to them on the host",
  () => {
    fixture.giveToMappedRoot();
    const { output, failure } = fixture.run({ linux: withUser, mounts: [bind(["idmap"])], script: owners });
    expect(failure).toBeUndefined();
    expect(output).toBe("root 0:0\nunmapped 65534:65534\nuser 1000:2000\n");
    expect(owner("made")).toBe("0:0");
  },
);

if (!kernelAtLeast(5, 12)) {
  test("a kernel that cannot is an error that says since when one can", () => {
    expect(() => fixture.run({ linux: withUser, mounts: [bind(["idmap"])], script: owners })).toThrow(
      "needs Linux 5.12 (mount_setattr, MOUNT_ATTR_IDMAP)",
    );
  });
}

test("without a mapping they are nobody's there", () => {
  fixture.giveToMappedRoot();
  const { output } = fixture.run({ linux: withUser, mounts: [bind([])], script: owners });
  expect(output).toMatch(/^root 65534:65534\nunmapped 65534:65534\nuser 65534:65534\n.*Permission denied\n$/s);
});

onIdmap("by mappings of the mount's own, without a user namespace", () => {
  const { output, failure } = fixture.run({
    mounts: [bind(["idmap"], { uidMappings: range(0, 5000, 2000), gidMappings: range(0, 9000, 3000) })],
    script: owners.replace("echo >made", "touch made || echo refused"),
  });
  expect(failure).toBeUndefined();
  expect(output).toBe(
    // root of the host has no id in the source: EOVERFLOW.
    "root 5000:9000\nunmapped 65534:65534\nuser 6000:11000\ntouch: made: Value too large for defined data type\nrefused\n",
  );
});

onIdmap("by mappings of the mount's own that win over the container's; without the option, too", () => {
  fixture.giveToMappedRoot();
  for (const options of [[], ["idmap"]]) {
    const { output, failure } = fixture.run({
      linux: withUser,
      mounts: [bind(options, { uidMappings: range(1000, 100_007, 1), gidMappings: range(2000, 100_008, 1) })],
      script: owners.replace("; echo >made", ""),
    });
    expect(failure).toBeUndefined();
    expect(output).toBe("root 65534:65534\nunmapped 65534:65534\nuser 7:8\n");
  }
});

onIdmap("by a user namespace that is joined", () => {
  fixture.giveToMappedRoot();
  const session = openSession();
  const keep: HostStep[] = [
    { kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 },
    { kind: "sync.wait", point: 1 },
    { kind: "userns.map", uidMap: "0 100000 65536\n", gidMap: "0 100000 65536\n", denySetgroups: false },
  ];
  // Nobody reaches that point: it waits until the plan is undone.
  const outcome = session.execute(
    encodePlan({
      title: "keep",
      host: keep,
      container: [
        { kind: "ns.unshare", types: namespaceFlags.user },
        { kind: "sync.signal", point: 1 },
        { kind: "sync.wait", point: 2 },
      ],
    }),
  );
  try {
    expect(outcome.failure).toBeUndefined();
    const { output, failure } = fixture.run({
      linux: {
        namespaces: [...defaultNamespaces, { type: "user", path: `/proc/${outcome.pid}/ns/user` }],
      },
      mounts: [bind(["idmap"])],
      script: owners,
    });
    expect(failure).toBeUndefined();
    expect(output).toBe("root 0:0\nunmapped 65534:65534\nuser 1000:2000\n");
  } finally {
    session.rollback();
    session.close();
  }
});

onIdmap("in crun's words, absolute and relative to the container's user namespace", () => {
  fixture.giveToMappedRoot();
  const seen = (option: string) =>
    fixture.run({ linux: withUser, mounts: [bind([option])], script: "stat -c '%u:%g' /data/user" });
  expect(seen("idmap=uids=1000-100003-1;gids=2000-100004-10#1000-2-1")).toEqual({ output: "3:4\n", value: 0 });
  expect(seen("idmap=uids=@1000-3-1;gids=@2000-4-10")).toEqual({ output: "3:4\n", value: 0 });
});

onIdmap("idmap is of the mount, ridmap of all below it", () => {
  const below = join(source, "below");
  mkdirSync(below);
  const lower = fixture.makeDirectory("lower");
  writeFileSync(join(lower, "file"), "");
  chownSync(join(lower, "file"), 1, 2);
  execFileSync("mount", ["--bind", lower, below]);
  try {
    const mappings = { uidMappings: range(0, 50, 100), gidMappings: range(0, 60, 100) };
    const seen = (option: string) => {
      const script = "stat -c '%u:%g' /data/root /data/below/file";
      return fixture.run({ mounts: [bind([option, "rbind"], mappings)], script });
    };
    expect(seen("idmap")).toEqual({ output: "50:60\n1:2\n", value: 0 });
    expect(seen("ridmap")).toEqual({ output: "50:60\n51:62\n", value: 0 });
  } finally {
    execFileSync("umount", [below]);
  }
});

onIdmap("a file system that cannot be mapped is an error of that step", () => {
  const { failure } = fixture.run({
    mounts: [
      {
        destination: "/data",
        type: "bind",
        source: "/proc",
        options: ["bind", "idmap"],
        uidMappings: range(0, 1, 1),
        gidMappings: range(0, 1, 1),
      },
    ],
    script: "true",
  });
  expect(failure).toMatchObject({ side: "host", kind: "mount.idmap", op: "mount_setattr", errno: 22 });
});

test("a user namespace is made with its maps, and no process is left of it", () => {
  const children = () => readFileSync(`/proc/self/task/${process.pid}/children`, "utf8");
  const first = children();
  const open = (uidMap: string) => {
    const session = openSession();
    const { failure } = session.execute(
      encodePlan({ title: "t", host: [{ kind: "userns.open", uidMap, gidMap: "0 1 1\n", slot: "x" }], container: [] }),
    );
    session.close();
    return failure;
  };
  expect(open("0 1 1\n5 1000 10\n")).toBeUndefined();
  expect(open("0 1 1\n0 1000 10\n")).toMatchObject({ kind: "userns.open", op: "write", errno: 22, path: "uid_map" });
  expect(children()).toBe(first);
});

/** An overlay over `source`, for a root. */
function overlayRoot(layers: readonly string[], options: string[] = []): Mounts[number] {
  const writable = fixture.outside("overlay");
  rmSync(writable, { recursive: true, force: true });
  for (const name of ["upper", "work"]) mkdirSync(join(writable, name), { recursive: true });
  const own = [`upperdir=${join(writable, "upper")}`, `workdir=${join(writable, "work")}`];
  return {
    destination: "/",
    type: "overlay",
    source: "overlay",
    options: [`lowerdir=${layers.join(":")}`, ...own, ...options],
  };
}

test("the layers of an overlay root: owners are the same inside; what is written belongs to the container's ids", () => {
  const root = overlayRoot([source, fixture.rootfs], ["idmap"]);
  const upper = fixture.outside("overlay/upper");
  chownSync(upper, 100_000, 100_000);
  const { output, failure } = fixture.run({
    linux: withUser,
    mounts: [root],
    script:
      "stat -c '%n %u:%g' /root /user /bin/sh; echo >/made; echo more >>/user; rm /bin/find; test -e /bin/find || echo gone",
  });
  if (!kernelAtLeast(5, 19)) {
    expect(failure).toMatchObject({ kind: "mount.overlay" });
    return;
  }
  expect(failure).toBeUndefined();
  expect(output).toBe("/root 0:0\n/user 1000:2000\n/bin/sh 0:0\ngone\n");
  const owned = (name: string) => {
    const { uid, gid } = statSync(join(upper, name));
    return `${uid}:${gid}`;
  };
  // Copied up with the owner that it shows as; a whiteout is the kernel's own.
  expect([owned("made"), owned("user")]).toEqual(["100000:100000", "101000:102000"]);
  expect(statSync(join(upper, "bin/find")).isCharacterDevice()).toBe(true);
  expect(readFileSync(join(source, "user"), "utf8")).toBe("user");
});

test("more layers than a page of mount options holds, made by the host as for a kernel without lowerdir+", () => {
  const layers = Array.from({ length: 130 }, (_, i) => {
    const layer = fixture.makeDirectory(join("layers", `${"x".repeat(200)}${i}`));
    writeFileSync(join(layer, `file${i}`), String(i));
    return layer;
  });
  const root = overlayRoot([...layers, fixture.rootfs]);
  const request = {
    kernel: [5, 10] as const,
    mounts: [root, ...defaultMounts],
    script: "cat /file0 /file129; touch /made; ls / | grep -c file",
  };
  expect(fixture.plan(request, "").host[0]).toMatchObject({ kind: "mount.overlay" });
  expect(fixture.run(request)).toEqual({ output: "0129130\n", value: 0 });
  expect(existsSync(fixture.outside("overlay/upper/made"))).toBe(true);
});
