import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { cgroupOf } from "../engines/limits.ts";
import { shared } from "../engines/scenarios.ts";
import { FOREVER, type Scenario, until } from "../scenarios.ts";
import { Docker, REMAPPED } from "./engine.ts";

export const scenarios: readonly Scenario<Docker>[] = [
  ...shared,
  {
    name: "it is the runtime of docs/install.md, with the cgroupfs driver",
    run: async (engine) => {
      const format = '{{(index .Runtimes "tsrun").Path}} {{.CgroupDriver}}';
      assert.equal(await engine.ok(["info", "--format", format]), `${engine.runtime} cgroupfs\n`);
      const name = await engine.detached([], ...FOREVER);
      assert.equal(await engine.inspect(name, "{{.HostConfig.Runtime}}"), "tsrun");
      await engine.remove(name);
    },
  },
  {
    name: "a health check",
    run: async (engine) => {
      const flags = ["--health-cmd", "test -e /tmp/healthy", "--health-interval", "200ms", "--health-retries", "1"];
      const name = await engine.detached(flags, ...FOREVER);
      const health = (): Promise<string> => engine.inspect(name, "{{.State.Health.Status}}");
      await until("a bad word", async () => (await health()) === "unhealthy");
      await engine.ok(["exec", name, "touch", "/tmp/healthy"]);
      await until("a good word", async () => (await health()) === "healthy");
      await engine.remove(name);
    },
  },
  {
    name: "update: how many processes",
    needs: ["update"],
    run: async (engine) => {
      const name = await engine.detached(["--pids-limit", "30"], ...FOREVER);
      await engine.ok(["update", "--pids-limit", "40", name]);
      assert.equal(await cgroupOf(engine, name, "pids", "pids.max", "pids.max"), "40");
      await engine.remove(name);
    },
  },
  {
    name: "a directory that the image has not",
    run: async (engine) => {
      assert.equal(await engine.ok(engine.run(["--rm", "--workdir", "/usr/new"], "pwd")), "/usr/new\n");
    },
  },
  {
    name: "a user namespace (userns-remap)",
    run: async (engine) => {
      const { user, first, count } = REMAPPED;
      const work = join(engine.work, "remapped");
      mkdirSync(work, { mode: 0o755 });
      const remapped = await Docker.start(engine.runtime, work, ["--userns-remap", user]);
      try {
        const program = "tr -s ' ' </proc/self/uid_map; id -u; stat -c %u:%g /bin/busybox; touch /mine && echo ok";
        assert.equal(
          await remapped.ok(remapped.run(["--rm"], "sh", "-c", program)),
          ` 0 ${first} ${count}\n0\n0:0\nok\n`,
        );
        const name = await remapped.detached(["--memory", "32m"], ...FOREVER);
        assert.equal(statSync(`/proc/${await remapped.inspect(name, "{{.State.Pid}}")}`).uid, first);
        assert.equal(await remapped.ok(["exec", name, "sh", "-c", "touch /mine && stat -c %u /mine"]), "0\n");
        await remapped.remove(name);
        assert.deepEqual(await remapped.leftovers(), []);
      } finally {
        await remapped.close();
      }
    },
  },
  {
    name: "a daemon that is killed: its containers go on (live-restore)",
    run: async (engine) => {
      const work = join(engine.work, "restored");
      mkdirSync(work);
      const restored = await Docker.start(engine.runtime, work, ["--live-restore"]);
      try {
        const name = await restored.detached(
          [],
          "sh",
          "-c",
          "trap 'exit 4' TERM; echo up; while :; do sleep 0.05; done",
        );
        await until("the log", async () => (await restored.ok(["logs", name])) === "up\n");
        const pid = await restored.inspect(name, "{{.State.Pid}}");
        await restored.killDaemon();
        await restored.startDaemon();
        assert.equal(await restored.inspect(name, "{{.State.Status}} {{.State.Pid}}"), `running ${pid}`);
        assert.equal(await restored.ok(["exec", name, "echo", "hello"]), "hello\n");
        await restored.ok(["stop", name]);
        assert.equal(await restored.inspect(name, "{{.State.ExitCode}}"), "4");
        await restored.ok(["rm", name]);
        assert.deepEqual(await restored.leftovers(), []);
      } finally {
        await restored.close();
      }
    },
  },
];
