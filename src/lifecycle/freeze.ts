/** pause and resume: all processes of a container stop at once, and go on. */
import { compileFreeze } from "../compile/freeze.ts";
import type { ContainerId } from "../core/brands.ts";
import { freezerPlace } from "../host/cgroup.ts";
import { findContainer } from "../state/liveness.ts";
import { checkAllowed } from "../state/machine.ts";
import type { Context } from "./context.ts";
import { runPlan } from "./run-plan.ts";

/** Returns when every process is frozen, or all are thawed. */
export function freeze(context: Context, id: ContainerId, operation: "pause" | "resume"): void {
  const { record, status } = findContainer(context.root, id);
  checkAllowed(operation, id, status);
  runPlan(context, operation, compileFreeze({ id, operation, place: freezerPlace(record.cgroups) }));
}
