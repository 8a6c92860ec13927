import { containerId } from "../../core/brands.ts";
import { restore } from "../../lifecycle/restore.ts";
import { defineCommand, positional } from "../command.ts";
import { faultOption } from "../fault.ts";
import { unlessEmpty } from "../options.ts";
import { checkpointOptions, criuOptions, paths } from "./checkpoint-options.ts";
import { withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: {
    ...checkpointOptions,
    bundle: { type: "text", alias: "b", describe: "directory of the bundle (default: the working directory)" },
    detach: { type: "flag", alias: "d", describe: "do not wait for the container's end" },
    "pid-file": { type: "text", describe: "file to write the container's pid to" },
    "console-socket": { type: "text", describe: "unix socket that gets the terminal's master" },
    "no-subreaper": {
      type: "flag",
      describe: "do not become the parent of what a container without a pid namespace of its own leaves",
    },
    "no-pivot": { type: "flag", describe: "no meaning: CRIU enters the root", hidden: true },
    "no-new-keyring": { type: "flag", describe: "no meaning: keyrings are not in an image", hidden: true },
    "lsm-profile": { type: "text", describe: "TYPE:NAME of another profile than the image's (apparmor, selinux)" },
    "lsm-mount-context": { type: "text", describe: "SELinux context of the mounts" },
    ...faultOption,
  },
  positionals: [1, 1],
  run(parsed, { context }) {
    const { options } = parsed;
    const { detach, "console-socket": given } = options;
    const socket = unlessEmpty(given);
    const request = {
      id: containerId(positional(parsed, 0)),
      ...paths(options),
      bundle: options.bundle || ".",
      console:
        socket !== undefined
          ? ({ kind: "socket", path: socket } as const)
          : ({ kind: detach ? "none" : "pair" } as const),
      pidFile: unlessEmpty(options["pid-file"]),
      detach,
      subreaper: !options["no-subreaper"],
      options: {
        ...criuOptions(options),
        lsmProfile: options["lsm-profile"] || undefined,
        lsmMountContext: options["lsm-mount-context"] || undefined,
      },
    };
    return withTrace(options, context, (faulty) => restore(faulty, request));
  },
});
