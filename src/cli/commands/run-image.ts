import { randomBytes } from "node:crypto";
import { containerId } from "../../core/brands.ts";
import { TsrunError } from "../../core/errors.ts";
import { runImage } from "../../lifecycle/run-image.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand } from "../command.ts";
import { containerOptions, imageRequest } from "../container-options.ts";
import { createOptions, createRequest, withTraceAsync } from "./create-options.ts";

/** `run --image`: see `variant` of run. */
export const command = defineCommand({
  usage: "--image IMAGE [--] [program [argument…]]",
  options: {
    ...createOptions,
    bundle: { ...createOptions.bundle, hidden: true },
    config: { ...createOptions.config, hidden: true },
    image: { type: "text", describe: "OCI image layout (directory or archive) or archive of docker save" },
    name: { type: "text", describe: "id of the container (default: made up)" },
    ...containerOptions,
    detach: { type: "flag", alias: "d", describe: "do not wait for the container's end; prints its id" },
    keep: { type: "flag", describe: "do not delete the container when it has ended" },
    "keep-bundle": { type: "text", describe: "new directory for the bundle, which stays" },
    "no-subreaper": { type: "flag", describe: "as of run", hidden: true },
    rm: { type: "flag", describe: "as it is anyway, without --keep", hidden: true },
    interactive: { type: "flag", alias: "i", describe: "as it is anyway", hidden: true },
  },
  positionals: [0, Number.POSITIVE_INFINITY],
  halt: true,
  async run(parsed, { context }) {
    const { options, positionals } = parsed;
    const { image = "", detach, keep, rm } = options;
    if (image === "") throw new TsrunError("usage", "--image: which image?");
    for (const name of ["bundle", "config"] as const) {
      if (options[name] !== undefined) {
        throw new TsrunError("usage", `--image and --${name} exclude each other`, {
          advice: "tsrun bundle create makes a bundle of an image, for run --bundle",
        });
      }
    }
    if (rm && keep) throw new TsrunError("usage", "--rm and --keep exclude each other");
    const id = containerId(options.name ?? randomBytes(6).toString("hex"));
    const request = {
      image: imageRequest(options, { image, id, args: positionals }),
      keepBundle: options["keep-bundle"],
      run: { ...createRequest(options, id, !detach), detach, keep, subreaper: !options["no-subreaper"] },
    };
    const status = await withTraceAsync(options, context, (faulty, trace) => runImage(faulty, request, trace));
    if (detach) writeAll(1, `${id}\n`);
    return status;
  },
});
