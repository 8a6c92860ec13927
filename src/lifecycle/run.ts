/** run: create and start; in the foreground also attach, and delete at the end. */

import type { Context } from "./context.ts";
import { type CreateRequest, create } from "./create.ts";
import { destroy } from "./delete.ts";
import { startIn } from "./start.ts";
import type { Trace } from "./trace.ts";

export interface RunRequest extends CreateRequest {
  readonly detach: boolean;
  /** Leave the stopped container for `delete`. */
  readonly keep: boolean;
}

/** Returns the exit status for the shell: the program's, 128 + n after signal n, 0 when detached. */
export function run(context: Context, request: RunRequest, trace?: Trace): number {
  const { record, plan, session } = create(context, request, trace);
  try {
    try {
      // Before the start, so that no signal to us is lost.
      if (!request.detach) session.watchSignals();
      startIn(session, context, record, plan, trace);
    } catch (error) {
      destroy(context, record, { kill: true });
      throw error;
    }
    if (request.detach) return 0;
    const end = session.attach();
    if (!request.keep) destroy(context, record, { kill: false });
    return end.kind === "exited" ? end.value : 128 + end.value;
  } finally {
    session.close();
  }
}
