import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import { gone, processes, type Scenario, until } from "../scenarios.ts";
import type { Engine } from "./engine.ts";

/** A container's namespaces, and what it sees in them. */
export const namespaces: readonly Scenario<Engine>[] = [
  {
    name: "host name, environment, directory",
    run: async (engine) => {
      const flags = ["--rm", "--hostname", "testname", "--env", "A=b c", "--workdir", "/usr"];
      assert.equal(await engine.ok(engine.run(flags, "sh", "-c", 'hostname; echo "$A"; pwd')), "testname\nb c\n/usr\n");
    },
  },
  {
    name: "the host's namespaces",
    run: async (engine) => {
      for (const [flag, type, own] of [
        ["--network", "net", ["--network", "none"]],
        ["--ipc", "ipc", ["--ipc", "private"]],
        // docker has no word for the usual.
        ["--uts", "uts", []],
        ["--cgroupns", "cgroup", ["--cgroupns", "private"]],
      ] as const) {
        const read = async (flags: readonly string[]): Promise<string> =>
          (await engine.ok(engine.run(["--rm", ...flags], "readlink", `/proc/self/ns/${type}`))).trim();
        const ofHost = readlinkSync(`/proc/self/ns/${type}`);
        assert.equal(await read([flag, "host"]), ofHost);
        assert.notEqual(await read(own), ofHost);
      }
    },
  },
  {
    name: "the host's pid namespace: all processes end with the container",
    run: async (engine) => {
      const name = await engine.detached(["--pid", "host"], "sh", "-c", "sleep 45678 & sleep 45678");
      await until("the child", () => processes().filter(({ command }) => command === "sleep 45678").length === 2);
      await engine.ok(["stop", "--time", "0", name]);
      await engine.ok(["rm", name]);
      await gone("sleep 45678");
    },
  },
  {
    name: "another container's namespaces",
    run: async (engine) => {
      const name = await engine.detached(["--ipc", "shareable"], "sleep", "56789");
      const other = `container:${name}`;
      const flags = ["--rm", "--network", other, "--pid", other, "--ipc", other];
      const links = "for n in net pid ipc; do readlink /proc/self/ns/$n; done";
      const program = ["sh", "-c", `${links}; tr '\\0' ' ' </proc/1/cmdline`];
      const own = await engine.ok(["exec", name, ...program]);
      assert.equal(await engine.ok(engine.run(flags, ...program)), own);
      assert.match(own, /sleep 56789 $/);
      await engine.remove(name);
    },
  },
];
