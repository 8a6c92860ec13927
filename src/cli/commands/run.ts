import { containerId } from "../../core/brands.ts";
import { run } from "../../lifecycle/run.ts";
import { defineCommand, positional } from "../command.ts";
import { createOptions, createRequest, withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id>",
  // Options of its own, which cost the others nothing.
  variant: (args) =>
    args.some((arg) => arg === "--image" || arg.startsWith("--image=")) ? import("./run-image.ts") : undefined,
  options: {
    ...createOptions,
    image: { type: "text", describe: "run an image without a bundle; its options: tsrun run --image IMAGE --help" },
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
    const id = containerId(positional(parsed, 0));
    return withTrace(parsed.options, context, (faulty, trace) =>
      run(faulty, { ...createRequest(parsed.options, id, !detach), detach, keep, subreaper: !noSubreaper }, trace),
    );
  },
});
