import { gc } from "../../lifecycle/gc.ts";
import { writeAll } from "../../log/log.ts";
import { defineCommand } from "../command.ts";

export const command = defineCommand({
  usage: "",
  options: {},
  positionals: [0, 0],
  run(_, { context }) {
    writeAll(
      1,
      gc(context)
        .map((line) => `${line}\n`)
        .join(""),
    );
    return 0;
  },
});
