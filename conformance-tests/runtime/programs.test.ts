/** Which of the programs in dist/ runs a command (scripts/programs.mjs) is no matter to whoever calls it. */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun, RUNTIME, Sandbox } from "../harness.ts";

const project = resolve(__dirname, "../..");
const commands = readdirSync(resolve(project, "src/cli/commands"))
  .filter((name) => /^[a-z]+\.ts$/.test(name))
  .map((name) => basename(name, ".ts"));
const tsrun = (...args: readonly string[]) => spawnSync(RUNTIME, args, { encoding: "utf8" });

/** The options that bin/tsrun gives to Node: a copy of it tells them to a program that is named as its Node. */
function nodeOptions(): string[] {
  const copy = mkdtempSync(join(tmpdir(), "tsrun-launcher-"));
  try {
    for (const folder of ["bin", "dist"]) mkdirSync(join(copy, folder));
    copyFileSync(resolve(project, "bin/tsrun"), join(copy, "bin/tsrun"));
    writeFileSync(join(copy, "node"), "#!/bin/sh\nprintf '%s\\n' \"$@\"\n", { mode: 0o755 });
    writeFileSync(join(copy, "dist/node-path"), `${join(copy, "node")}\n`);
    const words = execFileSync(join(copy, "bin/tsrun"), { encoding: "utf8" }).split("\n");
    return words.slice(0, words.indexOf("--"));
  } finally {
    rmSync(copy, { recursive: true });
  }
}

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

(isTsrun ? describe : describe.skip)("programs (tsrun's own)", () => {
  test.each(commands)("%s is in the program that is chosen for it, with its help", (command) => {
    const { status, stdout, stderr } = tsrun(command, "--help");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`tsrun [global options] ${command}`);
  });

  test("the list of all commands is the same everywhere", () => {
    const all = tsrun("--help").stdout;
    for (const command of commands) expect(all).toMatch(new RegExp(`\\b${command}\\b`));
    // These words are options' values here, and choose other programs.
    for (const word of ["state", "create"]) expect(tsrun("--root", word, "--help").stdout).toBe(all);
  });

  test("arguments that are called like commands", () => {
    for (const id of ["create", "plan", "state"]) {
      expect(tsrun("--root", box.root, "state", id).stderr).toContain(`container ${id} does not exist`);
      expect(tsrun("--root", box.root, "kill", id, "TERM").stderr).toContain(`container ${id} does not exist`);
    }
    expect(tsrun("--root", "state", "no-such-command").stderr).toContain("unknown command");
  });

  test("a wrong configuration is explained by each program alike", () => {
    const bundle = box.bundle("true", (config) => {
      config.process.cwd = 5;
    });
    const wrong = "/process/cwd: found 5, wanted a string";
    expect(tsrun("--root", box.root, "create", "--bundle", bundle, "wrong").stderr).toContain(wrong);
    expect(tsrun("plan", bundle).stderr).toContain(wrong);
  });

  test("every program has a code cache that its Node takes", () => {
    const node = readFileSync(resolve(project, "dist/node-path"), "utf8").trim();
    const script = `const { readFileSync } = require("node:fs"); const { Script } = require("node:vm");
      const source = readFileSync(process.argv[1], "latin1");
      const cachedData = readFileSync(process.argv[1].replace(/cjs$/, "cache"));
      process.exitCode = new Script(source, { filename: process.argv[1], cachedData }).cachedDataRejected ? 1 : 0;`;
    for (const name of ["control", "container", "tsrun"]) {
      const file = resolve(project, `dist/${name}.cjs`);
      expect([name, spawnSync(node, [...nodeOptions(), "-e", script, file]).status]).toEqual([name, 0]);
    }
  });
});
