// Writes dist/tsrun.cache: V8's code cache of the bundle, made after a typical command (`plan` of the default bundle) has run,
// so that it also holds the functions that V8 compiles lazily. Run by the Node that will run tsrun.
"use strict";
const { execFileSync } = require("node:child_process");
const { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { Script } = require("node:vm");

if (process.argv[2] === "--warm") {
  const filename = join(__dirname, "tsrun.cjs");
  const source = readFileSync(filename, "latin1");
  // The same text as in main.cjs: V8 compares it.
  const script = new Script(`(function(exports,require,module,__filename,__dirname){${source}\n})`, { filename });
  process.on("exit", () => {
    const file = join(__dirname, "tsrun.cache");
    writeFileSync(`${file}.new`, script.createCachedData());
    renameSync(`${file}.new`, file);
  });
  process.argv = [process.argv[0], join(__dirname, "main.cjs"), "plan", process.argv[3]];
  script.runInThisContext()(exports, require, module, filename, __dirname);
} else {
  const bundle = mkdtempSync(join(tmpdir(), "tsrun-cache-"));
  try {
    mkdirSync(join(bundle, "rootfs"));
    execFileSync(process.execPath, ["--no-warnings", join(__dirname, "main.cjs"), "spec", "--bundle", bundle]);
    execFileSync(process.execPath, ["--no-warnings", __filename, "--warm", bundle], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  } finally {
    rmSync(bundle, { recursive: true });
  }
}
