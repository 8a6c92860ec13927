/** Golden plans of root, mounts, devices and paths, and what is refused. */
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Config } from "../../spec-schemas/config.ts";
import type { AbsPath, ContainerId } from "../core/brands.ts";
import type { Hierarchy, HostFacts } from "../host/facts.ts";
import { encodePlan } from "../plan/encode.ts";
import { renderFields } from "../plan/render.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import { containerDevices, defaultDevices, deviceSteps } from "./devices.ts";
import type { CompileInput } from "./input.ts";
import type { Place } from "./kill.ts";
import { mountOptionNames } from "./mount-options.ts";
import { mountHostSteps, mountSteps } from "./mounts.ts";
import { pathSteps } from "./paths.ts";
import { pivotSteps, rootFinishSteps, rootHostSteps, rootSteps, rootToDetach } from "./root.ts";

type Mounts = NonNullable<Config["mounts"]>;
type Linux = NonNullable<Config["linux"]>;
interface Request {
  readonly mounts?: Mounts;
  readonly linux?: Linux;
  readonly readonly?: boolean;
  readonly noPivot?: boolean;
  readonly uid?: number;
  readonly kernel?: [number, number];
  readonly cgroup?: HostFacts["cgroup"];
}
const namespaces: NonNullable<Linux["namespaces"]> = [{ type: "mount" }, { type: "pid" }];
function input(request: Request): CompileInput {
  const [major, minor] = request.kernel ?? [6, 1];
  return {
    id: "web" as ContainerId,
    bundle: "/bundle" as AbsPath,
    rootfs: "/bundle/rootfs" as AbsPath,
    config: {
      ociVersion: "1.3.0",
      root: { path: "rootfs", readonly: request.readonly ?? false },
      mounts: request.mounts ?? [],
      linux: { namespaces, ...request.linux },
    } as Config,
    facts: {
      kernel: { release: `${major}.${minor}`, major, minor },
      uid: request.uid ?? 0,
      cgroup: request.cgroup ?? { mode: "none", hierarchies: [] },
      lsm: { apparmor: false, selinux: true },
    } as unknown as HostFacts,
    options: { noPivot: request.noPivot ?? false } as CompileInput["options"],
  };
}
const text = (steps: readonly (ContainerStep | HostStep)[]): string[] =>
  steps.map((step) => `${step.kind} ${renderFields(step)}`.trimEnd());
const mounts = (request: Request, places: readonly Place[] = []): string[] => text(mountSteps(input(request), places));
const oneMount = (mount: Mounts[number], more: Request = {}): string[] => mounts({ ...more, mounts: [mount] });
const withUser: Linux = { namespaces: [...namespaces, { type: "user" }] };

