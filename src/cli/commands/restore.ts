import { containerId } from "../../core/brands.ts";
import { defineCommand, positional } from "../command.ts";
import { checkpointOptions, refuseWithoutCriu } from "./checkpoint-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: {
    ...checkpointOptions,
    bundle: { type: "text", alias: "b", describe: "directory of the bundle" },
    detach: { type: "flag", alias: "d", describe: "do not wait for the container's end" },
    "pid-file": { type: "text", describe: "file to write the container's pid to" },
    "console-socket": { type: "text", describe: "unix socket that gets the terminal's master" },
    "no-subreaper": { type: "flag", describe: "do not become the parent of what the container leaves" },
    "no-pivot": { type: "flag", describe: "as of create" },
    "lsm-profile": { type: "text", describe: "TYPE:NAME of the security module's profile" },
    "lsm-mount-context": { type: "text", describe: "SELinux context of the mounts" },
  },
  positionals: [1, 1],
  run: (parsed) => refuseWithoutCriu("restore", containerId(positional(parsed, 0))),
});
