/** Times programs from outside. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { compiled } from "./programs.ts";

export interface Sample {
  /** CLOCK_MONOTONIC nanoseconds: the clock of --trace. */
  readonly beginNs: bigint;
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Of the largest process among the program and the children that it waited for. */
  readonly peakKib: number;
}

const SEPARATOR = "\u0001";

export const sleepMs = (ms: number): void => {
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
};

/** Runs programs all at once, from their start to the end of each; throws when one fails, with what they wrote to `errors`. */
export function timeTogether(commands: readonly (readonly string[])[], errors: string): readonly Sample[] {
  const args = commands.flatMap((command) => [SEPARATOR, ...command]);
  const { stdout, stderr, status, error } = spawnSync(compiled("stopwatch"), [errors, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 24,
  });
  if (status !== 0) throw new Error(`stopwatch: ${error?.message ?? stderr}`);
  const lines = stdout.trim().split("\n");
  return commands.map((command, i) => {
    const [begin = "0", wall, cpu, peak, exit] = (lines[i] ?? "").split(" ");
    if (exit !== "0") throw new Error(`${command.join(" ")}: exit status ${exit}: ${readFileSync(errors, "utf8")}`);
    return {
      beginNs: BigInt(begin),
      wallMs: Number(wall) / 1e6,
      cpuMs: Number(cpu) / 1e6,
      peakKib: Number(peak),
    };
  });
}