describe("root", () => {
  const all = (request: Request): string[] => {
    const one = input(request);
    return text([...rootHostSteps(one), ...rootSteps(one), ...pivotSteps(one), ...rootFinishSteps(one)]);
  };

  test("by default: slaves of the host's mounts, pivot_root", () => {
    expect(all({})).toEqual([
      "mount.propagation flags=REC|SLAVE",
      "root.bind path=/bundle/rootfs isolate",
      "root.pivot method=pivot_root",
      "device.reopenNull",
    ]);
  });

  test.each([
    ["private", "REC|PRIVATE", []],
    ["slave", "REC|SLAVE", []],
    ["shared", "SHARED", ["root.propagation flags=SHARED"]],
    ["unbindable", "REC|PRIVATE", ["root.propagation flags=UNBINDABLE"]],
    ["rshared", "REC|SHARED", ["root.propagation flags=REC|SHARED"]],
    ["rslave", "REC|SLAVE", ["root.propagation flags=REC|SLAVE"]],
  ] as const)("rootfsPropagation %s", (rootfsPropagation, tree, final) => {
    const steps = all({ linux: { namespaces, rootfsPropagation } });
    expect(steps[0]).toBe(`mount.propagation flags=${tree}`);
    expect(steps.filter((step) => step.startsWith("root.propagation"))).toEqual(final);
  });

  test("what had to be written to becomes read-only in the end, the root last", () => {
    expect(
      text(
        rootFinishSteps(
          input({
            readonly: true,
            mounts: [
              { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["ro"] },
              { destination: "/run", type: "tmpfs", source: "tmpfs", options: ["ro"] },
              { destination: "/tmp", type: "tmpfs", source: "tmpfs" },
              { destination: "/etc/hosts", type: "bind", source: "/h", options: ["bind", "ro"] },
            ],
          }),
        ),
      ),
    ).toEqual(["mount.attributes target=dev set=RDONLY", "mount.attributes target=run set=RDONLY", "root.readonly"]);
  });

  test("--no-pivot moves the root", () => {
    expect(all({ noPivot: true })).toContain("root.pivot method=MS_MOVE");
    for (const rootfsPropagation of ["private", "rprivate"] as const) {
      expect(() => all({ noPivot: true, linux: { namespaces, rootfsPropagation } })).toThrow("not safe without");
    }
  });

  test("without a mount namespace: a chroot; the host's propagation is left alone; mounts are to be detached", () => {
    const linux: Linux = { namespaces: [{ type: "pid" }], rootfsPropagation: "shared" };
    expect(all({ linux, noPivot: true })).toEqual([
      "root.open path=/bundle/rootfs",
      "root.pivot method=chroot",
      "device.reopenNull",
    ]);
    expect(rootToDetach(input({ linux }))).toBeUndefined();
    const mounted: Request = { linux, mounts: [{ destination: "/proc", type: "proc", source: "proc" }] };
    expect(all(mounted)).toEqual([
      "root.detach path=/bundle/rootfs",
      "root.bind path=/bundle/rootfs",
      "root.pivot method=chroot",
      "device.reopenNull",
    ]);
    expect(rootToDetach(input(mounted))).toBe("/bundle/rootfs");
    expect(() => all({ linux, readonly: true })).toThrow("/root/readonly");
  });
});

