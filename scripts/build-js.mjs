// Bundles the command line into the programs of dist/ (scripts/programs.mjs), and writes V8's code cache for each beside it.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transformSync } from "esbuild";
import { programs, variants } from "./programs.mjs";

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
/** Packages that few calls need, each in a file of its own: loaded when they are called for, and in no code cache. */
const apart = ["yargs", "pino"];
const commands = readdirSync(join(root, "src/cli/commands"))
  .filter((name) => /^[a-z]+\.ts$/.test(name))
  .map((name) => basename(name, ".ts"));

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20.19",
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "eof",
  logLevel: "warning",
  // A program runs by vm.Script, whose `import()` is none.
  supported: { "dynamic-import": false },
  // yargs and its parser are ESM and make a `require` from their own address.
  banner: { js: 'const importMetaUrl="file://"+__filename;' },
  define: {
    "import.meta.url": "importMetaUrl",
    TSRUN_VERSION: JSON.stringify(version),
    TSRUN_COMMIT: JSON.stringify(commit),
  },
};

/** Leaves out what a program does not need: commands that main.cjs never runs in it, and the packages that are apart. */
const leaveOut = (kept) => ({
  name: "leave-out",
  setup(on) {
    on.onResolve({ filter: new RegExp(`^(${apart.join("|")})$`) }, ({ path }) => ({
      path: `./${path}.cjs`,
      external: true,
    }));
    if (kept === "all") return;
    on.onResolve({ filter: /^\.\/.*\.ts$/ }, ({ path, kind }) => {
      const name = basename(path, ".ts");
      const isCommand = commands.includes(name) || Object.values(variants).includes(name);
      return kind === "dynamic-import" && isCommand && !kept.includes(name)
        ? { path, namespace: "elsewhere" }
        : undefined;
    });
    on.onLoad({ filter: /./, namespace: "elsewhere" }, ({ path }) => ({
      contents: `throw new Error("${basename(path, ".ts")} is in another program: main.cjs has chosen the wrong one")`,
    }));
  },
});

mkdirSync(join(root, "dist"), { recursive: true });
// Those of an earlier build that had others.
for (const name of readdirSync(join(root, "dist"))) if (/\.(cjs|cache)$/.test(name)) rmSync(join(root, "dist", name));
// A program is the function that main.cjs calls: so the text that V8 gets is the file's, and need not be put together each time.
const parameters = "exports,require,module,__filename,__dirname";
const asFunction = { banner: { js: `(function(${parameters}){${common.banner.js}` }, footer: { js: "})" } };
for (const { file, commands: kept } of programs) {
  const outfile = join("dist", file);
  await build({ ...common, ...asFunction, entryPoints: ["src/cli/main.ts"], outfile, plugins: [leaveOut(kept)] });
}
for (const name of apart) await build({ ...common, entryPoints: [name], outfile: `dist/${name}.cjs` });
const { code } = transformSync(readFileSync(join(root, "scripts/main.cjs"), "utf8"), {
  define: { COMMANDS: JSON.stringify([...commands, ...Object.keys(variants)]), PROGRAMS: JSON.stringify(programs) },
});
writeFileSync(join(root, "dist/main.cjs"), code);
copyFileSync(join(root, "scripts/compile-cache.cjs"), join(root, "dist/compile-cache.cjs"));
if (!existsSync(join(root, "dist/node-path"))) writeFileSync(join(root, "dist/node-path"), `${process.execPath}\n`);
execFileSync(process.execPath, [join(root, "dist/compile-cache.cjs")], { stdio: "inherit" });
