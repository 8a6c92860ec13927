/**
 * Row 2 of docs/security.md (CVE-2024-21626, CVE-2016-9962): a descriptor or working directory of the host leaks into a
 * container or an exec'd process.
 */
import { spawnSync } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, RUNTIME, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
  writeFileSync(join(box.work, "secret"), "host secret");
});
afterAll(() => box.close());

/** What Node or a Go runtime has open is among these. */
const numbers = Array.from({ length: 22 }, (_, i) => i + 3);
/** Reaches the host's secret from a directory outside of the root, if it is one. */
const look = (): string =>
  `pwd; up=; for i in 1 2 3 4 5 6 7 8; do up=../$up; cat $up${box.work}/secret; done 2>/dev/null`;
const writable = (config: Config): void => {
  config.root.readonly = false;
};
/** Refused, or somewhere inside. */
function expectInside({ status, stdout, stderr }: { status: number | null; stdout: string; stderr: string }): void {
  expect(stdout).not.toContain("host secret");
  if (status === 0) expect(stdout).toMatch(/^\//);
  else expect(stderr).toMatch(/cwd|chdir|directory|getcwd|fd\/\d+/);
}

describe("a working directory that is a descriptor of the runtime's", () => {
  test("is none in the container, whichever number it has", () => {
    const bundle = box.bundle(look(), writable);
    const config = JSON.parse(JSON.stringify(require(join(bundle, "config.json")))) as Config;
    for (const number of numbers) {
      config.process.cwd = `/proc/self/fd/${number}`;
      writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
      expectInside(box.run(["run", "--bundle", bundle, box.id()]));
    }
  });

  test("is none of an exec'd process, given as it is or as a link of the image", () => {
    const links = numbers.map((number) => `ln -s /proc/self/fd/${number} /tmp/${number}`).join("; ");
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle(`${links}; touch /tmp/ready; sleep 1000`, writable), id]);
    while (box.run(["exec", id, "test", "-e", "/tmp/ready"]).status !== 0);
    for (const number of numbers) {
      for (const cwd of [`/proc/self/fd/${number}`, `/proc/1/fd/${number}`, `/tmp/${number}`]) {
        expectInside(box.run(["exec", "--cwd", cwd, id, "sh", "-c", look()]));
      }
    }
    box.ok(["delete", "--force", id]);
  });
});

test("a directory that the caller hands to the program is none to begin in, whatever way leads to it", () => {
  const ways = ["/proc/self/fd/3", "/proc/thread-self/fd/3", "/tmp/way", "/tmp/way/etc"];
  const handed = (bundle: string, ...args: string[]) =>
    spawnSync("sh", ["-c", 'exec 3</; exec "$@"', "sh", RUNTIME, "--root", box.root, ...args], {
      encoding: "utf8",
      cwd: bundle,
      env: { PATH: process.env.PATH },
    });
  const link = (at: string) => symlinkSync("/proc/self/fd/3", join(at, "rootfs/tmp/way"));
  for (const way of ways) {
    const bundle = box.bundle(look(), (config, at) => {
      writable(config);
      link(at);
      config.process.cwd = way;
    });
    const result = handed(bundle, "run", "--preserve-fds", "1", "--bundle", bundle, box.id());
    expect(result).toMatchObject({
      stdout: "",
      stderr: expect.stringMatching(/outside|too many symbolic links|getcwd/),
    });
    expect(result.status).not.toBe(0);
  }
  const id = box.id();
  const bundle = box.bundle("sleep 1000", (config, at) => {
    writable(config);
    link(at);
  });
  box.ok(["run", "--detach", "--bundle", bundle, id]);
  for (const way of ways) {
    const result = handed(bundle, "exec", "--preserve-fds", "1", "--cwd", way, id, "sh", "-c", look());
    expect(result).toMatchObject({
      stdout: "",
      stderr: expect.stringMatching(/outside|too many symbolic links|getcwd/),
    });
    expect(result.status).not.toBe(0);
  }
  box.ok(["delete", "--force", id]);
});

