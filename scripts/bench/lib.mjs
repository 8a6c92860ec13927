// What the suites share: programs of ours, the host, statistics.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statfsSync, statSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const folder = dirname(fileURLToPath(import.meta.url));
export const root = dirname(dirname(folder));

/** Something that the benchmark needs is not there; the message says what. */
export class Missing extends Error {}

/** A program of scripts/bench, compiled into build/bench when its source is newer. */
export function compiled(name) {
  const source = join(folder, `${name}.c`);
  const program = join(root, "build/bench", name);
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    if (findProgram("cc") === undefined) throw new Missing("a C compiler (cc)");
    mkdirSync(dirname(program), { recursive: true });
    execFileSync("cc", ["-O2", "-Wall", "-Wextra", source, "-o", program], { stdio: "inherit" });
  }
  return program;
}

export function findProgram(name) {
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(directory, name);
    if (directory !== "" && existsSync(path)) return path;
  }
  return undefined;
}

const CGROUP2_SUPER_MAGIC = 0x63677270;

export function cgroupMode() {
  const isV2 = (path) => existsSync(path) && statfsSync(path).type === CGROUP2_SUPER_MAGIC;
  if (isV2("/sys/fs/cgroup")) return "v2";
  return isV2("/sys/fs/cgroup/unified") ? "hybrid" : "v1";
}

export function describeHost() {
  return {
    kernel: release(),
    cpu: cpus()[0]?.model ?? process.arch,
    cpus: availableParallelism(),
    cgroups: cgroupMode(),
    load: loadavg()[0].toFixed(2),
    node: process.version,
  };
}

export const sleepMs = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/**
 * Runs a program and measures it from outside; throws when it fails, with what it wrote to the file of errors. Rests before, every time alike: joining a v1 cgroup
 * waits for a grace period of the kernel, unless somebody has just waited for it.
 */
export function time(command, { restMs, errors }) {
  sleepMs(restMs);
  const { stdout, stderr, status } = spawnSync(compiled("stopwatch"), [errors, ...command], { encoding: "utf8" });
  if (status !== 0) throw new Error(`stopwatch: ${stderr}`);
  const [wallNs, cpuNs, exit] = stdout.trim().split(" ").map(Number);
  if (exit !== 0) throw new Error(`${command.join(" ")}: exit status ${exit}: ${readText(errors)}`);
  return { wallMs: wallNs / 1e6, cpuMs: cpuNs / 1e6 };
}

/** The value that this share of the sorted samples lies below, between two samples by proportion. */
export function quantile(samples, share) {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.ceil(at)] - sorted[low]) * (at - low);
}

/** Median, and as spread the distance between the slowest and the fastest tenth. */
export function summarize(samples) {
  return { median: quantile(samples, 0.5), spread: quantile(samples, 0.9) - quantile(samples, 0.1), n: samples.length };
}

/** Text in columns; the first is aligned left, the others right. */
export function table(rows) {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => (row[i] ?? "").length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export const readText = (path) => readFileSync(path, "utf8");
