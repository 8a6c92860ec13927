/** Row 9 of docs/security.md (CVE-2026-88265): standard streams on /dev/null, and whom they are given to. */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Config, isTsrun, RUNTIME, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const UID = 4242;
const asUser = (config: Config): void => {
  config.process.user = { uid: UID, gid: UID };
  config.root.readonly = false;
};
/**
 * Stands for the host's /dev/null: the same device by another name, so that an attack that succeeds does not take the
 * machine along.
 */
let hostNull: string;
beforeEach(() => {
  hostNull = join(box.work, "null");
  rmSync(hostNull, { force: true });
  expect(spawnSync("mknod", ["-m", "666", hostNull, "c", "1", "3"]).status).toBe(0);
});
/** With it for standard input, and for output and error too if `all`. */
function run(bundle: string, all: boolean) {
  const null_ = openSync(hostNull, "r+");
  try {
    return spawnSync(RUNTIME, ["--root", box.root, "run", "--bundle", bundle, box.id()], {
      encoding: "utf8",
      stdio: all ? [null_, null_, null_] : [null_, "pipe", "pipe"],
      env: { PATH: process.env.PATH },
    });
  } finally {
    closeSync(null_);
  }
}
const owner = (path: string): string => {
  const { uid, gid, mode } = statSync(path);
  return `${uid}:${gid} ${mode.toString(8)}`;
};

test("the host's /dev/null stays the host's, and the program has the container's", () => {
  const before = owner(hostNull);
  const bundle = box.bundle("stat -L -c %i /proc/self/fd/0 /dev/null; stat -L -c %u /proc/self/fd/0", asUser);
  const { stdout } = run(bundle, false);
  const [stdin, null_, uid] = stdout.split("\n");
  expect(stdin).toBe(null_);
  expect(uid).toBe("0");
  expect(run(bundle, true).status).toBe(0);
  expect(owner(hostNull)).toBe(before);
});

test("a container's root that changes the mode of its standard input changes nothing of the host's", () => {
  const before = owner(hostNull);
  const bundle = box.bundle(
    "chmod 600 /proc/self/fd/0; chown 7:7 /proc/self/fd/0; stat -L -c %a /proc/self/fd/0",
    (config) => {
      config.root.readonly = false;
      for (const set of ["bounding", "effective", "permitted"])
        config.process.capabilities[set].push("CAP_CHOWN", "CAP_FOWNER");
    },
  );
  expect(run(bundle, false).stdout).toBe("600\n");
  expect(owner(hostNull)).toBe(before);
});

describe("of an exec'd process", () => {
  let id: string;
  const hostile = (config: Config): void => {
    config.root.readonly = false;
    for (const set of ["bounding", "effective", "permitted"])
      config.process.capabilities[set].push("CAP_CHOWN", "CAP_FOWNER", "CAP_MKNOD");
  };
  beforeEach(() => {
    id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000", hostile), id]);
  });
  afterEach(() => {
    box.ok(["delete", "--force", id]);
  });
  function exec(script: string) {
    const null_ = openSync(hostNull, "r+");
    try {
      return spawnSync(RUNTIME, ["--root", box.root, "exec", id, "sh", "-c", script], {
        encoding: "utf8",
        stdio: [null_, "pipe", "pipe"],
        env: { PATH: process.env.PATH },
      });
    } finally {
      closeSync(null_);
    }
  }
  const onTsrun = isTsrun ? test : test.skip; // skipped: peers hand the caller's own to exec

  onTsrun("the null device is the container's, and its mode is not the host's", () => {
    const before = owner(hostNull);
    const { stdout } = exec(
      "stat -L -c %d:%i /proc/self/fd/0 /dev/null; chmod 600 /proc/self/fd/0; stat -L -c %a /dev/null",
    );
    const [stdin, null_, mode] = stdout.split("\n");
    expect(stdin).toBe(null_);
    expect(mode).toBe("600");
    expect(owner(hostNull)).toBe(before);
  });

  onTsrun.each(["ln -s zero null", "mknod null c 1 5", "mkfifo null", "true"])(
    "what a container has put in its place is not taken for it: %s",
    (make) => {
      box.ok(["exec", id, "sh", "-c", `cd /dev && rm null && ${make}`], { suffix: "-2" });
      const { status, stdout, stderr } = exec("echo ran");
      expect({ status, stdout }).toEqual({ status: 255, stdout: "" });
      expect(stderr).toContain("dev/null");
    },
  );
});

test("an image's /dev/null that is something else is not opened, not made and not given away", () => {
  const victim = join(box.work, "victim");
  mkdirSync(victim);
  writeFileSync(join(victim, "file"), "host", { mode: 0o600 });
  const dev = join(box.work, "dev");
  for (const make of [
    `ln -s ${victim}/file null`,
    `ln -s ../../../../../../..${victim}/file null`,
    `ln -s ${victim}/made null`,
    "mkfifo null",
    "touch null",
    "mknod null c 1 5",
  ]) {
    rmSync(dev, { recursive: true, force: true });
    spawnSync("sh", ["-c", `mkdir ${dev} && cd ${dev} && ${make}`]);
    // /dev is the image's own: there tsrun makes the devices, and must find that one is there already.
    const bundle = box.bundle("true", (config, at) => {
      asUser(config);
      config.mounts = config.mounts.filter(
        ({ destination }: { destination: string }) => !destination.startsWith("/dev"),
      );
      spawnSync("sh", ["-c", `rm -rf ${at}/rootfs/dev && cp -a ${dev} ${at}/rootfs/dev`]);
    });
    const { status, stderr } = run(bundle, false);
    expect(status).not.toBe(0);
    expect(stderr).toContain("dev/null");
    expect(owner(join(victim, "file"))).toBe("0:0 100600");
  }
});
