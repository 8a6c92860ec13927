import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { FOREVER, gone, nap, type Scenario, until } from "../scenarios.ts";
import type { Engine } from "./engine.ts";

/** From the start of a container to its end, and what it is called in between. */
export const life: readonly Scenario<Engine>[] = [
  {
    name: "run prints and removes",
    run: async (engine) => {
      assert.equal(await engine.ok(engine.run(["--rm"], "echo", "hello")), "hello\n");
      assert.equal(await engine.ok(["ps", "--all", "--quiet"]), "");
    },
  },
  {
    name: "exit status",
    run: async (engine) => {
      for (const status of [0, 1, 7, 255]) {
        assert.equal((await engine.call(engine.run(["--rm"], "sh", "-c", `exit ${status}`))).status, status);
      }
    },
  },
  {
    name: "127 for a program that is not there, 126 for one that cannot be run",
    run: async (engine) => {
      const missing = await engine.call(engine.run(["--rm"], "no-such-program"));
      assert.equal(missing.status, 127);
      assert.match(missing.stderr, /executable file .*not found in \$PATH/);
      assert.equal((await engine.call(engine.run(["--rm"], "/no/such/program"))).status, 127);
      assert.equal((await engine.call(engine.run(["--rm"], "/etc/passwd"))).status, 126);
      assert.equal((await engine.call(engine.run(["--rm"], "/etc"))).status, 126);
    },
  },
  {
    name: "detached: logs, state, stop, remove",
    run: async (engine) => {
      const program = "echo out; echo err >&2; trap 'exit 3' TERM; while :; do sleep 0.05; done";
      const name = await engine.detached([], "sh", "-c", program);
      await until("the log", async () => (await engine.ok(["logs", name])) === "out\n");
      assert.equal((await engine.call(["logs", name])).stderr, "err\n");
      assert.equal(await engine.inspect(name, "{{.State.Status}} {{.State.Running}}"), "running true");
      await engine.ok(["stop", name]);
      assert.equal(await engine.inspect(name, "{{.State.Status}} {{.State.ExitCode}}"), "exited 3");
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "stop kills who does not listen",
    run: async (engine) => {
      const name = await engine.detached([], "sh", "-c", "trap '' TERM; sleep 12345");
      await engine.ok(["stop", "--time", "1", name]);
      assert.equal(await engine.inspect(name, "{{.State.ExitCode}}"), "137");
      await gone("sleep 12345");
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "create, start, wait, start again",
    run: async (engine) => {
      const name = engine.name();
      await engine.ok(engine.create(["--name", name], "sh", "-c", "exit 9"));
      assert.equal(await engine.inspect(name, "{{.State.Status}}"), "created");
      // A new create of the same container for the runtime.
      for (let i = 0; i < 2; i++) {
        await engine.ok(["start", name]);
        assert.equal(await engine.ok(["wait", name]), "9\n");
      }
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "a container that cannot be created leaves nothing, and says why",
    run: async (engine) => {
      const ended = await engine.call(engine.run(["--rm", "--sysctl", "kernel.msgmax=words"], "true"));
      assert.equal(ended.status, engine.cannotCreate);
      assert.match(ended.stderr, /kernel.msgmax.*invalid argument/i);
    },
  },
  {
    name: "restart",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      const before = await engine.inspect(name, "{{.State.Pid}}");
      await engine.ok(["restart", "--time", "0", name]);
      assert.notEqual(await engine.inspect(name, "{{.State.Pid}}"), before);
      assert.equal(await engine.inspect(name, "{{.State.Status}}"), "running");
      await engine.remove(name);
    },
  },
  {
    name: "a restart policy",
    run: async (engine) => {
      const name = await engine.detached(["--restart", "on-failure:3"], "sh", "-c", "echo once; exit 1");
      await until(
        "three restarts",
        async () => (await engine.inspect(name, "{{.RestartCount}} {{.State.Status}}")) === "3 exited",
      );
      assert.equal(await engine.ok(["logs", name]), "once\n".repeat(4));
      await engine.remove(name);
    },
  },
  {
    name: "signals",
    run: async (engine) => {
      const program =
        'for s in USR1 USR2 TERM; do trap "echo got $s; exit 5" $s; done; echo ready; while :; do sleep 0.05; done';
      for (const [given, name] of [
        ["USR1", "USR1"],
        ["12", "USR2"],
        ["SIGTERM", "TERM"],
      ] as const) {
        const container = await engine.detached([], "sh", "-c", program);
        await until("the traps", async () => (await engine.ok(["logs", container])) === "ready\n");
        await engine.ok(["kill", "--signal", given, container]);
        assert.equal(await engine.ok(["wait", container]), "5\n");
        assert.equal(await engine.ok(["logs", container]), `ready\ngot ${name}\n`);
        await engine.ok(["rm", container]);
      }
    },
  },
  {
    name: "pause and unpause",
    needs: ["pause", "resume"],
    run: async (engine) => {
      const name = await engine.detached([], "sh", "-c", "n=0; while :; do n=$((n + 1)); echo $n; sleep 0.02; done");
      await until("the counter", async () => (await engine.ok(["logs", name])) !== "");
      await engine.ok(["pause", name]);
      assert.equal(await engine.inspect(name, "{{.State.Status}}"), "paused");
      assert.notEqual((await engine.call(["exec", name, "true"])).status, 0);
      const stood = await engine.ok(["logs", name]);
      await nap(300);
      assert.equal(await engine.ok(["logs", name]), stood);
      await engine.ok(["unpause", name]);
      await until("the counter to go on", async () => (await engine.ok(["logs", name])) !== stood);
      await engine.remove(name);
    },
  },
  {
    name: "removal of a paused container",
    needs: ["pause", "resume"],
    run: async (engine) => {
      const name = await engine.detached([], "sleep", "23456");
      await engine.ok(["pause", name]);
      await engine.remove(name);
      await gone("sleep 23456");
    },
  },
  {
    name: "--init reaps and forwards signals",
    run: async (engine) => {
      const program = "trap 'exit 8' TERM; sh -c 'sleep 0.01 &'; while :; do sleep 0.05; done";
      const name = await engine.detached(["--init"], "sh", "-c", program);
      assert.match(await engine.ok(["exec", name, "cat", "/proc/1/cmdline"]), /-init\0/);
      const isZombie = "grep -q '(sleep) Z' /proc/[0-9]*/stat 2>/dev/null";
      const orphans = `sh -c 'sleep 0.01 &'; for i in $(seq 300); do sleep 0.1; ${isZombie} || exit 0; done; exit 1`;
      await engine.ok(["exec", name, "sh", "-c", orphans]);
      await engine.ok(["stop", name]);
      assert.equal(await engine.inspect(name, "{{.State.ExitCode}}"), "8");
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "copying, changes, commit",
    run: async (engine) => {
      const file = join(engine.work, "copied");
      writeFileSync(file, "copied\n");
      const name = await engine.detached([], ...FOREVER);
      await engine.ok(["cp", file, `${name}:/tmp/here`]);
      assert.equal(await engine.ok(["exec", name, "cat", "/tmp/here"]), "copied\n");
      assert.match(await engine.ok(["diff", name]), /^A \/tmp\/here$/m);
      await engine.ok(["commit", name, "localhost/committed"]);
      assert.equal(await engine.ok(engine.runImage("localhost/committed", ["--rm"], "cat", "/tmp/here")), "copied\n");
      await engine.remove(name);
      await engine.ok(["rmi", "localhost/committed"]);
    },
  },
  {
    name: "sixteen containers at once",
    run: async (engine) => {
      const numbers = Array.from({ length: 16 }, (_, i) => i);
      const all = await Promise.all(numbers.map((i) => engine.ok(engine.run(["--rm"], "echo", String(i)))));
      assert.equal(all.map((text) => text.trim()).join(" "), numbers.join(" "));
    },
  },
];
