// dist/main.cjs: runs dist/tsrun.cjs with V8's code cache of the installation (scripts/compile-cache.cjs writes it). Node's own
// compile cache exists only from 22.1 on and writes at run time; this one belongs to the program it lies beside.
"use strict";
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

const filename = join(__dirname, "tsrun.cjs");
const source = readFileSync(filename, "latin1"); // the bundle is ASCII: esbuild escapes the rest
let cachedData;
try {
  cachedData = readFileSync(join(__dirname, "tsrun.cache"));
} catch (error) {
  if (error.code !== "ENOENT") throw error; // without a cache it is only slower
}
// V8 refuses a cache of another V8, other flags or another source, and compiles.
const script = new Script(`(function(exports,require,module,__filename,__dirname){${source}\n})`, {
  filename,
  cachedData,
});
script.runInThisContext()(exports, require, module, filename, __dirname);
