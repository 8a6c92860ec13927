/**
 * start: opens the gate and waits for execve. A hook that fails ends the container and destroys it (runtime.md, Lifecycle,
 * steps 8 and 10); a program that cannot be executed leaves it stopped, as runc does.
 */

import { compileNotify, compileStart } from "../compile/start.ts";
import type { ContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import { type Outcome, openSession, type Session } from "../native/native.ts";
import { encodePlan } from "../plan/encode.ts";
import type { Plan } from "../plan/vocabulary.ts";
import { findContainer } from "../state/liveness.ts";
import { checkAllowed } from "../state/machine.ts";
import type { ContainerRecord } from "../state/record.ts";
import { directoryOf, hasNotifyDirectory } from "../state/store.ts";
import { notifyAddressOf } from "./activation.ts";
import { configHooks } from "./config-copy.ts";
import { type Context, faultOf, reached } from "./context.ts";
import { destroy } from "./delete.ts";
import { failureText, throwFailure } from "./failure-text.ts";
import type { Trace } from "./trace.ts";

export function start(context: Context, id: ContainerId, trace?: Trace): void {
  const { record, status } = findContainer(context.root, id);
  checkAllowed("start", id, status);
  const address = notifyAddressOf(process.env, context.log);
  const session = openSession();
  try {
    startIn(session, context, record, { created: undefined, notify: address !== undefined }, trace);
    forwardReady(session, context, record, address);
  } finally {
    session.close();
  }
}

/**
 * Starts a created container by a plan of this session. `created` is the plan that create ran, when it is at hand: a
 * failure behind the gate names a step of it. `notify`: the caller has a service manager that waits for the container.
 */
export function startIn(
  session: Session,
  context: Context,
  record: ContainerRecord,
  { created, notify }: { readonly created: Plan | undefined; readonly notify: boolean },
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
    notify: notify && hasNotifyDirectory(context.root, record.id),
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

/** Waits until the container says that it is ready, and tells the service manager; a container runs also if that fails. */
export function forwardReady(
  session: Session,
  context: Context,
  record: ContainerRecord,
  address: string | undefined,
): void {
  if (address === undefined || !hasNotifyDirectory(context.root, record.id)) return;
  const plan = compileNotify(record.id, record.init, address);
  const { failure } = session.execute(encodePlan(plan));
  if (failure !== undefined) context.log.warn(failureText(plan, failure));
}

function endAfterFailure(context: Context, record: ContainerRecord, failure: NonNullable<Outcome["failure"]>): void {
  if (failure.kind === "hook.run") destroy(context, record, { kill: true });
}
