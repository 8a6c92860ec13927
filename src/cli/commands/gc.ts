import { findStore } from "../../image/store.ts";
import { gc, gcStore } from "../../lifecycle/gc.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand } from "../command.ts";
import { storeOption } from "../unpack-options.ts";

export const command = defineCommand({
  usage: "",
  options: {
    ...storeOption,
    layers: { type: "flag", describe: "also remove layers that no bundle uses" },
  },
  positionals: [0, 0],
  run({ options }, { context }) {
    const store = findStore(options.store);
    const done = [...gc(context), ...(store === undefined ? [] : gcStore(store, options.layers))];
    writeAll(1, done.map((line) => `${line}\n`).join(""));
    return 0;
  },
});
