/** Mounts carried out: what a container made of them sees. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { MOUNT_ATTR, MS } from "../compile/mount-options.ts";
import type { AbsPath } from "../core/brands.ts";
import type { HostFacts } from "../host/facts.ts";
import type { ContainerStep } from "../plan/vocabulary.ts";
import {
  ContainerFixture,
  type ContainerRequest,
  defaultMounts,
  defaultNamespaces,
  hostMounts,
  kernelAtLeast,
  type Mounts,
  mountAt,
  parseMounts,
  userMappings,
} from "./container.fixture.ts";

let fixture: ContainerFixture;
let before: string;
beforeAll(() => {
  fixture = new ContainerFixture();
});
afterAll(() => fixture.close());
beforeEach(() => {
  fixture.newRootfs();
  before = hostMounts();
});
// Whatever a container does, the host's mounts are what they were.
afterEach(() => expect(hostMounts()).toBe(before));

const proc: Mounts[number] = { destination: "/proc", type: "proc", source: "proc" };
const bind = (source: string, destination: string, ...options: string[]): Mounts[number] => ({
  destination,
  type: "bind",
  source,
  options: ["bind", ...options],
});
const tmpfs = (destination: string, ...options: string[]): Mounts[number] => ({
  destination,
  type: "tmpfs",
  source: "tmpfs",
  options,
});

/** Mounts that stand for the host's: in the container's namespace, but before its root is made. */
function asHost(...steps: ContainerStep[]): ContainerStep[] {
  return [{ kind: "mount.propagation", flags: MS.PRIVATE | MS.REC }, { kind: "root.open", path: "/" }, ...steps];
}
function hostTmpfs(path: string, attr: number, propagation = 0): ContainerStep {
  return {
    kind: "mount.filesystem",
    fsType: "tmpfs",
    source: "volume",
    target: path.slice(1),
    options: ["mode=777"],
    attr,
    propagation,
    noSymlinks: false,
    magic: 0,
    copyUp: false,
    keepMode: false,
    mountFlags: 0,
  };
}

describe("the default mounts", () => {
  const seen = "cat /proc/self/mountinfo";

  test("are there with their types, sources and options, and nothing else of the host is", () => {
    const { output, failure } = fixture.run({ script: seen });
    expect(failure).toBeUndefined();
    expect(parseMounts(output).map(({ point, type, source }) => `${point} ${type} ${source}`)).toEqual([
      expect.stringMatching(/^\/ /),
      "/proc proc proc",
      "/dev tmpfs tmpfs",
      "/dev/pts devpts devpts",
      "/dev/shm tmpfs shm",
      "/dev/mqueue mqueue mqueue",
      "/sys sysfs sysfs",
      expect.stringMatching(/^\/host\/output /),
    ]);
    expect(mountAt(output, "/dev")).toMatchObject({
      options: ["rw", "nosuid"], // strictatime is neither relatime nor noatime
      superOptions: expect.arrayContaining(["size=65536k", "mode=755"]),
    });
    expect(mountAt(output, "/dev/pts")?.superOptions).toEqual(["rw", "gid=5", "mode=620", "ptmxmode=666"]);
    expect(mountAt(output, "/sys")?.options).toEqual(["ro", "nosuid", "nodev", "noexec", "relatime"]);
  });

  test("are there below a user namespace, too", () => {
    fixture.giveToMappedRoot();
    const { output, failure } = fixture.run({
      linux: { namespaces: [...defaultNamespaces, { type: "user" }], ...userMappings },
      script: `${seen}; stat -c %u:%g / /dev /dev/pts/ptmx`,
    });
    expect(failure).toBeUndefined();
    for (const { destination, type } of defaultMounts) expect(mountAt(output, destination)).toMatchObject({ type });
    expect(output).toMatch(/^0:0\n0:0\n0:0$/m);
  });
});

