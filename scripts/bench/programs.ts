/** The programs that are measured, and what is needed to measure them. Nothing is installed: what is missing is named. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { findProgram, findRuntime } from "../../conformance-tests/runtimes.ts";
import { OWN } from "./report.ts";

export const root = resolve(__dirname, "../..");

/** Something that a benchmark needs is not there; the message says what and where it comes from. */
export class Missing extends Error {}

/** By Debian's package. */
const packages: Readonly<Record<string, string>> = {
  busybox: "busybox-static",
  cc: "gcc",
  containerd: "containerd",
  crun: "crun",
  ctr: "containerd",
  runc: "runc",
  setpriv: "util-linux",
  strace: "strace",
  tar: "tar",
  umoci: "umoci",
  unshare: "util-linux",
};

/** The paths of these programs; throws `Missing` with all that are not there. */
export function need<T extends string>(...names: readonly T[]): Readonly<Record<T, string>> {
  const found = names.map((name) => [name, findProgram(name)] as const);
  const missing = found.filter(([, path]) => path === undefined).map(([name]) => name);
  if (missing.length > 0) {
    throw new Missing(missing.map((name) => `${name} is not in PATH (Debian: ${packages[name] ?? name})`).join("; "));
  }
  return Object.fromEntries(found) as Record<T, string>;
}

export interface Measurable {
  readonly name: string;
  readonly path: string;
  readonly version: string;
}

/** Runtimes given as `name` or `name=path`, and of those that are not there why. `tsrun` alone is the one built here. */
export function findRuntimes(wanted: readonly string[]): {
  readonly runtimes: readonly Measurable[];
  readonly missing: readonly string[];
} {
  const runtimes: Measurable[] = [];
  const missing: string[] = [];
  for (const each of wanted) {
    const [name = "", given] = each.split("=", 2);
    const path = given ?? (name === OWN ? join(root, "bin/tsrun") : findProgram(name));
    if (path === undefined || !existsSync(path)) {
      missing.push(name === OWN ? "tsrun (npm run build)" : `${name} (Debian: ${packages[name] ?? name})`);
      continue;
    }
    runtimes.push({ ...findRuntime(path), name });
  }
  return { runtimes, missing };
}

/** The Node that runs tsrun. */
export function ownNode(): string {
  const file = join(root, "dist/node-path");
  return existsSync(file) ? readFileSync(file, "utf8").trim() : process.execPath;
}

/** A program of this folder, compiled into build/bench when its source is newer. */
export function compiled(name: "floor" | "stopwatch"): string {
  const source = join(__dirname, `${name}.c`);
  const program = join(root, "build/bench", name);
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    const { cc } = need("cc");
    mkdirSync(dirname(program), { recursive: true });
    execFileSync(cc, ["-O2", "-Wall", "-Wextra", "-static", source, "-o", program], { stdio: "inherit" });
  }
  return program;
}
