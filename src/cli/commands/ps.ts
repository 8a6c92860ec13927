import { spawnSync } from "node:child_process";
import { containerId } from "../../core/brands.ts";
import { reasonOf } from "../../core/errno.ts";
import { TsrunError } from "../../core/errors.ts";
import { linesOf, processes } from "../../lifecycle/ps.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand, positional } from "../command.ts";

/** Of all that a host's ps may print. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

export const command = defineCommand({
  usage: "<id> [ps options]",
  options: { format: { type: "text", alias: "f", describe: "table (default) or json: an array of host pids" } },
  positionals: [1, Number.POSITIVE_INFINITY],
  halt: true,
  run(parsed, { context }) {
    const format = parsed.options.format ?? "table";
    if (format !== "table" && format !== "json") {
      throw new TsrunError("usage", `--format: ${JSON.stringify(format)} is neither table nor json`);
    }
    const pids = processes(context, containerId(positional(parsed, 0)));
    const args = parsed.positionals.slice(1);
    if (format === "json") writeAll(1, `${JSON.stringify(pids)}\n`);
    else writeAll(1, `${linesOf(ps(args.length === 0 ? ["-ef"] : args), pids).join("\n")}\n`);
    return 0;
  },
});

function ps(args: readonly string[]): string {
  const result = spawnSync("ps", args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  if (result.error !== undefined) throw new TsrunError("unsupported", `cannot run ps: ${reasonOf(result.error)}`);
  if (result.status !== 0) {
    throw new TsrunError("usage", `ps ${args.join(" ")}: ${(result.stderr || result.stdout).trim()}`);
  }
  return result.stdout;
}
