import { containerId } from "../../core/brands.ts";
import { state } from "../../lifecycle/state.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand, positional } from "../command.ts";

export const command = defineCommand({
  usage: "<id>",
  options: {},
  positionals: [1, 1],
  run(parsed, { context }) {
    writeAll(1, `${JSON.stringify(state(context, containerId(positional(parsed, 0))), null, 2)}\n`);
    return 0;
  },
});
