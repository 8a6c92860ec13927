/** A copy of tsrun's installation that notes when it gets where: its start, reading itself, every module's evaluation, its end. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Measurable } from "./programs.ts";
import { ownNode } from "./programs.ts";

/** CLOCK_MONOTONIC nanoseconds, the clock of the stopwatch and of --trace. */
export interface Marks {
  /** The first line of dist/main.cjs. */
  readonly mainNs: number;
  /** Bundle and code cache are read. */
  readonly readNs: number;
  /** V8 has taken the code cache. */
  readonly scriptNs: number;
  /** The event `exit`. */
  readonly exitNs: number;
  /** Nanoseconds that each module took to evaluate, without those that it imports. */
  readonly modules: Readonly<Record<string, number>>;
}

const NOW = "Number(process.hrtime.bigint())";

export interface Instrumented {
  readonly program: string;
  /** Of the last command. */
  marks(): Marks;
}

/** Replaces exactly one place; what esbuild or main.cjs no longer has must not go unnoticed. */
function patch(text: string, from: string, to: (found: string) => string): string {
  const [before, after, ...more] = text.split(from);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`cannot instrument dist: it must have ${JSON.stringify(from)} once`);
  }
  return `${before}${to(from)}${after}`;
}

export function instrument({ path }: Measurable, folder: string): Instrumented {
  const installed = dirname(dirname(path));
  const dist = join(folder, "dist");
  const output = join(folder, "marks.json");
  mkdirSync(dist, { recursive: true });
  mkdirSync(join(folder, "bin"));
  copyFileSync(path, join(folder, "bin/tsrun"));
  for (const name of ["build", "binding.gyp"]) symlinkSync(join(installed, name), join(folder, name));
  copyFileSync(join(installed, "dist/node-path"), join(dist, "node-path"));

  let main = readFileSync(join(installed, "dist/main.cjs"), "utf8");
  main = patch(main, '"use strict";', (found) => `${found}globalThis.benchMarks={mainNs:${NOW},modules:{}};`);
  main = patch(main, "const script = new Script", (found) => `benchMarks.readNs=${NOW};${found}`);
  main = patch(
    main,
    "script.runInThisContext()",
    (found) =>
      `benchMarks.scriptNs=${NOW};const ended=()=>{benchMarks.exitNs=${NOW};` +
      `require("node:fs").writeFileSync(${JSON.stringify(output)},JSON.stringify(benchMarks))};` +
      // With the addon the command ends by its exit, without Node's events.
      `process.on("exit",ended);const {dlopen}=process;process.dlopen=(module,path)=>{dlopen(module,path);` +
      `const native=module.exports;` +
      `module.exports=Object.create(native,{exit:{value:(status)=>{ended();native.exit(status)}}})};${found}`,
  );
  writeFileSync(join(dist, "main.cjs"), main);

  // esbuild wraps each module in a helper, which gets a watch that stops while an import is evaluated.
  const watch = `{const marks=globalThis.benchMarks??{modules:{}};const open=[];
const watched=(helper)=>(wrapped,...rest)=>{const name=Object.keys(wrapped)[0];const evaluate=helper(wrapped,...rest);let first=true;
return function(){if(!first)return evaluate();first=false;const begin=${NOW};open.push(0);
try{return evaluate()}finally{const took=${NOW}-begin;marks.modules[name]=took-open.pop();if(open.length>0)open[open.length-1]+=took}}};
__esm=watched(__esm);}`;
  for (const name of readdirSync(join(installed, "dist")).filter((each) => each.endsWith(".cjs"))) {
    if (name === "main.cjs") continue;
    const text = readFileSync(join(installed, "dist", name), "latin1");
    // The packages that are apart are wrapped otherwise, and no command here needs them.
    const isProgram = text.includes("var __esm=");
    writeFileSync(
      join(dist, name),
      isProgram ? patch(text, "var __export=", (found) => `${watch}${found}`) : text,
      "latin1",
    );
  }
  execFileSync(ownNode(), [join(dist, "compile-cache.cjs")], { stdio: "inherit" });
  return {
    program: join(folder, "bin/tsrun"),
    marks() {
      const text = readFileSync(output, "utf8");
      rmSync(output); // a command that writes none must not have those of the one before it
      return JSON.parse(text);
    },
  };
}

/** A module's part of the program: a package, or a folder of ours. */
export function groupOf(module: string): string {
  const packaged = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(module);
  if (packaged !== null) return packaged[1] as string;
  const [first = module, second] = module.split("/");
  return first === "src" ? `src/${second}` : first;
}
