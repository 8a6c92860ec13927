import { containerId } from "../../core/brands.ts";
import { printEvents, printStats } from "../../lifecycle/events.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand, positional } from "../command.ts";
import { parseDurationMs } from "../values.ts";

export const command = defineCommand({
  usage: "<id>",
  options: {
    interval: { type: "text", describe: "time between statistics, such as 500ms (default: 5s)" },
    stats: { type: "flag", describe: "print the statistics of now and end" },
  },
  positionals: [1, 1],
  run(parsed, { context }) {
    const { options } = parsed;
    const id = containerId(positional(parsed, 0));
    const intervalMs = parseDurationMs(options.interval ?? "5s", "--interval");
    const print = (line: string): boolean => writeAll(1, `${line}\n`);
    if (options.stats) printStats(context, id, print);
    else printEvents(context, id, intervalMs, print);
    return 0;
  },
});
