import { containerId } from "../../core/brands.ts";
import { start } from "../../lifecycle/start.ts";
import { defineCommand, positional } from "../command.ts";
import { faultOption } from "../fault.ts";
import { withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: { trace: { type: "text", describe: "file for the times of all steps (Chrome trace)" }, ...faultOption },
  positionals: [1, 1],
  run(parsed, { context }) {
    withTrace(parsed.options, context, (faulty, trace) => start(faulty, containerId(positional(parsed, 0)), trace));
    return 0;
  },
});
