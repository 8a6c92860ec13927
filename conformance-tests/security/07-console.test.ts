/**
 * Row 7 of docs/security.md (CVE-2025-52565, CVE-2026-88264): the bind over /dev/console, or the terminal itself, is
 * redirected by the image or by a process that shares its /dev.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Config, Sandbox } from "../harness.ts";

let box: Sandbox;
/** What the attacks aim at. */
let victim: string;
let before: string;
const mounts = (): string => readFileSync("/proc/self/mountinfo", "utf8");
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());
beforeEach(() => {
  victim = join(box.work, "victim");
  rmSync(victim, { recursive: true, force: true });
  mkdirSync(victim);
  writeFileSync(join(victim, "secret"), "host secret");
  before = mounts();
});
afterEach(() => {
  expect(mounts()).toBe(before);
  expect(readdirSync(victim)).toEqual(["secret"]);
  expect(readFileSync(join(victim, "secret"), "utf8")).toBe("host secret");
});

const sh = (script: string): void => {
  const { status, stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
};
/** The container's /dev is a directory of the image's, into which `make` has put things. */
function withDev(make: string, more: (config: Config) => void = () => {}): (config: Config, bundle: string) => void {
  return (config, bundle) => {
    const dev = join(bundle, "dev");
    sh(`mkdir ${dev} && cd ${dev} && mkdir pts shm mqueue && mknod -m 666 null c 1 3 && ${make}`);
    config.process.terminal = true;
    config.root.readonly = false;
    config.mounts = [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "bind", source: dev, options: ["rbind"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["newinstance", "ptmxmode=0666", "mode=0620"],
      },
    ];
    more(config);
  };
}
const script = "cat /proc/self/mountinfo; stat -c 'is %t:%T' /dev/console; tty; echo typed >/dev/console";
const consoleMount = (said: string) => said.split("\n").filter((line) => line.includes(" /dev/console "));

test("is the container's own terminal", () => {
  const { stdout } = box.container(script, (config) => {
    config.process.terminal = true;
  });
  expect(consoleMount(stdout)).toEqual([expect.stringMatching(/ \/0 \/dev\/console .* - devpts /)]);
  expect(stdout).toMatch(/^is 88:0\r?$/m);
  expect(stdout).toMatch(/^typed\r?$/m);
});

describe("/dev/console of the image", () => {
  test.each([
    ["a link to a file of the host's", (to: string) => `ln -s ${to}/secret console`],
    ["a link upwards", (to: string) => `ln -s ../../../../../../../..${to}/secret console`],
    ["a link to a file that is to be made", (to: string) => `ln -s ${to}/made console`],
    ["a link into /proc", () => "ln -s /proc/sys/kernel/core_pattern console"],
    ["a link to its own terminal", () => "ln -s pts/0 console"],
    ["a directory", () => "mkdir console"],
    ["a fifo", () => "mkfifo console"],
  ])("as %s gets no mount: create fails and says so", (_, make) => {
    const { status, stderr } = box.container(script, withDev(make(victim)));
    expect(status).not.toBe(0);
    expect(stderr).toContain("dev/console");
  });

  test("as a file or device is covered, and what it was does not matter", () => {
    for (const make of ["touch console", "mknod console c 5 1"]) {
      const { status, stdout } = box.container(script, withDev(make));
      expect(status).toBe(0);
      expect(consoleMount(stdout)).toEqual([expect.stringMatching(/ \/0 \/dev\/console .* - devpts /)]);
    }
  });
});

describe("the terminal", () => {
  const without = (what: string) => (config: Config) => {
    config.mounts = config.mounts.filter(({ destination }: { destination: string }) => destination !== what);
  };

  test("comes from a devpts of the container's, not from what the image has in its place", () => {
    for (const make of [
      "mknod pts/ptmx c 5 2",
      "ln -s /dev/ptmx pts/ptmx && mknod ptmx c 5 2",
      "touch pts/ptmx",
      "mkfifo pts/ptmx",
      `ln -s ${victim}/secret pts/ptmx`,
    ]) {
      const { status, stderr } = box.container(script, withDev(make, without("/dev/pts")));
      expect(status).not.toBe(0);
      expect(stderr).toContain("dev/pts/ptmx");
    }
  });

  test("is not looked for through a link that is /dev or /dev/pts", () => {
    const elsewhere = (config: Config): void => {
      for (const mount of config.mounts) if (mount.destination === "/dev/pts") mount.destination = "/real-pts";
    };
    const { status, stderr } = box.container(script, withDev("rmdir pts && ln -s ../real-pts pts", elsewhere));
    expect(status).not.toBe(0);
    expect(stderr).toContain("dev/pts/ptmx");
  });
});

test("a process that swaps /dev/console all the time gains nothing", () => {
  const shared = join(box.work, "shared-dev");
  sh(
    `mkdir ${shared} && cd ${shared} && mkdir pts shm mqueue && mknod -m 666 null c 1 3 && touch file && ln -s ${victim}/secret link && ln -s ${victim}/made other`,
  );
  const swap = `cd ${shared}; while :; do ln -f file console; mv -T link console; mv -T console link; mv -T other console; mv -T console other; rm -f console; done`;
  const racer = spawn("sh", ["-c", swap], { stdio: "ignore" });
  try {
    for (let i = 0; i < 25; i++) {
      const { status, stdout, stderr } = box.container(
        script,
        withDev("true", (config) => {
          for (const mount of config.mounts) if (mount.destination === "/dev") mount.source = shared;
        }),
      );
      // Once mounted, what it is mounted on can be moved: to where it is seen is a matter of the racer's own directory.
      if (status === 0) expect(stdout).not.toContain(`${victim}`);
      else expect(stderr + stdout).toMatch(/console/);
      expect(readdirSync(victim)).toEqual(["secret"]);
    }
  } finally {
    racer.kill("SIGKILL");
  }
});
