import assert from "node:assert/strict";
import { inTerminal, type Scenario, until } from "../scenarios.ts";
import type { Engine } from "./engine.ts";

/** Standard streams and terminals of a container's own program. */
export const streams: readonly Scenario<Engine>[] = [
  {
    name: "standard input reaches the program, standard error is apart",
    run: async (engine) => {
      const input = "line\n".repeat(20_000);
      const program = ["sh", "-c", "wc -c; echo err >&2"];
      const ended = await engine.call(engine.run(["--rm", "--interactive"], ...program), { input });
      assert.deepEqual([ended.status, ended.stdout, ended.stderr], [0, `${input.length}\n`, "err\n"]);
    },
  },
  {
    name: "attach",
    run: async (engine) => {
      const name = engine.name();
      await engine.ok(engine.create(["--interactive", "--name", name], "sh", "-c", "read x; echo got $x; exit 2"));
      const ended = await engine.call(["start", "--attach", "--interactive", name], { input: "words\n" });
      assert.deepEqual([ended.status, ended.stdout], [2, "got words\n"]);
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "a terminal",
    run: async (engine) => {
      // The engine tells the size after the start.
      const wait = "while [ \"$(stty size 2>&1)\" != '24 80' ]; do sleep 0.05; done";
      const program = ["sh", "-c", `tty; ${wait}; stty size; read end; exit 6`];
      const command = engine.command(engine.run(["--rm", "--tty", "--interactive"], ...program));
      const ended = await inTerminal(command, { after: /24 80/, text: "\n" }, engine.environment());
      assert.match(ended.stdout, /\/dev\/(?:pts\/0|console)\r*\n24 80\r*\n/);
      assert.equal(ended.status, 6);
    },
  },
  {
    name: "a terminal in the background",
    run: async (engine) => {
      const name = await engine.detached(["--tty"], "sh", "-c", "tty; sleep 100000");
      await until("the terminal", async () => /\/dev\/(pts\/0|console)/.test(await engine.ok(["logs", name])));
      await engine.remove(name);
    },
  },
];
