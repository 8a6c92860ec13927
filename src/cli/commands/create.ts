import { containerId } from "../../core/brands.ts";
import { create } from "../../lifecycle/create.ts";
import { defineCommand, positional } from "../command.ts";
import { createOptions, createRequest, withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: createOptions,
  positionals: [1, 1],
  run(parsed, { context }) {
    const id = containerId(positional(parsed, 0));
    withTrace(parsed.options, context, (faulty, trace) => {
      create(faulty, createRequest(parsed.options, id, false), trace).session.close();
    });
    return 0;
  },
});
