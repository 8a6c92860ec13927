import { dirname, join, resolve } from "node:path";
import { readConfigText, rootfsProblem } from "../../bundle/load.ts";
import { formatProblems } from "../../bundle/problems.ts";
import { validateConfig } from "../../bundle/validate.ts";
import { printableLines } from "../../core/printable.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand } from "../command.ts";

export const command = defineCommand({
  usage: "[bundle]",
  options: { json: { type: "flag", describe: "problems as a JSON array" } },
  positionals: [0, 1],
  run({ options, positionals }) {
    const path = join(resolve(positionals[0] ?? "."), "config.json");
    const problems = validateConfig(readConfigText(path), (root) => rootfsProblem(dirname(path), root));
    if (options.json) writeAll(1, `${JSON.stringify(problems, null, 2)}\n`);
    else if (problems.length === 0) writeAll(1, `${path}: no problems\n`);
    else writeAll(1, `${printableLines(formatProblems(path, problems))}\n`);
    return problems.some(({ severity }) => severity === "error") ? 1 : 0;
  },
});
