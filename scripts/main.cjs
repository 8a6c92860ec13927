// dist/main.cjs: runs the smallest of the programs (scripts/programs.mjs) that has the command, with V8's code cache of the
// installation (scripts/compile-cache.cjs writes it). Node's own compile cache exists only from 22.1 on and writes at run time;
// this one belongs to the program it lies beside.
"use strict";
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

/* global COMMANDS, PROGRAMS */ // scripts/build-js.mjs defines them
const named = process.argv.map((word) => word.split("=", 1)[0]).filter((word) => COMMANDS.includes(word));
const serves = ({ commands }) =>
  commands === "all" || (named.length > 0 && named.every((each) => commands.includes(each)));
const filename = join(__dirname, PROGRAMS.find(serves).file);

const source = readFileSync(filename, "latin1"); // the programs are ASCII: esbuild escapes the rest
let cachedData;
try {
  cachedData = readFileSync(filename.replace(/cjs$/, "cache"));
} catch (error) {
  if (error.code !== "ENOENT") throw error; // without a cache it is only slower
}
// V8 refuses a cache of another V8, other flags or another source, and compiles.
const script = new Script(source, { filename, cachedData });
script.runInThisContext()(exports, require, module, filename, __dirname);
