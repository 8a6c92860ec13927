/** --test-fault, for tests: `point:NAME`, or `PLAN:host|container:INDEX:kill|fail`. */
import { TsrunError } from "../core/errors.ts";
import { type FaultRequest, type KillPoint, type PlanName, planNames } from "../lifecycle/context.ts";
import type { OptionTable } from "./options.ts";

export const faultOption = {
  "test-fault": { type: "text", describe: "fail or be killed at a step", hidden: true },
} as const satisfies OptionTable;

export function parseFault(text: string | undefined): FaultRequest | undefined {
  if (text === undefined) return undefined;
  const point = /^point:([a-z-]+)$/.exec(text)?.[1];
  if (point !== undefined) return { kind: "point", point: point as KillPoint };
  const step = /^(\w+):(host|container):(\d+):(kill|fail)$/.exec(text);
  if (step === null || !(planNames as readonly string[]).includes(step[1] ?? ""))
    throw new TsrunError("usage", `--test-fault: ${JSON.stringify(text)} is none`);
  const [, plan, side, index, mode] = step;
  return {
    kind: "step",
    plan: plan as PlanName,
    fault: {
      side: side as "host" | "container",
      index: Number(index),
      mode: mode === "kill" ? "killHost" : "fail",
    },
  };
}
