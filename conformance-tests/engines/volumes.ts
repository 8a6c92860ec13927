import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Scenario } from "../scenarios.ts";
import type { Engine } from "./engine.ts";

/** What of the host is mounted in a container. */
export const volumes: readonly Scenario<Engine>[] = [
  {
    name: "volumes: folders of the host, read-only, named, tmpfs",
    run: async (engine) => {
      const shared = join(engine.work, "shared");
      mkdirSync(shared);
      const program =
        "echo written >/rw/file; touch /ro/x 2>&1; echo named >/named/file; grep -c ' /tmpfs tmpfs .*size=1024k' /proc/mounts";
      const flags = ["-v", `${shared}:/rw`, "-v", `${shared}:/ro:ro`, "-v", "data:/named", "--tmpfs", "/tmpfs:size=1m"];
      assert.match(await engine.ok(engine.run(["--rm", ...flags], "sh", "-c", program)), /Read-only file system\n1\n$/);
      assert.equal(readFileSync(join(shared, "file"), "utf8"), "written\n");
      assert.equal(await engine.ok(engine.run(["--rm", "-v", "data:/elsewhere"], "cat", "/elsewhere/file")), "named\n");
      await engine.ok(["volume", "rm", "data"]);
    },
  },
  {
    name: "volumes: one file, propagation, tmpfs, shared memory",
    run: async (engine) => {
      const file = join(engine.work, "one-file");
      writeFileSync(file, "content\n");
      const folder = join(engine.work, "slave");
      mkdirSync(folder);
      const mounted = spawnSync("sh", ["-c", `mount --bind ${folder} ${folder} && mount --make-shared ${folder}`]);
      assert.equal(mounted.status, 0, String(mounted.stderr));
      try {
        const program = [
          "cat /a/new/path; grep ' /n ' /proc/self/mountinfo",
          "grep -c ' /t tmpfs .*noexec.*size=1024k' /proc/mounts; grep -c ' /dev/shm tmpfs .*size=2048k' /proc/mounts",
        ].join("; ");
        const flags = [
          ...["--rm", "-v", `${file}:/a/new/path:ro`, "-v", `${folder}:/n:rslave`],
          ...["--tmpfs", "/t:size=1m,noexec", "--shm-size", "2m"],
        ];
        const text = await engine.ok(engine.run(flags, "sh", "-c", program));
        assert.match(text, /^content\n.* \/n .* master:\d+ .*\n1\n1\n$/);
      } finally {
        spawnSync("umount", [folder]);
      }
    },
  },
];