describe("mounts", () => {
  test("the default ones", () => {
    expect(
      mounts({
        mounts: [
          { destination: "/proc", type: "proc", source: "proc" },
          { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755"] },
          { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "noexec", "nodev"] },
          { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
        ],
      }),
    ).toEqual([
      "mount.filesystem fsType=proc source=proc target=proc noSymlinks magic=0x9fa0",
      'mount.filesystem fsType=tmpfs source=tmpfs target=dev options=["mode=755"] attr=NOSUID|STRICTATIME magic=0x1021994',
      "mount.filesystem fsType=tmpfs source=shm target=dev/shm attr=NOSUID|NODEV|NOEXEC magic=0x1021994 keepMode",
      "mount.filesystem fsType=sysfs source=sysfs target=sys attr=RDONLY|NOSUID|NODEV|NOEXEC noSymlinks magic=0x62656572",
    ]);
  });

  test("a bind is one by its option or by its type; mode= and size= mean nothing to it", () => {
    for (const mount of [
      { destination: "a/../b", type: "bind", source: "vol" },
      { destination: "/b/", type: "tmpfs", source: "/bundle/vol", options: ["bind", "mode=755", "size=1k", "sync"] },
      { destination: "//b", source: "./vol/.", options: ["bind"] },
    ]) {
      expect(oneMount(mount)).toEqual(["mount.bind source=/bundle/vol target=b"]);
    }
  });

  test("attributes of a bind: of the mount, of the tree, or both", () => {
    const at = (...options: string[]) => oneMount({ destination: "/v", source: "/v", options: ["rbind", ...options] });
    expect(at("ro", "rprivate")).toEqual([
      "mount.bind source=/v target=v recursive attrSet=RDONLY propagation=REC|PRIVATE",
    ]);
    expect(at("rro")).toEqual(["mount.bind source=/v target=v recursive attrSet=RDONLY attrRecursive"]);
    expect(at("noexec", "rro", "rslave", "shared")).toEqual([
      "mount.bind source=/v target=v recursive attrSet=NOEXEC propagation=REC|SLAVE",
      "mount.attributes target=v set=RDONLY recursive",
      "mount.attributes target=v propagation=SHARED",
    ]);
  });

  test("read-only of other file systems is theirs as well", () => {
    expect(
      oneMount({ destination: "/m", type: "ext4", source: "/dev/vdb", options: ["ro", "sync", "data=x"] }),
    ).toEqual(['mount.filesystem fsType=ext4 source=/dev/vdb target=m options=["ro","sync","data=x"] attr=RDONLY']);
  });

  test("the host opens the sources for a user namespace of the container's own", () => {
    const request: Request = {
      linux: withUser,
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/v", source: "vol", options: ["rbind", "ro"] },
      ],
    };
    expect(text(mountHostSteps(input(request)))).toEqual([
      "mount.openTree source=/bundle/vol recursive slot=<mount-1>",
    ]);
    expect(mounts(request)[1]).toBe("mount.bind source=/bundle/vol slot=<mount-1> target=v recursive attrSet=RDONLY");
    // Only root of the host can, and a joined mount namespace has paths of its own.
    expect(mountHostSteps(input({ ...request, uid: 1000 }))).toEqual([]);
    const joined: Linux = { namespaces: [{ type: "mount", path: "/proc/7/ns/mnt" }, { type: "user" }] };
    expect(mountHostSteps(input({ ...request, linux: joined }))).toEqual([]);
    const many = Array.from({ length: 600 }, (_, i) => ({ destination: `/v${i}`, source: "/v", options: ["bind"] }));
    expect(() => mountHostSteps(input({ linux: withUser, mounts: many }))).toThrow("more than 448 bind mounts");
  });

  test("remount and propagation change what is there", () => {
    expect(oneMount({ destination: "/t", type: "tmpfs", options: ["remount", "ro", "rnosuid", "rslave"] })).toEqual([
      "mount.attributes target=t set=RDONLY",
      "mount.attributes target=t set=NOSUID recursive",
      "mount.attributes target=t propagation=REC|SLAVE",
    ]);
    expect(oneMount({ destination: "/t", options: ["rshared"] })).toEqual([
      "mount.attributes target=t propagation=REC|SHARED",
    ]);
    expect(oneMount({ destination: "/t", options: ["remount"] })).toEqual([]);
    expect(() => oneMount({ destination: "/t", options: ["remount", "size=1k"] })).toThrow("cannot change size=1k");
  });

  test("only a procfs goes to /proc, and only known files into it", () => {
    const bind = (destination: string) => ({ destination, source: "/x", options: ["bind"] });
    expect(oneMount(bind("/proc"))).toEqual(["mount.bind source=/x target=proc noSymlinks magic=0x9fa0"]);
    for (const file of ["cpuinfo", "net/dev", "sys/kernel/ns_last_pid"]) {
      expect(oneMount(bind(`/proc/${file}`))[0]).toContain("noSymlinks");
    }
    for (const destination of ["/proc/self/attr", "/proc/sys", "/./proc/../proc/1", "proc/cpuinfo/x"]) {
      expect(() => oneMount(bind(destination))).toThrow("/mounts/0: /proc/");
    }
    expect(() => oneMount({ destination: "/proc", type: "tmpfs" })).toThrow("only a procfs");
    expect(oneMount(bind("/processes"))[0]).not.toContain("noSymlinks");
  });

  test("what cannot be is refused with the pointer", () => {
    expect(() => oneMount({ destination: "/x" })).toThrow("/mounts/0: neither a type nor");
    expect(() => oneMount({ destination: "/x", type: "none", source: "/y" })).toThrow("/mounts/0: neither a type nor");
    expect(() => oneMount({ destination: "/x", type: "ext4", options: ["tmpcopyup"] })).toThrow("tmpcopyup");
    const rro = { destination: "/x", source: "/y", options: ["bind", "rro"] };
    expect(() => oneMount(rro, { kernel: [5, 10] })).toThrow("need Linux 5.12");
    expect(oneMount(rro, { kernel: [5, 12] })).toHaveLength(1);
    const nosymfollow = { destination: "/x", type: "tmpfs", options: ["nosymfollow"] };
    expect(() => oneMount(nosymfollow, { kernel: [5, 13] })).toThrow("need Linux 5.14");
    expect(oneMount(nosymfollow, { kernel: [6, 0] })[0]).toContain("attr=NOSYMFOLLOW");
  });

  test("whatever the configuration: a plan that can be encoded, or an error with a pointer", () => {
    const option = fc.oneof(fc.constantFrom(...mountOptionNames), fc.constantFrom("mode=755", "size=1k", "x,y"));
    const mount = fc.record(
      {
        destination: fc.constantFrom("/", "/proc", "/dev", "/sys", "/a/b", "../x", "/proc/1", "/dev/pts"),
        type: fc.constantFrom("bind", "tmpfs", "proc", "sysfs", "cgroup", "cgroup2", "none", "overlay"),
        source: fc.constantFrom("/x", "y"),
        options: fc.array(option, { maxLength: 6 }),
      },
      { requiredKeys: ["destination"] },
    );
    fc.assert(
      fc.property(fc.array(mount, { maxLength: 4 }), fc.boolean(), fc.boolean(), (list, user, mountNamespace) => {
        const own = input({
          mounts: list as Mounts,
          linux: {
            namespaces: [
              ...(mountNamespace ? [{ type: "mount" as const }] : []),
              ...(user ? [{ type: "user" as const }] : []),
            ],
          },
        });
        try {
          const host = [...mountHostSteps(own), ...rootHostSteps(own)];
          const container = [
            ...rootSteps(own),
            ...mountSteps(own, []),
            ...deviceSteps(own),
            ...pivotSteps(own),
            ...rootFinishSteps(own),
          ];
          encodePlan({ title: "", host, container });
          // A target is always below the root.
          for (const step of container) {
            if ("target" in step && step.kind !== "fs.symlink")
              expect(step.target).not.toMatch(/^\/|(^|\/)\.\.?(\/|$)/);
          }
        } catch (error) {
          expect((error as Error).message).toMatch(/^\/mounts\/\d/);
        }
      }),
    );
  });
});

