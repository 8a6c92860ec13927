import assert from "node:assert/strict";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Scenario } from "../scenarios.ts";
import type { Engine } from "./engine.ts";

/** The lines of /proc/self/status that a program in a new container sees, by name. */
async function status(engine: Engine, flags: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const text = await engine.ok(engine.run(["--rm", ...flags], "cat", "/proc/self/status"));
  return Object.fromEntries(text.split("\n").map((line) => line.split(/:\s*/, 2)));
}

/** What a container may, and what it is kept from. */
export const rights: readonly Scenario<Engine>[] = [
  {
    name: "capabilities",
    run: async (engine) => {
      const CHOWN = 1n << 0n;
      const SYS_PTRACE = 1n << 19n;
      const bounding = async (...flags: string[]): Promise<bigint> =>
        BigInt(`0x${(await status(engine, flags)).CapBnd}`);
      const usual = await bounding();
      assert.equal(await bounding("--cap-drop", "chown"), usual & ~CHOWN);
      assert.equal(await bounding("--cap-add", "sys_ptrace"), usual | SYS_PTRACE);
      assert.equal(await bounding("--cap-drop", "all"), 0n);
    },
  },
  {
    name: "no_new_privs and seccomp",
    run: async (engine) => {
      const usual = await status(engine, []);
      assert.deepEqual([usual.NoNewPrivs, usual.Seccomp], ["0", "2"]);
      assert.equal((await status(engine, ["--security-opt", "no-new-privileges"])).NoNewPrivs, "1");
      assert.equal((await status(engine, ["--security-opt", "seccomp=unconfined"])).Seccomp, "0");
      const profile = join(engine.work, "profile.json");
      const syscalls = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }];
      writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls }));
      const flags = ["--rm", "--security-opt", `seccomp=${profile}`];
      assert.match((await engine.call(engine.run(flags, "mkdir", "/tmp/x"))).stderr, /Operation not permitted/);
    },
  },
  {
    name: "a privileged container",
    run: async (engine) => {
      const program =
        "mkdir /m && mount -t tmpfs none /m && grep -c ' /m tmpfs' /proc/mounts; ls /sys/fs/cgroup >/dev/null && echo ok";
      assert.equal(await engine.ok(engine.run(["--rm", "--privileged"], "sh", "-c", program)), "1\nok\n");
    },
  },
  {
    name: "a read-only root",
    run: async (engine) => {
      const program = "touch /x 2>&1; touch /tmp/y && echo ok";
      assert.match(
        await engine.ok(engine.run(["--rm", "--read-only", "--tmpfs", "/tmp"], "sh", "-c", program)),
        /Read-only file system\nok\n$/,
      );
    },
  },
  {
    name: "masked and read-only paths",
    run: async (engine) => {
      const masked = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"].filter(existsSync);
      assert.ok(masked.length > 0);
      const program = `cat ${masked.join(" ")}; ls -A /sys/firmware; echo 1 >/proc/sys/vm/swappiness`;
      const ended = await engine.call(engine.run(["--rm"], "sh", "-c", program));
      assert.equal(ended.stdout, "");
      assert.match(ended.stderr, /^[^\n]*Read-only file system\n$/);
    },
  },
  {
    name: "user, groups",
    run: async (engine) => {
      const flags = ["--rm", "--user", "1234:2345", "--group-add", "7"];
      assert.equal(await engine.ok(engine.run(flags, "sh", "-c", "id -u; id -g; id -G")), "1234\n2345\n2345 7\n");
      assert.equal(await engine.ok(engine.run(["--rm", "--user", "nobody"], "id", "-u")), "65534\n");
    },
  },
  {
    name: "a device, and devices that are not given",
    run: async (engine) => {
      const device = ["/dev/fuse", "/dev/net/tun", "/dev/loop-control", "/dev/rtc0"].find(existsSync);
      assert.ok(device !== undefined, "no device to try with");
      assert.equal(
        await engine.ok(engine.run(["--rm", "--device", device], "sh", "-c", `: <${device} && echo open`)),
        "open\n",
      );
      // Made by hand: the cgroup denies it.
      const { rdev } = statSync(device);
      const made = await engine.call(
        engine.run(["--rm"], "sh", "-c", `mknod /d c ${rdev >> 8} ${rdev & 0xff} && : </d; echo $?`),
      );
      assert.match(made.stderr, /Operation not permitted/);
    },
  },
];
