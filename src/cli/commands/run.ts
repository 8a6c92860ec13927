import { run } from "../../lifecycle/run.ts";
import { defineCommand } from "../command.ts";
import { createOptions, createRequest, withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: {
    ...createOptions,
    detach: { type: "flag", alias: "d", describe: "do not wait for the container's end" },
    keep: { type: "flag", describe: "do not delete the container when it has ended" },
    "no-subreaper": {
      type: "flag",
      describe: "do not become the parent of what a container without a pid namespace of its own leaves",
    },
  },
  positionals: [1, 1],
  run(parsed, { context }) {
    const { detach, keep, "no-subreaper": noSubreaper } = parsed.options;
    return withTrace(parsed.options, context, (faulty, trace) =>
      run(faulty, { ...createRequest(parsed, !detach), detach, keep, subreaper: !noSubreaper }, trace),
    );
  },
});
