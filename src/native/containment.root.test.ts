/**
 * Hostile root file systems: each test builds an attack of a known kind against the set-up of root, mounts, devices and
 * paths, and shows that nothing outside is read, written or kept, and that an error, where there is one, says why.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { ContainerStep } from "../plan/vocabulary.ts";
import {
  ContainerFixture,
  type ContainerRequest,
  defaultMounts,
  defaultNamespaces,
  hostMounts,
  type Mounts,
  mountAt,
} from "./container.fixture.ts";

let fixture: ContainerFixture;
let before: string;
/** A directory of the host that an attack aims at, and what is in it. */
let victim: string;
beforeAll(() => {
  fixture = new ContainerFixture();
});
afterAll(() => fixture.close());
beforeEach(() => {
  fixture.newRootfs();
  victim = fixture.outside("victim");
  rmSync(victim, { recursive: true, force: true });
  mkdirSync(victim);
  writeFileSync(join(victim, "secret"), "host secret");
  before = hostMounts();
});
afterEach(() => {
  expect(hostMounts()).toBe(before);
  expect(readdirSync(victim)).toEqual(["secret"]);
  expect(readFileSync(join(victim, "secret"), "utf8")).toBe("host secret");
});

const tmpfs = (destination: string): Mounts[number] => ({ destination, type: "tmpfs", source: "tmpfs" });
const volume = (destination: string): Mounts[number] => ({
  destination,
  type: "bind",
  source: fixture.makeDirectory("volume"),
  options: ["bind"],
});
/** The way from the root file system to the host's root, and more. */
const up = "../".repeat(30);

