import { collectLeftovers, findStore } from "../../image/store.ts";
import { gc } from "../../lifecycle/gc.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand } from "../command.ts";
import { storeOption } from "../unpack-options.ts";

export const command = defineCommand({
  usage: "",
  options: storeOption,
  positionals: [0, 0],
  run({ options }, { context }) {
    const store = findStore(options.store);
    const done = [...gc(context), ...(store === undefined ? [] : collectLeftovers(store))];
    writeAll(1, done.map((line) => `${line}\n`).join(""));
    return 0;
  },
});