describe("descriptors", () => {
  /** Numbers and targets; the last one is the listing's own. */
  const list =
    "for fd in /proc/self/fd/*; do echo $(basename $fd) $(readlink $fd); done; ls -l /proc/1/fd | grep -c -v total";

  test("of the runtime's are not in the program, in run and in exec", () => {
    const bundle = box.bundle(`exec 2>/dev/null; ${list}; sleep 1000`);
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", bundle, id]);
    const { stdout } = box.ok(["exec", id, "sh", "-c", list]);
    const fds = stdout.split("\n").filter((line) => /^\d+ ./.test(line));
    expect(fds.map((line) => Number(line.split(" ")[0]))).toEqual([0, 1, 2]);
    expect(stdout).toMatch(/^3$/m);
    box.ok(["delete", "--force", id]);
  });

  test("that the caller has left open are not, either, unless it asks for them", () => {
    const bundle = box.bundle("ls /proc/self/fd/ | sort -n | tr '\\n' ' '; cat ../../../secret /proc/self/fd/7/secret");
    const run = (...flags: string[]) =>
      spawnSync(
        "sh",
        [
          "-c",
          `exec 3</ 7<${box.work} 9</; exec "$@"`,
          "sh",
          RUNTIME,
          "--root",
          box.root,
          "run",
          ...flags,
          "--bundle",
          bundle,
          box.id(),
        ],
        {
          encoding: "utf8",
          env: { PATH: process.env.PATH },
        },
      );
    expect(run().stdout).toMatch(/^0 1 2 3 $/); // 3 is the listing's own
    expect(run("--preserve-fds", "1").stdout).toMatch(/^0 1 2 3 4 $/);
  });
});

test("a neighbour with the same rights as a tsrun-init that waits may not even look at it", () => {
  const victim = box.id();
  box.ok(["create", "--bundle", box.bundle("sleep 1000"), victim]);
  const { pid } = box.state(victim);
  const script = [
    "id -u",
    "for p in cwd root exe ns/net fd/0 fd/1 fd/2 fd/3; do readlink /proc/1/$p && echo followed $p; done",
    "for p in environ maps mem; do (head -c 1 </proc/1/$p) >/dev/null && echo read $p; done",
    // The same of a process of its own: where nothing holds against it, it works.
    "sleep 1000 & for p in cwd root exe; do readlink /proc/$!/$p; done; kill $!",
  ].join("\n");
  const { stdout } = box.container(["sh", "-c", script], (config) => {
    config.linux.namespaces.find(({ type }: { type: string }) => type === "pid").path = `/proc/${pid}/ns/pid`;
  });
  expect(stdout).toMatch(/^0\n\/\n\/\n\/bin\/\S+\n$/);
  box.ok(["delete", "--force", victim]);
});

test("a neighbour with every right finds no way to the host in a tsrun-init that waits", () => {
  const victim = box.id();
  // What tsrun-init has needed on its way: its own procfs, masks, a null device. And what the caller has lying about, far
  // from what any program looks through.
  const bundle = box.bundle("sleep 1000", (config) => {
    config.linux.sysctl = { "net.ipv4.conf.lo.forwarding": "1" };
    config.linux.maskedPaths = ["/proc/kcore", "/etc/passwd", "/sys/firmware", "/proc/acpi"];
  });
  const script = 'exec 42<. 420<. </dev/null; exec "$@"';
  const args = ["-c", script, "bash", RUNTIME, "--root", box.root, "create", "--bundle", bundle, victim];
  expect(spawnSync("bash", args, { cwd: box.work, stdio: "ignore" }).status).toBe(0);
  const { pid } = box.state(victim);
  const look = [
    "for p in cwd root; do readlink /proc/1/$p; cat /proc/1/$p/$1/secret; done",
    "for fd in /proc/1/fd/*; do echo fd $(readlink $fd)",
    // Opened, not written to.
    "(: >>$fd/sys/kernel/core_pattern) && echo it is a procfs without masks",
    "cat $fd/secret $fd/../secret $fd/$1/secret; done 2>/dev/null",
  ].join("\n");
  const { stdout } = box.container(["sh", "-c", look, "sh", box.work], (config) => {
    for (const set of ["bounding", "effective", "permitted"])
      config.process.capabilities[set].push("CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH");
    config.linux.namespaces.find(({ type }: { type: string }) => type === "pid").path = `/proc/${pid}/ns/pid`;
  });
  box.ok(["delete", "--force", victim]);
  expect(stdout).not.toContain("host secret");
  expect(stdout).not.toContain("procfs without masks");
  const fds = stdout.split("\n").filter((line) => line.startsWith("fd "));
  expect(fds.length).toBeGreaterThan(3);
  // The standard streams, which are the container's null device; its sockets, and memory.
  for (const fd of fds) expect(fd).toMatch(/^fd (socket:|pipe:|anon_inode:|\/memfd:|\/dev\/null$)/);
});
