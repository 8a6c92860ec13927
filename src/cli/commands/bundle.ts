import { basename, resolve } from "node:path";
import { isContainerId } from "../../core/brands.ts";
import { TsrunError } from "../../core/errors.ts";
import { makeImageBundle } from "../../lifecycle/image-bundle.ts";
import { removeImageBundle } from "../../lifecycle/image-bundle-remove.ts";
import { defineCommand } from "../command.ts";
import { containerOptions, imageRequest } from "../container-options.ts";
import { faultOption } from "../fault.ts";
import { withTraceAsync } from "./create-options.ts";

export const command = defineCommand({
  usage: "create IMAGE DIR [-- program [argument…]] | remove DIR",
  options: { ...containerOptions, ...faultOption },
  positionals: [2, Number.POSITIVE_INFINITY],
  async run(parsed, { context }) {
    const { options, positionals } = parsed;
    const [verb, first = "", second, ...args] = positionals;
    if (verb === "remove" && second === undefined) {
      removeImageBundle(first, options.store);
      return 0;
    }
    if (verb !== "create" || second === undefined) {
      throw new TsrunError("usage", "bundle: neither create IMAGE DIR nor remove DIR");
    }
    const name = basename(resolve(second));
    const request = imageRequest(options, { image: first, id: isContainerId(name) ? name : "tsrun", args });
    await withTraceAsync(options, context, (faulty) =>
      makeImageBundle(faulty, request, { kind: "directory", path: second }),
    );
    return 0;
  },
});