describe("bind mounts", () => {
  test("make their target like the source, parents included, and reach the source", () => {
    const directory = fixture.makeDirectory("source");
    writeFileSync(join(directory, "file"), "content");
    const { output, failure } = fixture.run({
      mounts: [bind(directory, "/a/b/directory"), bind(join(directory, "file"), "/c/file", "ro")],
      script: "cat /a/b/directory/file /c/file; echo more >/a/b/directory/new; echo no >/c/file",
    });
    expect(failure).toBeUndefined();
    expect(output).toBe("contentcontentsh: can't create /c/file: Read-only file system\n");
    expect(existsSync(join(directory, "new"))).toBe(true);
    expect(statSync(join(fixture.rootfs, "a/b/directory")).mode & 0o777).toBe(0o755);
    expect(statSync(join(fixture.rootfs, "c/file")).isFile()).toBe(true);
  });

  test("a relative source is relative to the bundle, a relative destination to the root", () => {
    writeFileSync(fixture.outside("relative"), "found");
    const { output } = fixture.run({ mounts: [bind("relative", "deep/file")], script: "cat /deep/file" });
    expect(output).toBe("found");
  });

  test("a missing source and a target of the other kind are errors that name them", () => {
    expect(fixture.run({ mounts: [bind("/no/such/path", "/x")], script: "true" }).failure).toMatchObject({
      kind: "mount.bind",
      op: "open_tree",
      errno: 2,
      path: "/no/such/path",
    });
    expect(fixture.run({ mounts: [bind(fixture.directory, "/bin/sh")], script: "true" }).failure).toMatchObject({
      op: "verify",
      path: "bin/sh",
      text: "a directory cannot be mounted over a file",
    });
    expect(fixture.run({ mounts: [bind("/etc/passwd", "/etc")], script: "true" }).failure).toMatchObject({
      text: "a file cannot be mounted over a directory",
    });
  });

  test("keep the attributes of the source that no option names, and change those that one names", () => {
    const volume = fixture.makeDirectory("volume");
    const { output, failure } = fixture.run({
      first: asHost(hostTmpfs(volume, MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC | MOUNT_ATTR.NOATIME)),
      mounts: [proc, bind(volume, "/kept"), bind(volume, "/changed", "ro", "exec", "nodev", "relatime", "size=1k")],
      script: "cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, "/kept")?.options).toEqual(["rw", "nosuid", "noexec", "noatime"]);
    expect(mountAt(output, "/changed")?.options).toEqual(["ro", "nosuid", "nodev", "relatime"]);
  });

  test("take the mounts below along with rbind only, and rro makes all of them read-only", () => {
    const volume = fixture.makeDirectory("volume");
    const request: ContainerRequest = {
      first: asHost(hostTmpfs(volume, 0), hostTmpfs(`${volume}/sub`, MOUNT_ATTR.NOSUID)),
      mounts: [
        proc,
        bind(volume, "/alone"),
        { destination: "/all", type: "none", source: volume, options: ["rbind", "ro"] },
        { destination: "/rro", type: "none", source: volume, options: ["rbind", "noexec", "rro"] },
      ],
      script: "cat /proc/self/mountinfo",
    };
    if (!kernelAtLeast(5, 12)) {
      expect(() => fixture.run(request)).toThrow("rro need Linux 5.12");
      return;
    }
    const { output, failure } = fixture.run(request);
    expect(failure).toBeUndefined();
    expect(mountAt(output, "/alone/sub")).toBeUndefined();
    expect(mountAt(output, "/all")?.options).toContain("ro");
    expect(mountAt(output, "/all/sub")?.options).toContain("rw");
    expect(mountAt(output, "/rro")?.options).toEqual(["ro", "noexec", "relatime"]);
    expect(mountAt(output, "/rro/sub")?.options).toEqual(["ro", "nosuid", "relatime"]);
  });

  test.each([
    ["rro", ["ro", "relatime"], ["ro", "nosuid", "noexec", "noatime"]],
    ["rrw", ["rw", "relatime"], ["rw", "nosuid", "noexec", "noatime"]],
    ["rnodev", ["rw", "nodev", "relatime"], ["rw", "nosuid", "nodev", "noexec", "noatime"]],
    ["rsuid", ["rw", "relatime"], ["rw", "noexec", "noatime"]],
    ["rexec", ["rw", "relatime"], ["rw", "nosuid", "noatime"]],
    ["rnosuid", ["rw", "nosuid", "relatime"], ["rw", "nosuid", "noexec", "noatime"]],
    ["rrelatime", ["rw", "relatime"], ["rw", "nosuid", "noexec", "relatime"]],
    ["rstrictatime", ["rw"], ["rw", "nosuid", "noexec"]],
    ["rnodiratime", ["rw", "nodiratime", "relatime"], ["rw", "nosuid", "noexec", "noatime", "nodiratime"]],
    ["rnosymfollow", ["rw", "relatime", "nosymfollow"], ["rw", "nosuid", "noexec", "noatime", "nosymfollow"]],
  ])("%s is of every mount of the tree, and changes nothing else of any", (option, top, below) => {
    const tree = fixture.makeDirectory("tree");
    mkdirSync(join(tree, "a"), { recursive: true });
    const volumes = [
      hostTmpfs(tree, 0),
      { kind: "fs.mkdir", path: `${tree}/a`.slice(1), mode: 0o755 } as const,
      hostTmpfs(`${tree}/a`, MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC | MOUNT_ATTR.NOATIME),
    ];
    const request: ContainerRequest = {
      first: asHost(...volumes),
      mounts: [proc, bind(tree, "/t", "rbind", option)],
      script: "cat /proc/self/mountinfo; touch /t/x /t/a/x",
    };
    if (!kernelAtLeast(5, 12)) {
      expect(() => fixture.run(request)).toThrow("need Linux 5.12");
      return;
    }
    const { output, failure } = fixture.run(request);
    expect(failure).toBeUndefined();
    expect(mountAt(output, "/t")?.options).toEqual(top);
    expect(mountAt(output, "/t/a")?.options).toEqual(below);
    if (option === "rro") expect(output.match(/Read-only file system/g)).toHaveLength(2);
  });

  test("have the propagation of their options, one after another", () => {
    const volume = fixture.makeDirectory("volume");
    const { output, failure } = fixture.run({
      first: asHost(hostTmpfs(volume, 0, MS.SHARED)),
      mounts: [
        proc,
        bind(volume, "/default"),
        bind(volume, "/private", "rprivate"),
        bind(volume, "/shared", "rshared"),
        bind(volume, "/both", "rslave", "shared"),
        bind(volume, "/unbindable", "unbindable"),
      ],
      script: "cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    const propagation = (at: string) => mountAt(output, at)?.propagation.map((field) => field.split(":")[0]);
    // The tree is made slave before: here nobody is left to be master of.
    expect(propagation("/private")).toEqual([]);
    expect(propagation("/shared")).toEqual(["shared"]);
    expect(propagation("/both")).toContain("shared");
    expect(propagation("/unbindable")).toEqual(["unbindable"]);
  });

  test("reach sources that the user namespace's root cannot", () => {
    fixture.giveToMappedRoot();
    const locked = fixture.makeDirectory("locked");
    mkdirSync(join(locked, "inner"), { recursive: true });
    writeFileSync(join(locked, "inner/file"), "reached", { mode: 0o644 });
    chmodSync(locked, 0o700);
    const { output, failure } = fixture.run({
      linux: { namespaces: [...defaultNamespaces, { type: "user" }], ...userMappings },
      mounts: [proc, bind(join(locked, "inner"), "/data", "ro"), bind(join(locked, "inner/file"), "/file")],
      script: "cat /data/file /file; echo x >/data/file; cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(output).toContain("reachedreached");
    expect(output).toContain("can't create /data/file");
    expect(mountAt(output, "/data")?.options).toContain("ro");
  });

  describe("with symbolic links (crun's options)", () => {
    const target = () => fixture.outside("link-target");
    const source = () => fixture.outside("link");
    beforeEach(() => {
      rmSync(source(), { force: true });
      writeFileSync(target(), "content");
      symlinkSync(target(), source());
    });
    const from = (...options: string[]) => [proc, bind(source(), "/a/place", ...options)];
    const user = { namespaces: [...defaultNamespaces, { type: "user" as const }], ...userMappings };
    // As tsrun-init opens the source, and as the host does.
    const shapes = [{}, { linux: user }];

    test("a source is followed, unless src-nofollow: then the link is mounted", () => {
      for (const shape of shapes) {
        fixture.newRootfs();
        fixture.giveToMappedRoot();
        expect(fixture.run({ ...shape, mounts: from(), script: "cat /a/place" }).output).toBe("content");
        const { output, failure } = fixture.run({
          ...shape,
          mounts: from("src-nofollow"),
          script: "readlink /a/place; grep -c ' /a/place ' /proc/self/mountinfo",
        });
        expect(failure).toBeUndefined();
        expect(output).toBe(`${target()}\n1\n`);
      }
    });

    test("copy-symlink makes the same link inside, once, and binds what is none", () => {
      for (const shape of shapes) {
        fixture.newRootfs();
        fixture.giveToMappedRoot();
        const script = "readlink /a/place; grep -c ' /a/place ' /proc/self/mountinfo";
        const run = () => fixture.run({ ...shape, mounts: from("copy-symlink"), script });
        expect(run().output).toBe(`${target()}\n0\n`);
        expect(run().output).toBe(`${target()}\n0\n`);
        const plain = [bind(target(), "/a/plain", "copy-symlink")];
        expect(fixture.run({ ...shape, mounts: plain, script: "cat /a/plain" }).output).toBe("content");
      }
      fixture.link("a/place", "/elsewhere");
      for (const existing of ["a/place", "etc"]) {
        const mounts = [bind(source(), `/${existing}`, "copy-symlink")];
        expect(fixture.run({ mounts, script: "true" }).failure).toMatchObject({
          kind: "mount.bind",
          op: "verify",
          errno: 17,
          path: existing,
        });
      }
    });

    test("dest-nofollow mounts over a link itself, not over what it leads to", () => {
      fixture.link("place", "/etc/real");
      writeFileSync(join(fixture.rootfs, "etc/real"), "covered?");
      const script = "cat /place /etc/real; grep -c ' /place ' /proc/self/mountinfo";
      const run = (...options: string[]) =>
        fixture.run({ mounts: [proc, bind(target(), "/place", ...options)], script }).output;
      expect(run()).toBe("contentcontent0\n");
      expect(run("dest-nofollow")).toBe("contentcovered?1\n");
      // What is missing is made, parents too.
      const missing = [bind(target(), "/b/c/d", "dest-nofollow")];
      expect(fixture.run({ mounts: missing, script: "cat /b/c/d" }).output).toBe("content");
    });

    test("dest-nofollow lets no link above the last component out of the root, nor into /proc", () => {
      fixture.link("up", "../../../../../../..");
      const outside = fixture.outside("made");
      const { output } = fixture.run({
        mounts: [bind(target(), `/up${outside}`, "dest-nofollow")],
        script: `cat ${outside}`,
      });
      expect(output).toBe("content");
      expect(existsSync(outside)).toBe(false);
      fixture.link("into", "/proc/sys/kernel");
      const { failure } = fixture.run({
        mounts: [proc, bind(target(), "/into/panic", "dest-nofollow")],
        script: "true",
      });
      expect(failure).toMatchObject({ kind: "mount.bind", op: "verify", text: "it lies inside a procfs" });
    });
  });

  test("do not lose a locked attribute in a user namespace", () => {
    fixture.giveToMappedRoot();
    const volume = fixture.makeDirectory("volume");
    // Not a source that the host opens: the one that the namespace has inherited, where the kernel locks what it has.
    const inherited: ContainerStep[] = [
      { kind: "ns.unshare", types: 0x1000_0000 | 0x2_0000 },
      {
        kind: "mount.bind",
        source: volume,
        slot: null,
        target: volume.slice(1),
        recursive: false,
        attrSet: MOUNT_ATTR.RDONLY,
        attrClear: MOUNT_ATTR.NOSUID,
        attrRecursive: false,
        propagation: 0,
        noSymlinks: false,
        magic: 0,
        links: 0,
      },
    ];
    const { failure } = fixture.run({
      first: [...asHost(hostTmpfs(volume, MOUNT_ATTR.NOSUID)), ...inherited],
      script: "true",
    });
    // Without mount_setattr a mount is attached before it is changed, and here the target is another namespace's.
    if (!kernelAtLeast(5, 12)) expect(failure).toMatchObject({ kind: "mount.bind" });
    else expect(failure).toMatchObject({ kind: "mount.bind", op: "mount_setattr", errno: 1 });
  });
});

describe("tmpfs", () => {
  test("has the mode of the directory that it covers, unless one is given", () => {
    mkdirSync(join(fixture.rootfs, "kept"));
    chmodSync(join(fixture.rootfs, "kept"), 0o1750);
    const { output, failure } = fixture.run({
      mounts: [tmpfs("/kept"), tmpfs("/given/new", "mode=0700,size=64k"), tmpfs("/made")],
      script: "stat -c '%a %n' /kept /given/new /made",
    });
    expect(failure).toBeUndefined();
    expect(output).toBe("1750 /kept\n700 /given/new\n1777 /made\n");
  });

  test("tmpcopyup brings the covered content along: modes, owners, links, nested directories", () => {
    const data = join(fixture.rootfs, "data");
    mkdirSync(join(data, "a/b"), { recursive: true });
    writeFileSync(join(data, "a/b/file"), "x".repeat(100_000));
    execFileSync("chown", ["12:34", join(data, "a/b/file")]);
    chmodSync(join(data, "a/b/file"), 0o4755);
    symlinkSync("/etc/shadow", join(data, "link"));
    const { output, failure } = fixture.run({
      mounts: [proc, tmpfs("/data", "tmpcopyup")],
      script:
        "stat -c '%a %u:%g %s' /data/a/b/file; readlink /data/link; rm -r /data/a; grep ' /data ' /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(output).toMatch(/^4755 12:34 100000\n\/etc\/shadow\n.* - tmpfs tmpfs/);
    expect(existsSync(join(data, "a/b/file"))).toBe(true);
  });

  test("and /dev become read-only after what lies in them was made", () => {
    const { output, failure } = fixture.run({
      mounts: [
        ...defaultMounts.map((mount) =>
          mount.destination === "/dev" ? { ...mount, options: [...(mount.options ?? []), "ro"] } : mount,
        ),
        tmpfs("/run", "ro"),
        bind("/etc/passwd", "/run/secrets/file"),
      ],
      script: "test -s /run/secrets/file && echo there; touch /run/x /dev/x; echo >/dev/null; cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(output).toMatch(/^there\ntouch: \/run\/x: Read-only file system\ntouch: \/dev\/x: Read-only file system\n/);
    expect(mountAt(output, "/run")?.options).toContain("ro");
  });
});

describe("other file systems", () => {
  const layers = (): string[] => {
    const top = "layer-with-a-name-that-is-so-long-that-a-few-of-them-exceed-what-fsconfig-takes";
    const lower = [1, 2, 3, 4].map((n) => fixture.makeDirectory(`${top}-${n}`));
    for (const [n, path] of lower.entries()) writeFileSync(join(path, `file-${n}`), "");
    return lower;
  };

  test("an option longer than fsconfig takes goes through mount(2), onto the same target", () => {
    const lowerdir = `lowerdir=${layers().join(":")}`;
    expect(lowerdir.length).toBeGreaterThan(256);
    const { output, failure } = fixture.run({
      mounts: [
        proc,
        {
          destination: "/merged",
          type: "overlay",
          source: "overlay",
          options: [lowerdir, "nosuid", "noatime", "rprivate"],
        },
      ],
      script: "ls /merged; cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(output).toMatch(/^file-0\nfile-1\nfile-2\nfile-3\n/);
    expect(mountAt(output, "/merged")).toMatchObject({ type: "overlay", propagation: [] });
    expect(mountAt(output, "/merged")?.options).toEqual(["rw", "nosuid", "noatime"]);
  });

  test("there may be more layers than one page of options holds, names with colons too", () => {
    const layer = (n: number) => fixture.makeDirectory(`layer:${n}-${"x".repeat(90)}`);
    const lower = Array.from({ length: 50 }, (_, n) => layer(n));
    for (const [n, path] of lower.entries()) writeFileSync(join(path, `file-${n}`), "");
    const lowerdir = `lowerdir=${lower.map((path) => path.replaceAll(":", "\\:")).join(":")}`;
    expect(lowerdir.length).toBeGreaterThan(4096);
    const [upper, work] = ["upper", "work"].map((name) => fixture.makeDirectory(name));
    const { output, failure } = fixture.run({
      mounts: [
        {
          destination: "/merged",
          type: "overlay",
          source: "overlay",
          options: [lowerdir, `upperdir=${upper}`, `workdir=${work}`],
        },
      ],
      script: "ls /merged | grep -c file; echo x >/merged/new",
    });
    expect(failure).toBeUndefined();
    expect(output).toBe("50\n");
    expect(existsSync(join(upper as string, "new"))).toBe(true);
  });

  test("an option that only mount(2) knows does so too", () => {
    const { output, failure } = fixture.run({
      mounts: [proc, tmpfs("/t", "silent", "iversion", "mode=711", "nodev")],
      script: "stat -c %a /t; cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(output).toMatch(/^711\n/);
    expect(mountAt(output, "/t")).toMatchObject({ type: "tmpfs", options: ["rw", "nodev", "relatime"] });
  });

  test("super block options and read-only reach the file system", () => {
    const lower = layers();
    const { output, failure } = fixture.run({
      mounts: [
        proc,
        tmpfs("/t", "sync", "dirsync", "async"),
        { destination: "/o", type: "overlay", source: "overlay", options: ["ro", `lowerdir=${lower[0]}:${lower[1]}`] },
      ],
      script: "cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, "/t")?.superOptions).toEqual(expect.arrayContaining(["rw", "dirsync"]));
    expect(mountAt(output, "/o")?.superOptions).toContain("ro");
  });

  test("an unknown option is an error with the kernel's own words, an unknown type one too", () => {
    expect(fixture.run({ mounts: [tmpfs("/t", "no-such-option")], script: "true" }).failure).toMatchObject({
      kind: "mount.filesystem",
      op: "fsconfig",
      errno: 22,
      path: "no-such-option",
      text: expect.stringContaining("no-such-option"),
    });
    expect(
      fixture.run({ mounts: [{ destination: "/t", type: "nosuchfs", source: "x" }], script: "true" }).failure,
    ).toMatchObject({ op: "fsopen", errno: 19, path: "nosuchfs" });
  });

  test("what must be of a type and is not, is refused", () => {
    const step = { ...hostTmpfs("/wrong", 0), magic: 0x9fa0 } as ContainerStep;
    const { failure } = fixture.run({ mounts: [], beforePivot: [step], script: "true" });
    expect(failure).toMatchObject({ kind: "mount.filesystem", op: "verify", path: "wrong" });
  });

  test("a mount on the root itself is the container's root from then on", () => {
    const { output, failure } = fixture.run({
      mounts: [bind(fixture.rootfs, "/", "nosuid"), proc],
      script: "cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, "/")?.options).toContain("nosuid");
    expect(mountAt(output, "/proc")?.type).toBe("proc");
  });

  test("remount changes what is there", () => {
    const { output, failure } = fixture.run({
      mounts: [
        proc,
        tmpfs("/t"),
        { destination: "/t", type: "tmpfs", options: ["remount", "ro", "nosuid"] },
        { destination: "/t", type: "none", options: ["shared"] },
      ],
      script: "cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(parseMounts(output).filter(({ point }) => point === "/t")).toHaveLength(1);
    expect(mountAt(output, "/t")?.options).toEqual(["ro", "nosuid", "relatime"]);
    expect(mountAt(output, "/t")?.propagation).toEqual([expect.stringMatching(/^shared:/)]);
  });
});

describe("cgroup file systems", () => {
  const group = `tsrun-test/mounts-${process.pid}`;
  const v1 = ["memory", "pids"].filter((name) => existsSync(`/sys/fs/cgroup/${name}/cgroup.procs`));
  const unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) => existsSync(`${path}/cgroup.controllers`));
  const hybrid: HostFacts["cgroup"] = {
    mode: "hybrid",
    hierarchies: v1.map((name) => ({
      version: 1,
      mountPoint: `/sys/fs/cgroup/${name}` as AbsPath,
      controllers: [name],
      own: "/",
      writable: true,
    })),
  };
  const v2: HostFacts["cgroup"] = {
    mode: "v2",
    hierarchies: [{ version: 2, mountPoint: (unified ?? "") as AbsPath, controllers: [], own: "/", writable: true }],
  };
  const mount: Mounts[number] = {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
  };
  const place = (hierarchy: string, version: 1 | 2, path = `/${group}`) =>
    ({ hierarchy, path, version, controllers: [], created: true }) as const;
  const made = [...v1.map((name) => `/sys/fs/cgroup/${name}/${group}`), ...(unified ? [`${unified}/${group}`] : [])];
  beforeAll(() => {
    for (const path of made) mkdirSync(path, { recursive: true });
  });
  afterAll(() => {
    for (const path of made) {
      rmdirSync(path);
      const parent = dirname(path);
      // Unless another test's group is in it.
      if (!readdirSync(parent, { withFileTypes: true }).some((entry) => entry.isDirectory())) rmdirSync(parent);
    }
  });
  const withNamespace = { namespaces: [...defaultNamespaces, { type: "cgroup" as const }] };
  const script = "cat /proc/self/mountinfo; ls /sys/fs/cgroup /sys/fs/cgroup/memory";
  const onV1 = v1.length > 0 ? test : test.skip; // skipped: no v1 hierarchies on this host
  const onV2 = unified === undefined ? test.skip : test; // skipped: no cgroup2 on this host

  onV1("v1 with a cgroup namespace: each hierarchy, read-only if asked, below a read-only tmpfs", () => {
    const { output, failure } = fixture.run({
      cgroup: hybrid,
      linux: withNamespace,
      mounts: [...defaultMounts, mount],
      script: `${script}; mkdir /sys/fs/cgroup/x /sys/fs/cgroup/memory/x`,
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, "/sys/fs/cgroup")).toMatchObject({ type: "tmpfs", options: expect.arrayContaining(["ro"]) });
    for (const name of v1) {
      expect(mountAt(output, `/sys/fs/cgroup/${name}`)).toMatchObject({
        type: "cgroup",
        options: ["ro", "nosuid", "nodev", "noexec", "relatime"],
        superOptions: expect.arrayContaining([name]),
      });
    }
    expect(output.match(/Read-only file system/g)).toHaveLength(2);
  });

  onV1("v1 without one: the container's own cgroups only, and links for controllers that share one", () => {
    // Not every host has such a hierarchy; a directory will do.
    const mountPoint = fixture.makeDirectory("cpu,cpuacct") as AbsPath;
    fixture.makeDirectory(`cpu,cpuacct/${group}`);
    const shared = { version: 1, mountPoint, controllers: ["cpu", "cpuacct"], own: "/", writable: true } as const;
    const both: HostFacts["cgroup"] = { mode: "v1", hierarchies: [...hybrid.hierarchies, shared] };
    const { output, failure } = fixture.run({
      cgroup: both,
      places: [...v1.map((name) => place(`/sys/fs/cgroup/${name}`, 1)), place(mountPoint, 1)],
      mounts: [...defaultMounts, { ...mount, options: [] }],
      script: `${script}; readlink /sys/fs/cgroup/cpuacct`,
    });
    expect(failure).toBeUndefined();
    for (const name of v1) {
      expect(mountAt(output, `/sys/fs/cgroup/${name}`)).toMatchObject({ root: `/${group}`, type: "cgroup" });
      expect(mountAt(output, `/sys/fs/cgroup/${name}`)?.options).toContain("rw");
    }
    expect(output).toContain("cpu,cpuacct\n");
    expect(output).not.toContain("tsrun-test\n");
  });

  onV1("the root of a hierarchy, which is everybody's, is read-only even if nobody asked", () => {
    const { output } = fixture.run({
      cgroup: hybrid,
      places: v1.map((name) => place(`/sys/fs/cgroup/${name}`, 1, "/")),
      mounts: [...defaultMounts, { ...mount, options: ["rw"] }],
      script: `cat /proc/self/mountinfo; mkdir /sys/fs/cgroup/${v1[0]}/x && rmdir /sys/fs/cgroup/${v1[0]}/x`,
    });
    expect(mountAt(output, `/sys/fs/cgroup/${v1[0]}`)?.options).toContain("ro");
    expect(output).toContain("Read-only file system");
  });

  onV2("v2 with a cgroup namespace is the file system itself", () => {
    const { output, failure } = fixture.run({
      cgroup: v2,
      linux: withNamespace,
      mounts: [...defaultMounts, mount],
      script: "cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, "/sys/fs/cgroup")).toMatchObject({ type: "cgroup2", source: "cgroup" });
    expect(mountAt(output, "/sys/fs/cgroup")?.options).toContain("ro");
  });

  onV2("v2 without one: the container's own cgroup, or nothing", () => {
    const own = fixture.run({
      cgroup: v2,
      places: [place(unified as string, 2)],
      mounts: [...defaultMounts, mount],
      script: "cat /proc/self/mountinfo",
    });
    expect(own.failure).toBeUndefined();
    expect(mountAt(own.output, "/sys/fs/cgroup")).toMatchObject({ root: `/${group}`, type: "cgroup2" });
    const none = fixture.run({
      cgroup: v2,
      mounts: [...defaultMounts, { ...mount, options: [] }],
      script: "cat /proc/self/mountinfo; ls -A /sys/fs/cgroup",
    });
    expect(mountAt(none.output, "/sys/fs/cgroup")).toMatchObject({ type: "tmpfs" });
    expect(mountAt(none.output, "/sys/fs/cgroup")?.options).toContain("ro");
  });
});