describe("cgroup mounts", () => {
  const hierarchy = (version: 1 | 2, name: string, controllers: string[]): Hierarchy => ({
    version,
    mountPoint: `/sys/fs/cgroup${name}` as AbsPath,
    controllers,
    own: "/",
    writable: true,
  });
  const hybrid: HostFacts["cgroup"] = {
    mode: "hybrid",
    hierarchies: [
      hierarchy(1, "/cpu,cpuacct", ["cpu", "cpuacct"]),
      hierarchy(1, "/systemd", ["name=systemd"]),
      hierarchy(2, "/unified", []),
    ],
  };
  const v2: HostFacts["cgroup"] = { mode: "v2", hierarchies: [hierarchy(2, "", ["memory"])] };
  const place = (mountPoint: string, path: string, version: 1 | 2): Place => ({
    hierarchy: `/sys/fs/cgroup${mountPoint}`,
    path,
    version,
    controllers: [],
    created: true,
  });
  const mount = { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] };
  const own: Linux = { namespaces: [...namespaces, { type: "cgroup" }] };

  test("v1 with a cgroup namespace", () => {
    expect(mounts({ mounts: [mount], cgroup: hybrid, linux: own })).toEqual([
      'mount.filesystem fsType=tmpfs source=tmpfs target=sys/fs/cgroup options=["mode=755"] attr=NOSUID|NODEV|NOEXEC magic=0x1021994',
      'mount.filesystem fsType=cgroup source=cgroup target=sys/fs/cgroup/cpu,cpuacct options=["cpu","cpuacct"] attr=RDONLY|NOSUID|NODEV|NOEXEC magic=0x27e0eb',
      "fs.symlink target=cpu,cpuacct path=sys/fs/cgroup/cpu",
      "fs.symlink target=cpu,cpuacct path=sys/fs/cgroup/cpuacct",
      'mount.filesystem fsType=cgroup source=cgroup target=sys/fs/cgroup/systemd options=["name=systemd"] attr=RDONLY|NOSUID|NODEV|NOEXEC magic=0x27e0eb',
      "mount.attributes target=sys/fs/cgroup set=RDONLY",
    ]);
  });

  test("v1 without one: own cgroups, none that the container is not in, everybody's read-only", () => {
    const places = [place("/cpu,cpuacct", "/web", 1), place("/systemd", "/", 1)];
    expect(mounts({ mounts: [{ ...mount, options: [] }], cgroup: hybrid }, places)).toEqual([
      expect.stringContaining("fsType=tmpfs"),
      "mount.bind source=/sys/fs/cgroup/cpu,cpuacct/web target=sys/fs/cgroup/cpu,cpuacct attrSet=NOSUID|NODEV|NOEXEC",
      "fs.symlink target=cpu,cpuacct path=sys/fs/cgroup/cpu",
      "fs.symlink target=cpu,cpuacct path=sys/fs/cgroup/cpuacct",
      "mount.bind source=/sys/fs/cgroup/systemd target=sys/fs/cgroup/systemd attrSet=RDONLY|NOSUID|NODEV|NOEXEC",
    ]);
  });

  test("v2: the file system with a cgroup namespace, else the own cgroup, else nothing", () => {
    expect(mounts({ mounts: [mount], cgroup: v2, linux: own })).toEqual([
      "mount.filesystem fsType=cgroup2 source=cgroup target=sys/fs/cgroup attr=RDONLY magic=0x63677270",
    ]);
    expect(mounts({ mounts: [{ ...mount, options: ["rw"] }], cgroup: v2 }, [place("", "/web", 2)])).toEqual([
      "mount.bind source=/sys/fs/cgroup/web target=sys/fs/cgroup attrSet=NOSUID|NODEV|NOEXEC",
    ]);
    const nothing =
      'mount.filesystem fsType=tmpfs source=tmpfs target=sys/fs/cgroup options=["mode=755"] attr=RDONLY|NOSUID|NODEV|NOEXEC magic=0x1021994';
    expect(mounts({ mounts: [{ ...mount, options: ["rw"] }], cgroup: v2 })).toEqual([nothing]);
    expect(mounts({ mounts: [{ ...mount, type: "cgroup2" }], cgroup: hybrid })).toEqual([nothing]);
    expect(mounts({ mounts: [{ ...mount, options: ["rw"] }], cgroup: hybrid })).toEqual([nothing]);
  });
});

