import { containerId } from "../../core/brands.ts";
import { freeze } from "../../lifecycle/freeze.ts";
import { defineCommand, positional } from "../command.ts";
import { faultOption } from "../fault.ts";
import { withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: faultOption,
  positionals: [1, 1],
  run(parsed, { context }) {
    withTrace(parsed.options, context, (faulty) => freeze(faulty, containerId(positional(parsed, 0)), "pause"));
    return 0;
  },
});
