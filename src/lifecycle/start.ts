/**
 * start: opens the gate and waits for execve. A hook that fails ends the container and destroys it (runtime.md, Lifecycle,
 * steps 8 and 10); a program that cannot be executed leaves it stopped, as runc does.
 */

import { compileStart } from "../compile/start.ts";
import type { ContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import { type Outcome, openSession, type Session } from "../native/native.ts";
import { encodePlan } from "../plan/encode.ts";
import type { Plan } from "../plan/vocabulary.ts";
import { findContainer } from "../state/liveness.ts";
import { checkAllowed } from "../state/machine.ts";
import type { ContainerRecord } from "../state/record.ts";
import { directoryOf } from "../state/store.ts";
import { configHooks } from "./config-copy.ts";
import { type Context, faultOf, reached } from "./context.ts";
import { destroy } from "./delete.ts";
import { throwFailure } from "./failure-text.ts";
import type { Trace } from "./trace.ts";

export function start(context: Context, id: ContainerId, trace?: Trace): void {
  const { record, status } = findContainer(context.root, id);
  checkAllowed("start", id, status);
  const session = openSession();
  try {
    startIn(session, context, record, undefined, trace);
  } finally {
    session.close();
  }
}

/**
 * Starts a created container by a plan of this session. `created` is the plan that create ran, when it is at hand: a
 * failure behind the gate names a step of it.
 */
export function startIn(
  session: Session,
  context: Context,
  record: ContainerRecord,
  created: Plan | undefined,
  trace?: Trace,
): void {
  if (!record.hasProcess) {
    throw new TsrunError("wrong-state", `start ${record.id}: config.json has no process, so there is nothing to start`);
  }
  const plan = compileStart({
    id: record.id,
    bundle: record.bundle,
    annotations: record.annotations,
    pid: record.init.pid,
    stateDirectory: directoryOf(context.root, record.id),
    hooks: record.hooks.poststart ? configHooks(context.root, record.id) : undefined,
  });
  const outcome = session.execute(encodePlan(plan), { fault: faultOf(context, "start") });
  trace?.add(plan, outcome.reports());
  if (outcome.failure === undefined) {
    session.commit();
    reached(context, "started");
    return;
  }
  endAfterFailure(context, record, outcome.failure);
  throwFailure(
    outcome.failure.side === "container" && created !== undefined ? { ...created, title: plan.title } : plan,
    outcome.failure,
  );
}

function endAfterFailure(context: Context, record: ContainerRecord, failure: NonNullable<Outcome["failure"]>): void {
  if (failure.kind === "hook.run") destroy(context, record, { kill: true });
}
