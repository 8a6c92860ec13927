/** Devices, links of /dev, masked and read-only paths, carried out. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { ContainerStep } from "../plan/vocabulary.ts";
import {
  ContainerFixture,
  defaultNamespaces,
  hostMounts,
  type Mounts,
  mountAt,
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
afterEach(() => expect(hostMounts()).toBe(before));

const proc: Mounts[number] = { destination: "/proc", type: "proc", source: "proc" };
const namespaces = defaultNamespaces;
/** stat's %t and %T are hexadecimal. */
const look = "for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a %u:%g' /dev/$d; done";
const defaults = ["null 1:3", "zero 1:5", "full 1:7", "random 1:8", "urandom 1:9", "tty 5:0"];

describe("default devices", () => {
  const wanted = defaults.map((each) => {
    const [name, number] = each.split(" ");
    return `/dev/${name} character special file ${number} 666 0:0`;
  });

  test("are nodes with mode 0666, whatever the umask, and links lead where they should", () => {
    const mask = process.umask(0o077);
    try {
      const { output, failure } = fixture.run({
        script: `${look}; for l in ptmx fd stdin stdout stderr core; do readlink /dev/$l; done; stat -c %a /dev/shm/.. /sys`,
      });
      expect(failure).toBeUndefined();
      expect(output.split("\n").slice(0, 6)).toEqual(wanted);
      expect(output.split("\n").slice(6, 12)).toEqual([
        "pts/ptmx",
        "/proc/self/fd",
        "/proc/self/fd/0",
        "/proc/self/fd/1",
        "/proc/self/fd/2",
        "/proc/kcore",
      ]);
      expect(execFileSync("stat", ["-c", "%a", join(fixture.rootfs, "sys")], { encoding: "utf8" })).toBe("755\n");
    } finally {
      process.umask(mask);
    }
  });

  test("are the host's in a user namespace, and work", () => {
    fixture.giveToMappedRoot();
    const { output, failure } = fixture.run({
      linux: { namespaces: [...namespaces, { type: "user" }], ...userMappings },
      script: `${look}; echo >/dev/null && cat /dev/null && echo works; cat /proc/self/mountinfo`,
    });
    expect(failure).toBeUndefined();
    for (const each of defaults) expect(output).toMatch(new RegExp(`special file ${each.split(" ")[1]} 666 `));
    expect(output).toContain("works\n");
    expect(mountAt(output, "/dev/null")?.root).toMatch(/null$/);
  });

  test("of a user namespace are bound, whatever mode and owner are asked for: those are the host's; a fifo has its own", () => {
    fixture.giveToMappedRoot();
    const device = { path: "/dev/zero", type: "c", major: 1, minor: 5, fileMode: 0o600, uid: 7, gid: 7 };
    const { output, failure } = fixture.run({
      linux: {
        namespaces: [...namespaces, { type: "user" }],
        ...userMappings,
        devices: [device, { path: "/run/fifo", type: "p", fileMode: 0o640, uid: 7, gid: 8 }],
      },
      script: "stat -c '%F %a %u:%g' /dev/zero /run/fifo; chmod 777 /dev/zero",
    });
    expect(failure).toBeUndefined();
    expect(output).toBe(
      "character special file 666 65534:65534\nfifo 640 7:8\nchmod: /dev/zero: Operation not permitted\n",
    );
    expect(execFileSync("stat", ["-c", "%a %u:%g", "/dev/zero"], { encoding: "utf8" })).toBe("666 0:0\n");
  });

  test("are the host's where mknod is not permitted", () => {
    const status = readFileSync("/proc/self/status", "utf8");
    const held = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1]}`);
    const CAP_MKNOD = 1n << 27n;
    const permitted = held & ~CAP_MKNOD;
    const drop: ContainerStep = { kind: "caps.apply", effective: permitted, permitted, inheritable: 0, ambient: 0 };
    const { output, failure } = fixture.run({ first: [drop], script: `${look}; echo >/dev/null && echo works` });
    expect(failure).toBeUndefined();
    for (const each of defaults) expect(output).toMatch(new RegExp(`special file ${each.split(" ")[1]} 666 `));
    expect(output).toContain("works\n");
  });

  test("are none of our business in a /dev from the host", () => {
    const dev = fixture.makeDirectory("dev");
    const { output, failure } = fixture.run({
      mounts: [proc, { destination: "/dev", type: "bind", source: dev, options: ["rbind"] }],
      script: "ls /dev",
    });
    expect(failure).toBeUndefined();
    expect(output).toBe("");
  });
});

describe("devices of the configuration", () => {
  test("have their type, numbers, mode and owner; parents are made; one may replace a default device", () => {
    const { output, failure } = fixture.run({
      linux: {
        namespaces,
        devices: [
          { path: "/dev/deep/er/block", type: "b", major: 7, minor: 300, fileMode: 0o640, uid: 12, gid: 34 },
          { path: "/elsewhere/char", type: "u", major: 10, minor: 229 },
          { path: "/dev/fifo", type: "p", major: 1, minor: 2, fileMode: 0o4600 },
          { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o600 },
          { path: "/dev/ptmx", type: "c", major: 5, minor: 2 },
        ],
      },
      script:
        "stat -c '%F %t:%T %a %u:%g' /dev/deep/er/block /elsewhere/char /dev/fifo /dev/null; readlink /dev/ptmx; stat -c %a /dev/deep",
    });
    expect(failure).toBeUndefined();
    expect(output).toBe(
      [
        "block special file 7:12c 640 12:34",
        "character special file a:e5 666 0:0",
        "fifo 0:0 4600 0:0",
        "character special file 1:3 600 0:0",
        "pts/ptmx",
        "755",
        "",
      ].join("\n"),
    );
  });

  test("that are there already are left, and another file in their place is an error", () => {
    mkdirSync(join(fixture.rootfs, "x"));
    execFileSync("mknod", ["-m", "600", join(fixture.rootfs, "x/same"), "c", "1", "5"]);
    const device = (path: string) => ({ path, type: "c", major: 1, minor: 5 });
    const run = (path: string) =>
      fixture.run({ linux: { namespaces, devices: [device(path)] }, script: `stat -c %a ${path}` });
    expect(run("/x/same").output).toBe("600\n");
    writeFileSync(join(fixture.rootfs, "x/file"), "");
    execFileSync("mknod", [join(fixture.rootfs, "x/other"), "c", "1", "7"]);
    fixture.link("x/link", "/x/same");
    for (const name of ["file", "other", "link"]) {
      expect(run(`/x/${name}`).failure).toMatchObject({
        kind: "device.create",
        op: "verify",
        errno: 17,
        path: `x/${name}`,
        text: "another file is there",
      });
    }
  });

  test("that are bound are checked to be what is asked for", () => {
    const step: ContainerStep = {
      kind: "device.bind",
      source: "/dev/zero",
      path: "dev/wrong",
      type: 0o020000,
      major: 1,
      minor: 3,
    };
    expect(fixture.run({ beforePivot: [step], script: "true" }).failure).toMatchObject({
      kind: "device.bind",
      op: "verify",
      path: "/dev/zero",
    });
  });
});

describe("masked and read-only paths", () => {
  test("files read as nothing, directories are empty; what is missing does not matter; a mask wins", () => {
    mkdirSync(join(fixture.rootfs, "secret/inner"), { recursive: true });
    writeFileSync(join(fixture.rootfs, "secret/inner/file"), "hidden");
    writeFileSync(join(fixture.rootfs, "file"), "hidden");
    mkdirSync(join(fixture.rootfs, "second"));
    writeFileSync(join(fixture.rootfs, "second/file"), "hidden");
    fixture.link("through", "/secret");
    const { output, failure } = fixture.run({
      linux: {
        namespaces,
        maskedPaths: ["/file", "/through", "/second", "/missing", "/file/below", "/proc/kcore", "/proc/acpi"],
        readonlyPaths: ["/secret", "/missing"],
      },
      script:
        "cat /file; ls /secret /second; touch /secret/x /second/x; echo x >/file && echo swallowed; stat -c '%t:%T' /file; cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(output).not.toContain("hidden");
    expect(output).toContain("touch: /secret/x: Read-only file system");
    expect(output).toContain("touch: /second/x: Read-only file system");
    expect(output).toContain("swallowed\n1:3\n");
    expect(mountAt(output, "/secret")).toMatchObject({
      type: "tmpfs",
      options: ["ro", "nosuid", "nodev", "noexec", "relatime"],
    });
  });

  test("read-only paths can be read, not written; what is mounted below them stays as it was", () => {
    mkdirSync(join(fixture.rootfs, "data/rw"), { recursive: true });
    writeFileSync(join(fixture.rootfs, "data/file"), "read me\n");
    const { output, failure } = fixture.run({
      mounts: [proc, { destination: "/data/rw", type: "tmpfs", source: "tmpfs", options: ["nosuid"] }],
      linux: { namespaces, readonlyPaths: ["/data", "/proc/sys"] },
      script:
        "cat /data/file; echo x >/data/file; touch /data/rw/x && echo made; echo 1 >/proc/sys/kernel/panic; cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(output).toContain("read me\nsh: can't create /data/file: Read-only file system\nmade\n");
    expect(output).toContain("can't create /proc/sys/kernel/panic: Read-only file system");
    expect(mountAt(output, "/data/rw")?.options).toEqual(["rw", "nosuid", "relatime"]);
  });

  test("work in a user namespace", () => {
    writeFileSync(join(fixture.rootfs, "file"), "hidden");
    mkdirSync(join(fixture.rootfs, "directory/inner"), { recursive: true });
    fixture.giveToMappedRoot();
    const { output, failure } = fixture.run({
      linux: {
        namespaces: [...namespaces, { type: "user" }],
        ...userMappings,
        maskedPaths: ["/file", "/directory", "/proc/acpi", "/sys/firmware"],
        readonlyPaths: ["/proc/sys", "/proc/bus"],
      },
      script: "cat /file; ls /directory; echo 1 >/proc/sys/kernel/panic",
    });
    expect(failure).toBeUndefined();
    expect(output).toBe("sh: can't create /proc/sys/kernel/panic: Read-only file system\n");
  });
});

test("a directory for the program is made with its parents", () => {
  rmSync(join(fixture.rootfs, "work"), { recursive: true, force: true });
  const { output, failure } = fixture.run({
    atEnd: [{ kind: "fs.mkdir", path: "work/a/b", mode: 0o711 }],
    script: "stat -c '%a' /work /work/a /work/a/b",
  });
  expect(failure).toBeUndefined();
  expect(output).toBe("755\n755\n711\n");
});
