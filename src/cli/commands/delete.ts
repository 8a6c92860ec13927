import { containerId } from "../../core/brands.ts";
import { TsrunError } from "../../core/errors.ts";
import { remove } from "../../lifecycle/delete.ts";
import { listIds } from "../../state/store.ts";
import { defineCommand, positional } from "../command.ts";
import { faultOption } from "../fault.ts";
import { withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: {
    force: { type: "flag", alias: "f", describe: "also if it runs (SIGKILL); an unknown id is no error" },
    regex: { type: "flag", alias: "r", describe: "the argument is a regular expression of ids (crun's option)" },
    ...faultOption,
  },
  positionals: [1, 1],
  run(parsed, { context }) {
    const { force, regex } = parsed.options;
    const named = positional(parsed, 0);
    const pattern = regex ? regularExpression(named) : undefined;
    const ids = pattern === undefined ? [containerId(named)] : listIds(context.root).filter((id) => pattern.test(id));
    withTrace(parsed.options, context, (faulty) => {
      for (const id of ids) remove(faulty, id, force);
    });
    return 0;
  },
});

function regularExpression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new TsrunError("usage", `--regex: ${JSON.stringify(text)} is not a regular expression`);
  }
}
