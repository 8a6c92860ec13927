import { TsrunError } from "../../core/errors.ts";
import { printable } from "../../core/printable.ts";
import { list, type StateOutput } from "../../lifecycle/state.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand } from "../command.ts";

export const command = defineCommand({
  usage: "",
  options: {
    format: { type: "text", alias: "f", describe: "table (default) or json" },
    quiet: { type: "flag", alias: "q", describe: "ids only" },
  },
  positionals: [0, 0],
  run({ options }, { context }) {
    const format = options.format ?? "table";
    if (format !== "table" && format !== "json") {
      throw new TsrunError("usage", `--format: ${JSON.stringify(format)} is neither table nor json`);
    }
    const all = list(context);
    if (options.quiet) writeAll(1, all.map(({ id }) => `${id}\n`).join(""));
    else writeAll(1, format === "json" ? `${JSON.stringify(all)}\n` : table(all));
    return 0;
  },
});

/** Columns as runc's: at least 12 wide, three spaces between. */
function table(all: readonly StateOutput[]): string {
  const rows = [
    ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"],
    ...all.map(({ id, pid, status, bundle, created, owner }) => [
      id,
      String(pid),
      status,
      printable(bundle),
      created,
      owner,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(9, ...rows.map((row) => row[column]?.length ?? 0)) + 3);
  return rows.map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("")}\n`).join("");
}