describe("devices", () => {
  test("the default ones, links, and a terminal multiplexer of the container's own", () => {
    expect(text(deviceSteps(input({})))).toEqual([
      "device.create path=dev/null type=char major=1 minor=3 mode=0666 uid=0 gid=0 bindFrom=/dev/null",
      "device.create path=dev/zero type=char major=1 minor=5 mode=0666 uid=0 gid=0 bindFrom=/dev/zero",
      "device.create path=dev/full type=char major=1 minor=7 mode=0666 uid=0 gid=0 bindFrom=/dev/full",
      "device.create path=dev/random type=char major=1 minor=8 mode=0666 uid=0 gid=0 bindFrom=/dev/random",
      "device.create path=dev/urandom type=char major=1 minor=9 mode=0666 uid=0 gid=0 bindFrom=/dev/urandom",
      "device.create path=dev/tty type=char major=5 minor=0 mode=0666 uid=0 gid=0 bindFrom=/dev/tty",
      "fs.symlink target=pts/ptmx path=dev/ptmx replace",
      "fs.symlink target=/proc/self/fd path=dev/fd",
      "fs.symlink target=/proc/self/fd/0 path=dev/stdin",
      "fs.symlink target=/proc/self/fd/1 path=dev/stdout",
      "fs.symlink target=/proc/self/fd/2 path=dev/stderr",
      "fs.symlink target=/proc/kcore path=dev/core",
    ]);
  });

  test("are bound in a user namespace, but for fifos", () => {
    const devices = [{ path: "/dev/pipe", type: "p" }];
    const steps = text(deviceSteps(input({ linux: { ...withUser, devices } })));
    expect(steps[0]).toBe("device.bind source=/dev/null path=dev/null type=char major=1 minor=3");
    expect(steps[6]).toMatch(/^device.create path=dev\/pipe type=fifo /);
  });

  test("one of config.json replaces the default of the same path; a fifo's number means nothing", () => {
    const devices = [
      { path: "/dev//zero", type: "c", major: 1, minor: 5, fileMode: 0o020600, uid: 3 },
      { path: "/dev/pipe", type: "p", major: 9, minor: 9 },
      { path: "/dev/loop0", type: "b", major: 7, minor: 0 },
    ];
    const list = containerDevices(input({ linux: { namespaces, devices } }).config);
    expect(list.filter(({ path }) => path.includes("zero"))).toEqual([
      { path: "/dev//zero", type: "c", major: 1, minor: 5, mode: 0o600, uid: 3, gid: 0 },
    ]);
    expect(list).toHaveLength(defaultDevices.length + 2);
    expect(list.find(({ type }) => type === "p")).toMatchObject({ major: 0, minor: 0, mode: 0o666 });
  });

  test("numbers are checked", () => {
    for (const device of [
      { path: "/dev/x", type: "c", minor: 1 },
      { path: "/dev/x", type: "c", major: 4096, minor: 1 },
      { path: "/dev/x", type: "b", major: 1, minor: 2 ** 20 },
      { path: "/dev/x", type: "c", major: 1, minor: 1, uid: 0xffff_ffff },
      { path: "/dev/x", type: "x", major: 1, minor: 1 },
    ]) {
      expect(() => containerDevices(input({ linux: { namespaces, devices: [device] } }).config)).toThrow(
        "/linux/devices/0/",
      );
    }
  });

  test("nothing is made in a /dev of the host", () => {
    const dev = input({ mounts: [{ destination: "/dev/", source: "/dev", options: ["rbind"] }] });
    expect(deviceSteps(dev)).toEqual([]);
    expect(text(pivotSteps(dev))).toEqual(["root.pivot method=pivot_root"]);
  });
});

