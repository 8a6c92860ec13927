import { run } from "../../lifecycle/run.ts";
import { defineCommand } from "../command.ts";
import { createOptions, createRequest, withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: {
    ...createOptions,
    detach: { type: "flag", alias: "d", describe: "do not wait for the container's end" },
    keep: { type: "flag", describe: "do not delete the container when it has ended" },
    "no-subreaper": { type: "flag", describe: "ignored, as tsrun is none", hidden: true },
  },
  positionals: [1, 1],
  run(parsed, { context }) {
    const { detach, keep } = parsed.options;
    return withTrace(parsed.options, context, (faulty, trace) =>
      run(faulty, { ...createRequest(parsed, !detach), detach, keep }, trace),
    );
  },
});
