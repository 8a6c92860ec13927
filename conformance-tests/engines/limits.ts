import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { leftCgroups, removeCgroups } from "../left.ts";
import { cgroupFile, FOREVER, type Scenario } from "../scenarios.ts";
import type { Engine } from "./engine.ts";

/** A file of the container's cgroup: `v1` in the controller's hierarchy, or `v2`. */
export async function cgroupOf(
  engine: Engine,
  name: string,
  controller: string,
  v1: string,
  v2: string,
): Promise<string> {
  return cgroupFile(Number(await engine.inspect(name, "{{.State.Pid}}")), controller, v1, v2);
}

const memoryLimit = (engine: Engine, name: string): Promise<string> =>
  cgroupOf(engine, name, "memory", "memory.limit_in_bytes", "memory.max");

/** Cgroups and other limits. */
export const limits: readonly Scenario<Engine>[] = [
  {
    name: "a memory limit, and what it does",
    run: async (engine) => {
      const program = "until [ -e /tmp/go ]; do sleep 0.05; done; tail /dev/zero";
      const name = await engine.detached(["--memory", "16m", "--memory-swap", "16m"], "sh", "-c", program);
      assert.equal(await memoryLimit(engine, name), String(16 << 20));
      await engine.ok(["exec", name, "touch", "/tmp/go"]);
      assert.equal(await engine.ok(["wait", name]), "137\n");
      // Whether the engine hears of the kernel's kill before the end (State.OOMKilled) is a race of its own.
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "limits of processors and processes",
    run: async (engine) => {
      const flags = ["--cpus", "0.5", "--cpu-shares", "512", "--pids-limit", "32", "--cpuset-cpus", "0"];
      const name = await engine.detached(flags, ...FOREVER);
      assert.match(await cgroupOf(engine, name, "cpu", "cpu.cfs_quota_us", "cpu.max"), /^50000/);
      assert.equal(await cgroupOf(engine, name, "pids", "pids.max", "pids.max"), "32");
      assert.equal(await cgroupOf(engine, name, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
      await engine.remove(name);
    },
  },
  {
    name: "a cgroup parent",
    run: async (engine) => {
      const name = await engine.detached(["--cgroup-parent", "/engine/parent"], ...FOREVER);
      const pid = await engine.inspect(name, "{{.State.Pid}}");
      const cgroup = engine.cgroupName(await engine.inspect(name, "{{.Id}}"));
      assert.match(readFileSync(`/proc/${pid}/cgroup`, "utf8"), new RegExp(`:/engine/parent/${cgroup}$`, "m"));
      await engine.remove(name);
      // Neither engines nor their runtimes remove a parent, and conmon has a cgroup of its own there.
      assert.deepEqual(
        leftCgroups("engine/parent").filter((left) => !left.endsWith("/conmon")),
        [],
      );
      await removeCgroups("engine");
    },
  },
  {
    name: "update",
    needs: ["update"],
    run: async (engine) => {
      const name = await engine.detached(["--memory", "64m", "--memory-swap", "-1"], ...FOREVER);
      await engine.ok(["update", "--memory", "32m", "--memory-swap", "-1", name]);
      assert.equal(await memoryLimit(engine, name), String(32 << 20));
      await engine.ok(["update", "--cpus", "0.5", name]);
      assert.match(await cgroupOf(engine, name, "cpu", "cpu.cfs_quota_us", "cpu.max"), /^50000/);
      // What is not named stays as it is.
      assert.equal(await memoryLimit(engine, name), String(32 << 20));
      await engine.remove(name);
    },
  },
  {
    name: "top and stats",
    run: async (engine) => {
      const name = await engine.detached(["--memory", "64m"], "sleep", "34567");
      assert.match(await engine.ok(["top", name, ...engine.topColumns]), /^\d+ +sleep 34567/m);
      const format = "{{.Name}} {{.PIDs}} {{.MemUsage}}";
      assert.match(
        await engine.ok(["stats", "--no-stream", "--format", format, name]),
        new RegExp(`^${name} 1 [1-9.][^ ]* / (64MiB|67.11MB)\\n$`),
      );
      await engine.remove(name);
    },
  },
  {
    name: "limits of resources and sysctls",
    run: async (engine) => {
      const flags = [
        ...["--rm", "--ulimit", "nofile=100:200", "--ulimit", "nproc=300:400"],
        ...["--sysctl", "kernel.msgmax=4096", "--shm-size", "1m", "--oom-score-adj", "300"],
      ];
      const size = "df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2";
      const files = "cat /proc/sys/kernel/msgmax /proc/self/oom_score_adj";
      const program = `ulimit -Sn; ulimit -Hn; ulimit -u; ${size}; ${files}`;
      assert.equal(await engine.ok(engine.run(flags, "sh", "-c", program)), "100\n200\n300\n1024\n4096\n300\n");
    },
  },
];
