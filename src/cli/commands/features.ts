import { features } from "../../lifecycle/features.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand } from "../command.ts";

export const command = defineCommand({
  usage: "",
  options: {},
  positionals: [0, 0],
  run() {
    writeAll(1, `${JSON.stringify(features(), null, 2)}\n`);
    return 0;
  },
});
