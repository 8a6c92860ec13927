/**
 * create: load, compile, claim the id, journal, run the plan, record, hand over.
 *
 * Until the directory is claimed nothing is changed, so every error before that leaves nothing. Killed after it, the
 * journal says what to undo; tsrun-init ends by itself when its creator dies before `commit`.
 */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { loadBundle } from "../bundle/load.ts";
import { compileCreate } from "../compile/create.ts";
import type { CreateOptions } from "../compile/input.ts";
import type { AbsPath, ContainerId } from "../core/brands.ts";
import { reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { withCreated } from "../host/cgroup.ts";
import type { LaunchState } from "../host/facts.ts";
import { identityOf, ownIdentity } from "../host/process.ts";
import { readHostFacts } from "../host/read.ts";
import { withMissing } from "../host/resctrl.ts";
import { openSession, type Session, terminalSize } from "../native/native.ts";
import { encodePlan } from "../plan/encode.ts";
import type { Plan } from "../plan/vocabulary.ts";
import type { ContainerRecord } from "../state/record.ts";
import { directoryOf, makeDirectory, seccompCacheOf, writeRecord } from "../state/store.ts";
import { readActivation, withActivation } from "./activation.ts";
import { type Context, faultOf, reached } from "./context.ts";
import { reclaimHalfMade, removeFromStore } from "./delete.ts";
import { throwFailure } from "./failure-text.ts";
import type { Trace } from "./trace.ts";

export interface CreateRequest {
  readonly id: ContainerId;
  /** Path of the bundle, relative to the working directory. */
  readonly bundle: string;
  /** crun's --config: another name of config.json, relative to the bundle. */
  readonly configFile: string | undefined;
  readonly console: CreateOptions["console"];
  readonly pidFile: string | undefined;
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  readonly preserveFds: number;
  readonly pidfdSocket: string | undefined;
  /** Of `run --image`: the reference of a bundle that goes with the container. */
  readonly bundleReference?: AbsPath | undefined;
}

/** A created container, still held by the session that made it. */
export interface Created {
  readonly record: ContainerRecord;
  readonly plan: Plan;
  /** Committed: what it did stays. For attach; to be closed. */
  readonly session: Session;
}

export function create(context: Context, request: CreateRequest, trace?: Trace): Created {
  const { root } = context;
  const { id } = request;
  const { bundle, rootfs, config: written, text } = loadBundle(request.bundle, request.configFile);
  const facts = readHostFacts({
    resctrl: written.linux?.intelRdt !== undefined,
    systemd: context.cgroupManager === "systemd",
  });
  const activation = readActivation(process.env, process.pid, context.log);
  const preserveFds = activation.listenFds + request.preserveFds;
  checkPreservedFds(facts.launch, preserveFds);
  const config = withActivation(written, activation, directoryOf(root, id));
  const pidFile = request.pidFile === undefined ? undefined : resolve(request.pidFile);
  const compiled = compileCreate({
    id,
    bundle,
    rootfs,
    config,
    facts,
    options: {
      console: hostConsole(request.console, config.process?.terminal),
      noPivot: request.noPivot,
      noNewKeyring: request.noNewKeyring,
      cgroupManager: context.cgroupManager,
      preserveFds,
      pidfdSocket: request.pidfdSocket === undefined ? undefined : resolve(request.pidfdSocket),
      stateDirectory: directoryOf(root, id),
      seccompCache: seccompCacheOf(root),
    },
  });
  const bytes = encodePlan(compiled.plan);

  reclaimHalfMade(context, id);
  const cgroups = withCreated(compiled.record.cgroups);
  const resctrl = withMissing(compiled.record.resctrl);
  makeDirectory(root, id, {
    config: text,
    entry: {
      kind: "creating",
      by: ownIdentity(),
      cgroups,
      resctrl,
      // A unit that is there is another's, and keeps us from making ours.
      systemd: cgroups.every(({ created }) => created) ? compiled.record.systemd : undefined,
      detachRoot: compiled.record.detachRoot,
      bundleReference: request.bundleReference,
      pidFile: pidFile === undefined ? "" : temporaryOf(pidFile, id),
    },
    notify: activation.notifyAddress !== undefined,
    reached: (point) => reached(context, point),
  });
  for (const warning of compiled.warnings) context.log.warn(warning);

  const session = openSession();
  try {
    const outcome = session.execute(bytes, { fault: faultOf(context, "create") });
    trace?.add(compiled.plan, outcome.reports());
    if (outcome.failure !== undefined) throwFailure(compiled.plan, outcome.failure);
    reached(context, "executed");
    const record: ContainerRecord = {
      id,
      bundle,
      rootfs,
      init: identityOf(outcome.pid as number),
      created: new Date().toISOString(),
      ownerUid: facts.uid,
      annotations: config.annotations ?? {},
      ...compiled.record,
      // What systemd has made for us is ours, whatever was left of the name's cgroup before.
      cgroups: compiled.record.systemd === undefined ? cgroups : compiled.record.cgroups,
      resctrl,
      bundleReference: request.bundleReference,
    };
    writeRecord(root, record);
    reached(context, "recorded");
    if (pidFile !== undefined) writePidFile(pidFile, record.init.pid, id);
    reached(context, "pid-file");
    session.commit();
    reached(context, "committed");
    return { record, plan: compiled.plan, session };
  } catch (error) {
    session.rollback();
    session.close();
    removeFromStore(context, id);
    throw error;
  }
}

/** The console with what is to be known of the host: the socket's whole path, the size of our own terminal. */
export function hostConsole(
  console: CreateOptions["console"],
  terminal: boolean | undefined,
): CreateOptions["console"] {
  if (console.kind === "socket") return { kind: "socket", path: resolve(console.path) };
  return console.kind === "pair" && terminal === true ? { kind: "pair", size: terminalSize() } : console;
}

/** --preserve-fds must name the caller's descriptors, never Node's own that took a free number. */
export function checkPreservedFds(launch: LaunchState, count: number): void {
  for (let fd = 3; fd < 3 + count; fd++) {
    if (launch.validFds?.includes(fd) === true) continue;
    throw new TsrunError("usage", `--preserve-fds ${count}: descriptor ${fd} is not open`, {
      advice: "it counts the descriptors from 3 on that the container shall keep",
    });
  }
}

/** Where the pid file is written before it has its name: for the journal. */
export const temporaryOf = (pidFile: string, id: string): string => `${pidFile}.tsrun-${id}`;

/**
 * Writes the pid by rename: whoever sees the file sees the whole number. The file under the temporary name is always one of
 * ours: a link that somebody has put there leads nowhere (attack row 16). Throws `usage`.
 */
export function writePidFile(path: string, pid: number, id: string): void {
  const temporary = temporaryOf(path, id);
  try {
    rmSync(temporary, { force: true });
    writeFileSync(temporary, String(pid), { mode: 0o644, flag: "wx" });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new TsrunError("usage", `cannot write the pid file ${path}: ${reasonOf(error)}`);
  }
}
