import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { errorCode, reasonOf } from "../../core/errno.ts";
import { TsrunError } from "../../core/errors.ts";
import { defaultConfig } from "../../lifecycle/spec-template.ts";
import { defineCommand } from "../command.ts";

export const command = defineCommand({
  usage: "",
  options: {
    bundle: { type: "text", alias: "b", describe: "directory to write config.json to" },
    rootless: { type: "flag", describe: "for a user without privileges" },
  },
  positionals: [0, 0],
  run({ options }) {
    const path = join(resolve(options.bundle ?? "."), "config.json");
    const config = defaultConfig({ rootless: options.rootless });
    try {
      writeFileSync(path, `${JSON.stringify(config, null, "\t")}\n`, { flag: "wx", mode: 0o666 });
    } catch (error) {
      const taken = errorCode(error) === "EEXIST";
      throw new TsrunError("usage", taken ? `${path} exists` : `cannot write ${path}: ${reasonOf(error)}`, {
        ...(taken && { advice: "remove it first, or give another --bundle" }),
      });
    }
    return 0;
  },
});
