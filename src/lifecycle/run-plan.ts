import { openSession } from "../native/native.ts";
import { encodePlan } from "../plan/encode.ts";
import type { Plan } from "../plan/vocabulary.ts";
import { type Context, faultOf, type PlanName } from "./context.ts";
import { throwFailure } from "./failure-text.ts";

/** Runs a plan that starts no process; what it did stays. Throws `step`, when all that it did is undone. */
export function runPlan(context: Context, name: PlanName, plan: Plan): void {
  const session = openSession();
  try {
    const { failure } = session.execute(encodePlan(plan), { fault: faultOf(context, name) });
    if (failure !== undefined) throwFailure(plan, failure);
    session.commit();
  } finally {
    session.close();
  }
}
