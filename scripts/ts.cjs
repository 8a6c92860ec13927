// node scripts/ts.cjs FILE.ts ARGUMENTS…: runs a TypeScript program of this repository, compiled as in the tests, with any
// Node that is supported.
const { readFileSync } = require("node:fs");
const Module = require("node:module");
const { resolve } = require("node:path");
const { process: compile } = require("./jest-esbuild.cjs");

require.extensions[".ts"] = (module, filename) =>
  module._compile(compile(readFileSync(filename, "utf8"), filename).code, filename);
process.argv.splice(1, 2, resolve(process.argv[2]));
Module._load(process.argv[1], null, true);
