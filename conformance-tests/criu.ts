/** Whether CRIU works with this kernel, and why not: older ones do not with newer kernels. */
import { spawnSync } from "node:child_process";
import { delimiter } from "node:path";

const env = { ...process.env, PATH: `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin` };

function ask(): string | undefined {
  const found = spawnSync("criu", ["check"], { env, encoding: "utf8" });
  if (found.error !== undefined) return "there is no criu";
  if (found.status === 0) return undefined;
  return `criu check: ${found.stderr.trim().split("\n").at(-1)}`;
}

/** Undefined when it does. */
export const criuProblem = ask();
