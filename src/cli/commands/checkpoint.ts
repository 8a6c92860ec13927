import { containerId } from "../../core/brands.ts";
import { defineCommand, positional } from "../command.ts";
import { checkpointOptions, refuseWithoutCriu } from "./checkpoint-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: {
    ...checkpointOptions,
    "parent-path": { type: "text", describe: "directory of an earlier image, of --pre-dump" },
    "leave-running": { type: "flag", describe: "let the container go on" },
    "pre-dump": { type: "flag", describe: "save the memory only, and let the container go on" },
    "page-server": { type: "text", describe: "ADDRESS:PORT to send the memory to" },
    "status-fd": { type: "text", describe: "descriptor to report to that lazy pages are ready" },
  },
  positionals: [1, 1],
  run: (parsed) => refuseWithoutCriu("checkpoint", containerId(positional(parsed, 0))),
});