describe("mount targets (CVE-2021-30465, CVE-2019-18837, CVE-2024-45310)", () => {
  const ways: [string, (target: string) => void][] = [
    ["an absolute link", (target) => fixture.link("t", target)],
    ["a link upwards", (target) => fixture.link("t", `${up}${target}`)],
    [
      "a chain of links",
      (target) => {
        fixture.link("t", "etc/one");
        fixture.link("etc/one", `${up}tmp/two`);
        fixture.link("tmp/two", target);
      },
    ],
  ];

  test.each(ways)("%s leads inside: what is there is mounted over, what is missing is made there", (_, link) => {
    link(victim);
    const { output, failure } = fixture.run({
      mounts: [...defaultMounts, tmpfs("/t"), volume("/t/deep/er")],
      script: `cat /proc/self/mountinfo; ls ${victim}`,
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, victim)?.type).toBe("tmpfs");
    expect(mountAt(output, `${victim}/deep/er`)).toBeDefined();
    expect(output).toMatch(/^deep$/m);
  });

  test.each(ways)("a file at the end of %s is made inside", (_, link) => {
    link(join(victim, "new-file"));
    const { output, failure } = fixture.run({
      mounts: [{ destination: "/t", type: "bind", source: "/etc/passwd", options: ["bind"] }],
      script: `cat ${victim}/new-file`,
    });
    expect(failure).toBeUndefined();
    expect(output).toBe(readFileSync("/etc/passwd", "utf8"));
  });

  test("a loop of links is an error", () => {
    fixture.link("t", "etc/one");
    fixture.link("etc/one", "/t");
    const { failure } = fixture.run({ mounts: [tmpfs("/t/x")], script: "true" });
    expect(failure).toMatchObject({ kind: "mount.filesystem", op: "openat2", errno: 40, path: "t/x" });
  });

  test("`..` in a destination stops at the root", () => {
    const { output, failure } = fixture.run({
      mounts: [...defaultMounts, tmpfs(`/${up}${victim}`)],
      script: "cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, victim)?.type).toBe("tmpfs");
  });

  test("a volume of another container with links in it does not help", () => {
    const evil = fixture.makeDirectory("evil");
    rmSync(join(evil, "sub"), { force: true });
    execFileSync("ln", ["-s", victim, join(evil, "sub")]);
    const { output, failure } = fixture.run({
      mounts: [
        ...defaultMounts,
        { destination: "/evil", type: "bind", source: evil, options: ["bind"] },
        tmpfs("/evil/sub/made"),
      ],
      script: "cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, `${victim}/made`)?.type).toBe("tmpfs");
  });

  test("a process that swaps a directory for a link all the time gains nothing", () => {
    const evil = fixture.makeDirectory("race");
    execFileSync("sh", ["-c", `cd ${evil} && rm -rf * && mkdir sub other && ln -s ${victim} link`]);
    const swap = `cd ${evil}; while :; do mv -T sub away; mv -T link sub; mv -T sub link; mv -T away sub; done`;
    const racer = spawn("sh", ["-c", swap], { stdio: "ignore" });
    try {
      for (let i = 0; i < 60; i++) {
        const { output, failure } = fixture.run({
          mounts: [
            ...defaultMounts.slice(0, 1),
            { destination: "/v", type: "bind", source: evil, options: ["bind"] },
            tmpfs("/v/sub/made"),
          ],
          script: "cat /proc/self/mountinfo",
        });
        if (failure === undefined) {
          expect([`/v/sub/made`, `/v/away/made`, `${victim}/made`, "/v/link/made"]).toContain(
            output
              .split("\n")
              .map((line) => line.split(" ")[4] ?? "")
              .find((point) => point.endsWith("/made")),
          );
        }
        expect(readdirSync(victim)).toEqual(["secret"]);
      }
    } finally {
      racer.kill("SIGKILL");
    }
  });
});

describe("/proc and /sys of the image (CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-54867)", () => {
  test.each(["proc", "sys"])("/%s as a link is refused", (name) => {
    mkdirSync(join(fixture.rootfs, "tmp/elsewhere"));
    for (const target of ["tmp/elsewhere", "/tmp/elsewhere", victim, "dangling"]) {
      fixture.link(name, target);
      expect(fixture.run({ script: "true" }).failure).toMatchObject({
        kind: "mount.filesystem",
        op: "openat2",
        errno: 40,
        path: name,
      });
    }
  });

  test("a link that leads into /proc gets no mount, whatever the destination is called", () => {
    for (const target of ["/proc/self/attr", "/proc/sys", "proc"]) {
      fixture.link("t", target);
      for (const mount of [tmpfs("/t"), volume("/t")]) {
        expect(fixture.run({ mounts: [...defaultMounts, mount], script: "true" }).failure).toMatchObject({
          op: "verify",
          path: "t",
          text: "it lies inside a procfs",
        });
      }
    }
  });

  test("a bind on /proc must be a procfs", () => {
    expect(fixture.run({ mounts: [volume("/proc")], script: "true" }).failure).toMatchObject({
      kind: "mount.bind",
      op: "verify",
      text: "a file system of another type",
    });
    const { output, failure } = fixture.run({
      mounts: [{ destination: "/proc", type: "bind", source: "/proc", options: ["rbind"] }],
      script: "cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, "/proc")?.type).toBe("proc");
  });
});

describe("/dev of the image (CVE-2026-41579, CVE-2026-47766)", () => {
  const noDev = defaultMounts.filter(({ destination }) => !destination.startsWith("/dev"));

  test.each([
    ["with a tmpfs on /dev", defaultMounts],
    ["without a mount on /dev", noDev],
  ])("as a link %s: nodes and links are made inside", (_, mounts) => {
    fixture.link("dev", victim);
    const { output, failure } = fixture.run({ mounts, script: `ls -l ${victim}; readlink /dev/ptmx` });
    expect(failure).toBeUndefined();
    for (const name of ["null", "ptmx", "fd", "stdin", "core"])
      expect(output).toMatch(new RegExp(` ${name}( ->.*)?$`, "m"));
    expect(output).toMatch(/^pts\/ptmx$/m);
  });

  test("/dev/ptmx as a link to a file of the host: the link is replaced, the file stays", () => {
    mkdirSync(join(fixture.rootfs, "dev"));
    fixture.link("dev/ptmx", join(victim, "secret"));
    const { output, failure } = fixture.run({ mounts: noDev, script: "readlink /dev/ptmx" });
    expect(failure).toBeUndefined();
    expect(output).toBe("pts/ptmx\n");
  });

  test("/dev/null as something else: no device is made over it, and nothing is masked with it", () => {
    mkdirSync(join(fixture.rootfs, "dev"));
    fixture.link("dev/null", join(victim, "secret"));
    expect(fixture.run({ mounts: noDev, script: "true" }).failure).toMatchObject({
      kind: "device.create",
      op: "verify",
      path: "dev/null",
    });
  });
});

describe("masks (CVE-2025-31133, CVE-2025-62161)", () => {
  const withDev = (dev: string): ContainerRequest => ({
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "bind", source: dev, options: ["rbind"] },
    ],
    linux: { namespaces: defaultNamespaces, maskedPaths: ["/etc/masked"] },
    script: "true",
  });

  test("a /dev/null that is not the null device masks nothing", () => {
    writeFileSync(join(fixture.rootfs, "etc/masked"), "hidden");
    const dev = fixture.makeDirectory("fake-dev");
    const fakes = [
      `ln -s /proc/sys/kernel/core_pattern ${dev}/null`,
      `touch ${dev}/null`,
      `mknod ${dev}/null c 1 5`,
      `mkfifo ${dev}/null`,
      `mkdir ${dev}/null`,
    ];
    for (const fake of fakes) {
      execFileSync("sh", ["-c", `rm -rf ${dev}/null; ${fake}`]);
      expect(fixture.run(withDev(dev)).failure).toMatchObject({
        kind: "path.mask",
        op: "verify",
        path: "dev/null",
        text: "not the null device",
      });
    }
    rmSync(join(dev, "null"), { recursive: true });
    expect(fixture.run(withDev(dev)).failure).toMatchObject({ kind: "path.mask", errno: 2, path: "dev/null" });
  });

  test("a masked or read-only path that is a link hides what it leads to inside", () => {
    fixture.link("etc/masked", join(victim, "secret"));
    const { failure } = fixture.run({
      linux: { namespaces: defaultNamespaces, maskedPaths: ["/etc/masked"], readonlyPaths: ["/etc/masked"] },
      script: "true",
    });
    // Inside there is no such file: nothing to hide.
    expect(failure).toBeUndefined();
    expect(statSync(join(victim, "secret")).mode & 0o200).toBe(0o200);
  });
});

describe("files of our own (CVE-2025-24965)", () => {
  test("directories, devices and links lie inside whatever the image's links say", () => {
    fixture.link("work", victim);
    const steps: ContainerStep[] = [
      { kind: "fs.mkdir", path: "work/made", mode: 0o755 },
      { kind: "fs.symlink", target: "x", path: "work/link", replace: true },
      {
        kind: "device.create",
        path: "work/node",
        type: 0o020000,
        major: 1,
        minor: 3,
        mode: 0o666,
        uid: 5,
        gid: 5,
        bindFrom: "",
      },
    ];
    for (const when of ["beforePivot", "atEnd"] as const) {
      const { output, failure } = fixture.run({ [when]: steps, script: `ls ${victim}` });
      expect(failure).toBeUndefined();
      expect(output).toBe("link\nmade\nnode\n");
      execFileSync("rm", ["-rf", join(fixture.rootfs, victim)]);
    }
  });

  test("a name that is none is refused", () => {
    for (const path of ["", "x/..", "x/."]) {
      const step: ContainerStep = { kind: "fs.symlink", target: "x", path, replace: true };
      expect(fixture.run({ beforePivot: [step], script: "true" }).failure).toMatchObject({
        op: "verify",
        text: "no name for a file",
      });
    }
  });
});

describe("descriptors and directories of the host (CVE-2024-21626)", () => {
  test("none is left to the program", () => {
    const { output, failure } = fixture.run({
      atEnd: [{ kind: "fds.closeOnExec", first: 3 }],
      script: `for f in /proc/self/fd/* /proc/self/cwd /proc/1/fd/* /proc/1/cwd; do readlink $f; done; cat /proc/self/cwd/../../../${victim}/secret`,
    });
    expect(failure).toBeUndefined();
    expect(output).not.toContain("host secret");
    expect(output).toContain("No such file");
    const seen = output.split("\n").filter((line) => line.startsWith("/"));
    expect(new Set(seen)).toEqual(new Set(["/", "/dev/null", "/host/output"].filter((path) => seen.includes(path))));
  });

  test("tmpcopyup follows no link out of the image", () => {
    mkdirSync(join(fixture.rootfs, "data"));
    fixture.link("data/out", victim);
    fixture.link("data/file", join(victim, "secret"));
    fixture.link("start", `${up}${victim}`);
    const copy = (destination: string): Mounts[number] => ({ ...tmpfs(destination), options: ["tmpcopyup"] });
    const { output, failure } = fixture.run({
      mounts: [...defaultMounts, copy("/data"), copy("/start")],
      script: `readlink /data/out; readlink /data/file; ls -A ${victim}; cat /data/file`,
    });
    expect(failure).toBeUndefined();
    expect(output).toContain(`${victim}\n${victim}/secret\n`);
    expect(output).not.toContain("host secret");
  });

  test("the rootfs keeps no mount point of a failed create outside of itself", () => {
    fixture.link("t", victim);
    const { failure } = fixture.run({
      mounts: [tmpfs("/t/a"), { destination: "/x", type: "nosuchfs" }],
      script: "true",
    });
    expect(failure).toMatchObject({ op: "fsopen" });
    expect(existsSync(join(victim, "a"))).toBe(false);
  });
});
