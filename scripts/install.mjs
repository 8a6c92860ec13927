// npm's install script of the published package: builds the addon, tsrun-init and bin/tsrun for this machine and this Node,
// and writes V8's code cache. A checkout has it all done by scripts/build, which this leaves alone.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
if (existsSync(join(root, "src"))) process.exit(0);
const missing = [
  ["g++", ["--version"], "g++"],
  ["make", ["--version"], "make"],
  ["python3", ["--version"], "python3"],
  ["pkg-config", ["--exists", "libseccomp"], "pkg-config libseccomp-dev"],
].filter(([command, args]) => {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return false;
  } catch {
    return true;
  }
});
if (missing.length > 0) {
  console.error(
    `tsrun: building needs ${missing.map(([, , name]) => name).join(" ")} (Debian: apt-get install ${missing.map(([, , name]) => name).join(" ")})`,
  );
  process.exit(1);
}
const run = (script, env = {}) =>
  execFileSync(process.execPath, [join(root, script)], { stdio: "inherit", env: { ...process.env, ...env } });
run("scripts/build-native.mjs", { TSRUN_NODE: process.execPath });
run("dist/compile-cache.cjs");