test("read-only paths come before masked ones", () => {
  const linux: Linux = { namespaces, maskedPaths: ["/proc/kcore"], readonlyPaths: ["/proc/sys", "/proc/../bus"] };
  expect(text(pathSteps(input({ linux })))).toEqual([
    "path.readonly path=proc/sys",
    "path.readonly path=bus",
    "path.mask path=proc/kcore",
  ]);
});

test("a mount label goes to new file systems and masks; a queue's root gets it as an attribute", () => {
  const own = input({
    linux: { namespaces, mountLabel: "a:b:c:s0:c1,c2", maskedPaths: ["/proc/kcore"] },
    mounts: [
      { destination: "/proc", type: "proc" },
      { destination: "/tmp", type: "tmpfs", options: ["mode=1777", "size=1m"] },
      { destination: "/dev/mqueue", type: "mqueue" },
      { destination: "/data", source: "/srv", options: ["bind"] },
    ],
  });
  const labelled = text([...mountSteps(own, []), ...pathSteps(own)]).filter((line) => line.includes("a:b:c"));
  expect(labelled).toEqual([
    expect.stringContaining('options=["mode=1777","size=1m","context=a:b:c:s0:c1,c2"]'),
    "fs.label path=dev/mqueue magic=0x19800202 lsm=selinux label=a:b:c:s0:c1,c2",
    "path.mask path=proc/kcore context=a:b:c:s0:c1,c2",
  ]);
});
