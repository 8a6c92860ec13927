// Bundles the command line into dist/tsrun.cjs, and writes V8's code cache for it beside it.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
let commit = "unknown";
try {
  commit = execFileSync("git", ["rev-parse", "--short=12", "HEAD"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();
} catch {
  // Outside a checkout (a source archive) there is no commit to name.
}
mkdirSync(join(root, "dist"), { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: ["src/cli/main.ts"],
  outfile: "dist/tsrun.cjs",
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20.19",
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "eof",
  logLevel: "warning",
  // yargs and its parser are ESM and make a `require` from their own address.
  banner: { js: 'const importMetaUrl="file://"+__filename;' },
  define: {
    "import.meta.url": "importMetaUrl",
    TSRUN_VERSION: JSON.stringify(version),
    TSRUN_COMMIT: JSON.stringify(commit),
  },
});
copyFileSync(join(root, "scripts/main.cjs"), join(root, "dist/main.cjs"));
copyFileSync(join(root, "scripts/compile-cache.cjs"), join(root, "dist/compile-cache.cjs"));
rmSync(join(root, "dist/tsrun.cache"), { force: true });
if (!existsSync(join(root, "dist/node-path"))) writeFileSync(join(root, "dist/node-path"), `${process.execPath}\n`);
execFileSync(process.execPath, [join(root, "dist/compile-cache.cjs")], { stdio: "inherit" });
