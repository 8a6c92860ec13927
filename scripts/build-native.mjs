// Builds the addon, tsrun-init and the launcher with the node-gyp that npm brings, without downloading headers.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

/** npm's own node-gyp: named by npm in a lifecycle script, otherwise beside npm. */
function nodeGyp() {
  const named = process.env.npm_config_node_gyp;
  if (named !== undefined && existsSync(named)) return named;
  const modules = execFileSync("npm", ["root", "--global"], { encoding: "utf8" }).trim();
  for (const folder of [modules, "/usr/share/nodejs", "/usr/lib/node_modules", "/usr/local/lib/node_modules"]) {
    for (const path of [
      join(folder, "npm/node_modules/node-gyp/bin/node-gyp.js"),
      join(folder, "node-gyp/bin/node-gyp.js"),
    ]) {
      if (existsSync(path)) return path;
    }
  }
  throw new Error("node-gyp not found: it comes with npm (Debian: apt-get install npm node-gyp)");
}

const nodedir = join(root, "build/nodedir");
const include = join(nodedir, "include/node");
mkdirSync(include, { recursive: true });
cpSync(require("node-api-headers").include_dir, include, { recursive: true });
copyFileSync(join(root, "scripts/nodedir/common.gypi"), join(include, "common.gypi"));

/** Sources as the build knows them: with a file more or less, the build files must be made again. */
const sources = ["base", "exec", "steps"]
  .flatMap((folder) => (existsSync(join(root, "addon", folder)) ? readdirSync(join(root, "addon", folder)) : []))
  .filter((name) => name.endsWith(".cc"))
  .join("\n");
const stamp = join(root, "build/sources.txt");
const node = process.env.TSRUN_NODE ?? process.execPath;
const configured =
  existsSync(join(root, "build/Makefile")) &&
  existsSync(stamp) &&
  statSync(stamp).mtimeMs > statSync(join(root, "binding.gyp")).mtimeMs &&
  readFileSync(stamp, "utf8") === sources;
const steps = configured ? ["build"] : ["configure", "build"];
for (const step of steps) {
  execFileSync(
    process.execPath,
    [
      nodeGyp(),
      step,
      "--release",
      `--nodedir=${nodedir}`,
      "--loglevel=error",
      ...(step === "build" ? ["--jobs=max"] : []),
    ],
    {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, V: process.env.V ?? "", CXXFLAGS: process.env.CXXFLAGS ?? "" },
    },
  );
  if (step === "configure") writeFileSync(stamp, sources);
}
mkdirSync(join(root, "bin"), { recursive: true });
// By rename: a running tsrun keeps the file it started from.
copyFileSync(join(root, "build/Release/tsrun-launcher"), join(root, "bin/tsrun.new"));
chmodSync(join(root, "bin/tsrun.new"), 0o755);
renameSync(join(root, "bin/tsrun.new"), join(root, "bin/tsrun"));
mkdirSync(join(root, "dist"), { recursive: true });
writeFileSync(join(root, "dist/node-path"), `${node}\n`);
