import assert from "node:assert/strict";
import { FOREVER, inTerminal, type Scenario, until } from "../scenarios.ts";
import type { Engine } from "./engine.ts";

/** Further programs in a container. */
export const exec: readonly Scenario<Engine>[] = [
  {
    name: "exec: output, status, directory, user, environment",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      const flags = ["--workdir", "/tmp", "--user", "65534:7", "--env", "A=b c"];
      const ended = await engine.call(["exec", ...flags, name, "sh", "-c", 'pwd; id -u; id -g; echo "$A"; exit 3']);
      assert.deepEqual([ended.status, ended.stdout], [3, "/tmp\n65534\n7\nb c\n"]);
      await engine.remove(name);
    },
  },
  {
    name: "exec: a program that is not there, and one that cannot be run",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      const missing = await engine.call(["exec", name, "no-such-program"]);
      assert.match(missing.stdout + missing.stderr, /executable file .*not found in \$PATH/);
      assert.equal(missing.status, engine.missingInExec);
      assert.equal((await engine.call(["exec", name, "/etc/passwd"])).status, 126);
      await engine.remove(name);
    },
  },
  {
    name: "exec: standard input, detached, in a terminal",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      assert.equal(await engine.ok(["exec", "--interactive", name, "cat"], { input: "words\n" }), "words\n");
      await engine.ok(["exec", "--detach", name, "sh", "-c", "echo done >/tmp/file"]);
      await until("the file", async () => (await engine.call(["exec", name, "cat", "/tmp/file"])).stdout === "done\n");
      const program = ["sh", "-c", "test -t 0 && tty; read end; exit 4"];
      const command = engine.command(["exec", "--tty", "--interactive", name, ...program]);
      const ended = await inTerminal(command, { after: /pts/, text: "\n" }, engine.environment());
      assert.match(ended.stdout, /\/dev\/pts\/\d/);
      assert.equal(ended.status, 4);
      await engine.remove(name);
    },
  },
  {
    name: "exec: privileged, and as the container is",
    run: async (engine) => {
      const name = await engine.detached(["--cap-drop", "all"], ...FOREVER);
      const effective = async (...flags: string[]): Promise<string | undefined> =>
        (await engine.ok(["exec", ...flags, name, "grep", "CapEff", "/proc/self/status"])).split("\t")[1]?.trim();
      assert.equal(await effective(), "0000000000000000");
      assert.notEqual(await effective("--privileged"), "0000000000000000");
      await engine.remove(name);
    },
  },
  {
    name: "exec: ten at once",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      const numbers = Array.from({ length: 10 }, (_, i) => i);
      const all = await Promise.all(numbers.map((i) => engine.ok(["exec", name, "echo", String(i)])));
      assert.equal(all.map((text) => text.trim()).join(" "), numbers.join(" "));
      await engine.remove(name);
    },
  },
];
