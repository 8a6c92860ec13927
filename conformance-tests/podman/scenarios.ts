import assert from "node:assert/strict";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { IMAGE } from "../busybox-image.ts";
import { shared } from "../engines/scenarios.ts";
import { execute, FOREVER, type Scenario } from "../scenarios.ts";
import type { Podman } from "./engine.ts";

export const scenarios: readonly Scenario<Podman>[] = [
  ...shared,
  {
    name: "create, init, start, wait",
    run: async (engine) => {
      const name = engine.name();
      await engine.ok(engine.create(["--name", name], "sh", "-c", "exit 9"));
      assert.equal(await engine.inspect(name, "{{.State.Status}}"), "created");
      await engine.ok(["init", name]);
      assert.equal(await engine.inspect(name, "{{.State.Status}}"), "initialized");
      await engine.ok(["start", name]);
      assert.equal(await engine.ok(["wait", name]), "9\n");
      // Started again: a new create of the same container.
      await engine.ok(["start", name]);
      assert.equal(await engine.ok(["wait", name]), "9\n");
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "an initialized container is removed",
    run: async (engine) => {
      const name = engine.name();
      await engine.ok(engine.create(["--name", name], "true"));
      await engine.ok(["init", name]);
      await engine.ok(["rm", "--force", name]);
    },
  },
  {
    name: "a read-only root: podman's own tmpfs on it",
    run: async (engine) => {
      const program = "touch /x 2>&1; touch /tmp/y && touch /run/z && echo ok";
      assert.match(
        await engine.ok(engine.run(["--rm", "--read-only"], "sh", "-c", program)),
        /Read-only file system\nok\n$/,
      );
    },
  },
  {
    name: "volumes: one file, propagation, no exec",
    run: async (engine) => {
      const file = join(engine.work, "one-file");
      writeFileSync(file, "content\n");
      const folder = join(engine.work, "noexec");
      mkdirSync(folder);
      const flags = ["-v", `${file}:/a/new/path:ro`, "-v", `${folder}:/n:noexec,nosuid,nodev,rslave`];
      const text = await engine.ok(
        engine.run(["--rm", ...flags], "sh", "-c", "cat /a/new/path; grep ' /n ' /proc/self/mountinfo"),
      );
      assert.match(text, /^content\n.* \/n rw,nosuid,nodev,noexec.*\n$/);
    },
  },
  {
    name: "a user namespace by maps",
    run: async (engine) => {
      const flags = ["--rm", "--uidmap", "0:300000:65536", "--gidmap", "0:400000:65536"];
      const program =
        "tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map; id -u; stat -c %u:%g /bin/busybox; touch /mine && echo ok";
      assert.equal(
        await engine.ok(engine.run(flags, "sh", "-c", program)),
        " 0 300000 65536\n 0 400000 65536\n0\n0:0\nok\n",
      );
    },
  },
  {
    name: "a user namespace chosen by podman",
    run: async (engine) => {
      const first = await engine.detached(["--userns", "auto"], ...FOREVER);
      const second = await engine.detached(["--userns", "auto:size=8192"], ...FOREVER);
      const map = async (name: string): Promise<number[]> =>
        (await engine.ok(["exec", name, "cat", "/proc/self/uid_map"])).trim().split(/\s+/).map(Number);
      const [, from, size] = await map(first);
      const [, other, otherSize] = await map(second);
      assert.equal(otherSize, 8192);
      assert.ok((from ?? 0) + (size ?? 0) <= (other ?? 0) || (other ?? 0) + 8192 <= (from ?? 0), "the maps overlap");
      assert.equal(await engine.ok(["exec", second, "sh", "-c", "touch /mine && stat -c %u /mine"]), "0\n");
      await engine.remove(first);
      await engine.remove(second);
    },
  },
  {
    name: "user, groups, umask",
    run: async (engine) => {
      const flags = ["--rm", "--user", "1234:2345", "--group-add", "7", "--umask", "0077"];
      assert.equal(
        await engine.ok(engine.run(flags, "sh", "-c", "id -u; id -g; id -G; umask")),
        "1234\n2345\n2345 7\n0077\n",
      );
    },
  },
  {
    name: "a health check",
    run: async (engine) => {
      const flags = ["--health-cmd", "test -e /tmp/healthy", "--health-interval", "disable", "--health-retries", "1"];
      const name = await engine.detached(flags, ...FOREVER);
      assert.equal((await engine.call(["healthcheck", "run", name])).status, 1);
      await engine.ok(["exec", name, "touch", "/tmp/healthy"]);
      await engine.ok(["healthcheck", "run", name]);
      await engine.remove(name);
    },
  },
  {
    name: "a pod",
    run: async (engine) => {
      await engine.ok(["pod", "create", "--name", "pod", "--network", "none", "--infra-image", IMAGE]);
      const first = await engine.detached(["--pod", "pod"], ...FOREVER);
      const second = await engine.detached(["--pod", "pod"], ...FOREVER);
      const namespaces = (name: string): Promise<string> =>
        engine.ok(["exec", name, "sh", "-c", "for n in net ipc uts; do readlink /proc/self/ns/$n; done"]);
      assert.equal(await namespaces(first), await namespaces(second));
      await engine.ok(["pod", "stop", "--time", "0", "pod"]);
      assert.equal(await engine.inspect(first, "{{.State.Status}}"), "exited");
      await engine.ok(["pod", "start", "pod"]);
      assert.equal(await engine.inspect(second, "{{.State.Status}}"), "running");
      await engine.ok(["pod", "rm", "--force", "--time", "0", "pod"]);
    },
  },
  {
    name: "a pid file and preserved descriptors",
    run: async (engine) => {
      const file = join(engine.work, "pid");
      const name = await engine.detached(["--pidfile", file], ...FOREVER);
      assert.equal(readFileSync(file, "utf8").trim(), await engine.inspect(name, "{{.State.Pid}}"));
      await engine.remove(name);
      const text = join(engine.work, "text");
      writeFileSync(text, "through a descriptor\n");
      const command = engine.command(engine.run(["--rm", "--preserve-fds", "1"], "sh", "-c", "cat <&3"));
      const quoted = command.map((word) => `'${word}'`).join(" ");
      const ended = await execute("sh", ["-c", `exec ${quoted} 3<${text}`], { env: engine.environment() });
      assert.deepEqual([ended.status, ended.stdout], [0, "through a descriptor\n"]);
    },
  },
  {
    name: "a root file system that is a folder",
    run: async (engine) => {
      const root = join(engine.work, "rootfs");
      const name = await engine.detached([], ...FOREVER);
      await engine.ok(["cp", `${name}:/bin`, engine.work]);
      await engine.remove(name);
      mkdirSync(root);
      renameSync(join(engine.work, "bin"), join(root, "bin"));
      assert.equal(
        await engine.ok(["run", "--rm", "--network", "none", "--rootfs", root, "/bin/echo", "hello"]),
        "hello\n",
      );
    },
  },
];
