/** Row 25 of docs/security.md: the caller's environment has the runtime load code, or read files, of the caller's choice. */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { isTsrun, RUNTIME, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const onTsrun = isTsrun ? test : test.skip; // skipped: peers are no Node programs
const listed = (env: Readonly<Record<string, string>>) =>
  spawnSync(RUNTIME, ["--root", box.root, "list", "--quiet"], { env, encoding: "utf8" });
const untouched = { status: 0, stdout: "", stderr: "" };

onTsrun("what Node would require is not required", () => {
  const evil = join(box.work, "evil.cjs");
  const mark = join(box.work, "required");
  writeFileSync(evil, `require("fs").writeFileSync(${JSON.stringify(mark)}, "ran")`);
  expect(listed({ NODE_OPTIONS: `--require=${evil}`, NODE_DEBUG: "fs" })).toMatchObject(untouched);
  expect(existsSync(mark)).toBe(false);
});

onTsrun("a configuration of OpenSSL's loads no library and is not even read", () => {
  const configuration = join(box.work, "openssl.cnf");
  // What dlopen is given it says when there is no such file: no library has to be built to see that it is.
  writeFileSync(
    configuration,
    [
      "nodejs_conf = all",
      "openssl_conf = all",
      "[all]",
      "providers = providers",
      "[providers]",
      "evil = evil",
      "[evil]",
      `module = ${box.work}/evil.so`,
      "activate = 1",
      "",
    ].join("\n"),
  );
  expect(listed({ OPENSSL_CONF: configuration })).toMatchObject(untouched);
  expect(listed({ OPENSSL_CONF: configuration, OPENSSL_MODULES: box.work })).toMatchObject(untouched);
});

onTsrun.each([
  ["LD_PRELOAD", "/no/such.so"], // ld.so complains of it
  ["GCONV_PATH", "/no/such"],
  ["ICU_TIMEZONE_FILES_DIR", "/no/such"],
  ["SIMDUTF_FORCE_IMPLEMENTATION", "no-such"], // Node would end
  ["TSRUN_LAUNCH", "v1;nofile=1:1;ignored=0;fds=0"],
])("%s of the caller's reaches neither Node nor its children", (name, value) => {
  // ps(1) has the environment that tsrun's own children get.
  const folder = join(box.work, "bin");
  const seen = join(box.work, "seen");
  spawnSync("mkdir", ["-p", folder]);
  writeFileSync(join(folder, "ps"), `#!/bin/sh\nenv >${seen}\necho PID\n`, { mode: 0o755 });
  const id = box.id();
  box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000"), id]);
  const { status, stderr } = box.run(["ps", id], {
    env: { PATH: `${folder}:${process.env.PATH}`, [name]: value },
    suffix: "-2",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const environment = spawnSync("cat", [seen], { encoding: "utf8" }).stdout;
  expect(environment).toContain("PATH=");
  expect(environment).not.toContain(`${name}=${value}`);
  box.ok(["delete", "--force", id]);
});
