import { containerId } from "../../core/brands.ts";
import { kill, parseSignal } from "../../lifecycle/kill.ts";
import { defineCommand, positional } from "../command.ts";
import { faultOption } from "../fault.ts";
import { withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id> [signal=TERM]",
  options: {
    all: { type: "flag", alias: "a", describe: "signal every process of the container" },
    ...faultOption,
  },
  positionals: [1, 2],
  run(parsed, { context }) {
    const signal = parseSignal(parsed.positionals[1] ?? "TERM");
    withTrace(parsed.options, context, (faulty) =>
      kill(faulty, containerId(positional(parsed, 0)), signal, parsed.options.all),
    );
    return 0;
  },
});
