/** exec: a further process in a container. */
import { constants } from "node:os";
import { resolve } from "node:path";
import { loadProcess } from "../bundle/load.ts";
import {
  compileExec,
  completeProcess,
  type ExecInput,
  type ExecOverrides,
  type ExecProcess,
  execCgroups,
  execProcess,
} from "../compile/exec.ts";
import type { CreateOptions } from "../compile/input.ts";
import type { ContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import { cgroupOf } from "../host/cgroup.ts";
import type { HostFacts } from "../host/facts.ts";
import { readHostFacts } from "../host/read.ts";
import { openSession, type StepFailure } from "../native/native.ts";
import { encodePlan } from "../plan/encode.ts";
import { findContainer } from "../state/liveness.ts";
import { checkAllowed } from "../state/machine.ts";
import type { ContainerRecord } from "../state/record.ts";
import { directoryOf, seccompCacheOf } from "../state/store.ts";
import { configOf } from "./config-copy.ts";
import { type Context, faultOf } from "./context.ts";
import { checkPreservedFds, hostConsole, writePidFile } from "./create.ts";
import { throwFailure } from "./failure-text.ts";
import type { Trace } from "./trace.ts";

export interface ExecRequest {
  readonly id: ContainerId;
  /** --process FILE, or what the command line says. */
  readonly process:
    | { readonly kind: "file"; readonly path: string }
    | { readonly kind: "overrides"; readonly overrides: ExecOverrides };
  readonly console: CreateOptions["console"];
  readonly detach: boolean;
  readonly pidFile: string | undefined;
  readonly preserveFds: number;
  readonly pidfdSocket: string | undefined;
  readonly ignorePaused: boolean;
  /** --cgroup. */
  readonly cgroups: readonly string[];
}

/** Returns the exit status for the shell: the program's, 128 + n after signal n, 0 when detached. */
export function exec(context: Context, request: ExecRequest, trace?: Trace): number {
  const { root } = context;
  const { id } = request;
  const { record, status } = findContainer(root, id);
  // A paused container fails at once and never blocks, unless the caller says that somebody will resume it.
  if (status !== "paused" || !request.ignorePaused) checkAllowed("exec", id, status);
  const facts = readHostFacts();
  checkPreservedFds(facts.launch, request.preserveFds);
  const config = configOf(root, id);
  const process: ExecProcess =
    request.process.kind === "file"
      ? completeProcess(config.process, loadProcess(request.process.path))
      : execProcess(config.process, request.process.overrides);
  // The program's own terminal is relayed when we stay; detached it has to go to somebody.
  const foreground = request.console.kind === "none" && process.terminal === true && !request.detach;
  const console = hostConsole(foreground ? { kind: "pair" } : request.console, process.terminal);
  const input: ExecInput = {
    container: { id, bundle: record.bundle, rootfs: record.rootfs, config, facts },
    process,
    init: record.init,
    cgroups: execCgroups(record.cgroups, request.cgroups, presentCgroup(record, facts)),
    resctrl: record.resctrl,
    entry: status === "paused" ? "moved" : "born",
    options: {
      console,
      noPivot: false,
      // As runc: the program stays in the keyring in which the container's own is.
      noNewKeyring: record.noNewKeyring ?? false,
      preserveFds: request.preserveFds,
      pidfdSocket: request.pidfdSocket === undefined ? undefined : resolve(request.pidfdSocket),
      stateDirectory: directoryOf(root, id),
      seccompCache: seccompCacheOf(root),
    },
  };
  const { warnings, ...compiled } = compileExec(input);
  let { plan } = compiled;
  for (const warning of warnings) context.log.warn(warning);

  const session = openSession();
  try {
    if (!request.detach) session.watchSignals();
    let outcome = session.execute(encodePlan(plan), { fault: faultOf(context, "exec") });
    if (outcome.failure !== undefined && isAtProcessLimit(outcome.failure)) {
      ({ plan } = compileExec({ ...input, entry: "moved" }));
      outcome = session.execute(encodePlan(plan));
    }
    trace?.add(plan, outcome.reports());
    if (outcome.failure !== undefined) throwFailure(plan, outcome.failure);
    if (request.pidFile !== undefined) writePidFile(resolve(request.pidFile), outcome.pid as number, id);
    session.commit();
    if (request.detach) return 0;
    const end = session.attach();
    return end.kind === "exited" ? end.value : 128 + end.value;
  } catch (error) {
    session.rollback();
    throw error;
  } finally {
    session.close();
  }
}

/** A process that is moved into a cgroup does not count against its pids.max, one that is born there does. */
function isAtProcessLimit({ kind, errno }: StepFailure): boolean {
  return (kind === "process.spawn" || kind === "process.fork") && errno === constants.errno.EAGAIN;
}

/** On v2 init may have moved to a child of the container's cgroup, which has no room for processes then; "" if it has not. */
function presentCgroup({ id, init, cgroups }: ContainerRecord, facts: HostFacts): string {
  const place = cgroups.find(({ version }) => version === 2);
  if (place === undefined) return "";
  const mounted = facts.cgroup.hierarchies.find(({ mountPoint }) => mountPoint === place.hierarchy);
  const now = mounted === undefined ? undefined : cgroupOf(init.pid, mounted);
  if (now === undefined) throw new TsrunError("wrong-state", `exec ${id}: container not running`);
  return now === place.path ? "" : now;
}
