import { isatty } from "node:tty";
import { containerId } from "../../core/brands.ts";
import { TsrunError } from "../../core/errors.ts";
import { differences } from "../../explain/explain.ts";
import { explanationToJson, explanationToText } from "../../explain/text.ts";
import { explain } from "../../lifecycle/explain.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand, positional } from "../command.ts";

/** As diff(1): 0 no differences, 1 some, 2 trouble. */
const TROUBLE = 2;

export const command = defineCommand({
  usage: "<id>",
  options: { format: { type: "text", alias: "f", describe: "text (default) or json" } },
  positionals: [1, 1],
  failureStatus: TROUBLE,
  run(parsed, { context }) {
    const format = parsed.options.format ?? "text";
    if (format !== "text" && format !== "json") {
      throw new TsrunError("usage", `--format: ${JSON.stringify(format)} is neither text nor json`);
    }
    const found = explain(context, containerId(positional(parsed, 0)));
    const colour = isatty(1) && (process.env.NO_COLOR ?? "") === "";
    writeAll(1, format === "json" ? explanationToJson(found) : explanationToText(found, { colour }));
    return differences(found.items) === 0 ? 0 : 1;
  },
});
