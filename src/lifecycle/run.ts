/** run: create and start; in the foreground also attach, and delete at the end. */

import { notifyAddressOf } from "./activation.ts";
import type { Context } from "./context.ts";
import { type CreateRequest, create } from "./create.ts";
import { destroy } from "./delete.ts";
import { forwardReady, startIn } from "./start.ts";
import type { Trace } from "./trace.ts";

export interface RunRequest extends CreateRequest {
  readonly detach: boolean;
  /** Leave the stopped container for `delete`. */
  readonly keep: boolean;
  /** In the foreground: reap what a container without a pid namespace of its own leaves behind. */
  readonly subreaper: boolean;
}

/** Returns the exit status for the shell: the program's, 128 + n after signal n, 0 when detached. */
export function run(context: Context, request: RunRequest, trace?: Trace): number {
  const notifyAddress = notifyAddressOf(process.env, context.log);
  const { record, plan, session } = create(context, request, trace);
  try {
    try {
      // Before the start, so that no signal to us and no orphan is lost.
      if (!request.detach) session.watchSignals();
      if (!request.detach && request.subreaper && record.sharesPidNamespace) session.adoptOrphans();
      startIn(session, context, record, { created: plan, notify: notifyAddress !== undefined }, trace);
    } catch (error) {
      destroy(context, record, { kill: true });
      throw error;
    }
    if (request.detach) {
      forwardReady(session, context, record, notifyAddress);
      return 0;
    }
    const end = session.attach(notifyAddress);
    if (end.notNotified !== undefined) context.log.warn(`run ${record.id}: ${end.notNotified}`);
    if (!request.keep) destroy(context, record, { kill: false });
    return end.kind === "exited" ? end.value : 128 + end.value;
  } finally {
    session.close();
  }
}
