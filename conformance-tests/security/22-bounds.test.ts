/** Row 22 of docs/security.md (CVE-2026-47262, CVE-2025-64329, CVE-2022-31030): input of the image's or a hook's without a bound. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Config, isTsrun, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const onTsrun = isTsrun ? test : test.skip; // skipped: peers read the image's files whole

onTsrun.each([
  ["of a terabyte without a line", "truncate -s 1T passwd"],
  ["that is a fifo", "mkfifo passwd"],
  ["that is a device without an end", "mknod passwd c 1 5"],
  ["that is a link to itself", "ln -s passwd passwd"],
  ["that is a directory", "mkdir passwd"],
])("a passwd file %s neither stops the program nor tells it a home", (_, make) => {
  const { stdout, stderr } = box.container("echo $HOME", (config, at) => {
    config.process.env = ["PATH=/bin"];
    const { status } = spawnSync("sh", ["-c", `cd ${at}/rootfs/etc && rm passwd && ${make}`]);
    expect(status).toBe(0);
  });
  expect({ stdout, stderr }).toEqual({ stdout: "/\n", stderr: "" });
});

onTsrun("a hook that says and hears without end is ended by its timeout, and its last words are kept short", () => {
  const { status, stderr } = box.container("true", (config: Config, at) => {
    const hook = join(at, "hook");
    writeFileSync(hook, "#!/bin/sh\nexec yes too-much-of-it\n", { mode: 0o755 });
    config.hooks = { createRuntime: [{ path: hook, timeout: 1, env: ["PATH=/usr/bin:/bin"] }] };
  });
  expect(status).toBe(1);
  expect(stderr).toContain("createRuntime hook");
  expect(stderr.length).toBeLessThan(4096);
});

onTsrun("a config.json has a bound, whoever reads it", () => {
  const bundle = box.bundle("true");
  const huge = join(box.work, "huge.json");
  expect(spawnSync("truncate", ["-s", "1T", huge]).status).toBe(0);
  expect(box.run(["run", "--bundle", bundle, "--config", huge, box.id()])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("is larger than"),
  });
  for (const make of ["truncate -s 1T", "mkfifo"]) {
    const file = join(bundle, "config.json");
    expect(spawnSync("sh", ["-c", `rm -f ${file}; ${make} ${file}`]).status).toBe(0);
    for (const verb of [["validate"], ["plan"], ["run", "--bundle"]]) {
      const { status, stderr } = box.run([...verb, bundle, ...(verb[0] === "run" ? [box.id()] : [])]);
      expect(status).toBe(1);
      expect(stderr).toMatch(/config\.json is (larger than|not a regular file)/);
    }
  }
});

onTsrun("so has the process file of exec", () => {
  const id = box.id();
  const huge = join(box.work, "huge-process.json");
  expect(spawnSync("truncate", ["-s", "1T", huge]).status).toBe(0);
  box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000"), id]);
  expect(box.run(["exec", "--process", huge, id], { suffix: "-2" })).toMatchObject({
    status: 255,
    stderr: expect.stringContaining("is larger than"),
  });
  box.ok(["delete", "--force", id]);
});
