import { create } from "../../lifecycle/create.ts";
import { defineCommand } from "../command.ts";
import { createOptions, createRequest, withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: createOptions,
  positionals: [1, 1],
  run(parsed, { context }) {
    withTrace(parsed.options, context, (faulty, trace) => {
      create(faulty, createRequest(parsed, false), trace).session.close();
    });
    return 0;
  },
});
