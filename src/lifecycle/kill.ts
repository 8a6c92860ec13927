/** kill: a signal to the container's init, or with `all` to every process of it. */
import { constants } from "node:os";
import { compileKill, membershipPlace } from "../compile/kill.ts";
import type { ContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import { processesInPidNamespaceOf, readProcess } from "../host/process.ts";
import { openSession } from "../native/native.ts";
import { encodePlan } from "../plan/encode.ts";
import type { Plan } from "../plan/vocabulary.ts";
import { findContainer } from "../state/liveness.ts";
import { checkAllowed } from "../state/machine.ts";
import type { ContainerRecord, ProcessIdentity } from "../state/record.ts";
import { type Context, faultOf } from "./context.ts";
import { throwFailure } from "./failure-text.ts";

/** Highest signal number (SIGRTMAX). */
const MAX_SIGNAL = 64;

/** A number (0 only asks whether it runs), NAME or SIGNAME, also RTMIN+n and RTMAX-n (kill(1)). Throws `usage`. */
export function parseSignal(text: string): number {
  const bad = (): never => {
    throw new TsrunError("usage", `unknown signal ${JSON.stringify(text)}`, {
      advice: `a number from 0 to ${MAX_SIGNAL}, or a name such as TERM or SIGTERM (kill -l)`,
    });
  };
  if (/^\d{1,3}$/.test(text)) {
    const number = Number(text);
    return number <= MAX_SIGNAL ? number : bad();
  }
  const name = text.toUpperCase().replace(/^SIG/, "");
  const known = (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`];
  if (known !== undefined) return known;
  const realtime = /^(RTMIN|RTMAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realtime === null) return bad();
  const [, base, sign, offset = "0"] = realtime;
  // glibc keeps 32 and 33 for itself: programs know 34 as SIGRTMIN.
  const number = (base === "RTMIN" ? 34 : MAX_SIGNAL) + (sign === "-" ? -1 : 1) * Number(offset);
  return number >= 34 && number <= MAX_SIGNAL ? number : bad();
}

export function kill(context: Context, id: ContainerId, signal: number, all: boolean): void {
  const { record, status } = findContainer(context.root, id);
  if (status === "stopped" && all) {
    killRest(context, record, signal);
    return;
  }
  checkAllowed("kill", id, status);
  const plan = compileKill({
    id,
    pid: record.init.pid,
    startTime: record.init.startTime,
    signal,
    all,
    cgroups: record.cgroups,
    others: all ? othersOf(record) : [],
    sharesPidNamespace: record.sharesPidNamespace,
  });
  run(context, plan);
}

/** Without a cgroup: who else is in the container's own pid namespace. */
function othersOf({ cgroups, init, sharesPidNamespace }: ContainerRecord): ProcessIdentity[] {
  if (sharesPidNamespace || membershipPlace(cgroups) !== undefined) return [];
  return processesInPidNamespaceOf(init.pid).flatMap((pid) => {
    const found = pid === init.pid ? undefined : readProcess(pid);
    return found === undefined ? [] : [{ pid, startTime: found.startTime }];
  });
}

/** After init's end others may live on, when they share a pid namespace; `--all` reaches them and is never an error. */
function killRest(context: Context, record: ContainerRecord, signal: number): void {
  if (!record.sharesPidNamespace || record.cgroups.length === 0) return;
  run(
    context,
    compileKill({
      id: record.id,
      pid: record.init.pid,
      startTime: record.init.startTime,
      signal,
      all: true,
      cgroups: record.cgroups,
      sharesPidNamespace: true,
    }),
  );
}

function run(context: Context, plan: Plan): void {
  const session = openSession();
  try {
    const { failure } = session.execute(encodePlan(plan), { fault: faultOf(context, "kill") });
    if (failure === undefined) return;
    // It ended between the look and the signal.
    if (failure.kind === "process.signal" && failure.errno === constants.errno.ESRCH) {
      throw new TsrunError("wrong-state", `${plan.title}: container not running`);
    }
    throwFailure(plan, failure);
  } finally {
    session.close();
  }
}
