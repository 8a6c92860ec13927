/** The package as people get it: packed, installed globally in a prefix of its own, run from there. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { isTsrun, Sandbox } from "./harness.ts";

const project = resolve(__dirname, "..");
let box: Sandbox;
let folder: string;
beforeAll(() => {
  box = new Sandbox();
  folder = mkdtempSync("/tmp/tsrun-install-");
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  box.close();
});

function npm(...args: string[]): string {
  const made = spawnSync("npm", [...args, "--loglevel=error", "--no-audit", "--no-fund"], {
    cwd: project,
    encoding: "utf8",
  });
  if (made.status !== 0) throw new Error(`npm ${args.join(" ")}: ${made.stdout}${made.stderr}`);
  return made.stdout;
}

(isTsrun ? test : test.skip)(
  "npm pack gives a package that builds on install and works from any directory with an empty environment",
  () => {
    // The checkout is built: what is packed is what was tested.
    npm("pack", "--ignore-scripts", "--pack-destination", folder);
    const [packed] = readdirSync(folder);
    npm("install", "--global", "--prefix", join(folder, "prefix"), join(folder, packed as string));
    const tsrun = join(folder, "prefix/bin/tsrun");
    const module = join(folder, "prefix/lib/node_modules/tsrun");
    // Nothing of the development is in it.
    expect(["src", "conformance-tests", "node_modules/zod"].filter((name) => existsSync(join(module, name)))).toEqual(
      [],
    );
    expect(spawnSync(tsrun, ["--version"], { cwd: "/", env: {}, encoding: "utf8" }).stdout).toMatch(/^tsrun version /);
    const id = box.id();
    const run = spawnSync(tsrun, ["--root", box.root, "run", "--bundle", box.bundle("echo installed"), id], {
      cwd: "/",
      env: {},
      encoding: "utf8",
    });
    expect(run).toMatchObject({ status: 0, stdout: "installed\n", stderr: "" });
  },
  300_000,
);
