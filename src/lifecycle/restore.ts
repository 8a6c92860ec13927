/**
 * restore: a container from an image that checkpoint has written. As create, but for its processes, which CRIU makes; when
 * they are restored, and still stopped, they are checked against config.json and recorded. Killed before that, the journal
 * says what to undo, and CRIU ends what it made when its client is gone.
 */
import { fstatSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import type { Config } from "../../spec-schemas/config.ts";
import { loadBundle } from "../bundle/load.ts";
import type { InheritedFd } from "../compile/criu-request.ts";
import type { CreateOptions } from "../compile/input.ts";
import { type CompiledRestore, compileRestore, RESTORE_LOG, type RestoreOptions } from "../compile/restore.ts";
import { compileNotify } from "../compile/start.ts";
import type { ContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import { encodeJson } from "../core/json.ts";
import { withCreated } from "../host/cgroup.ts";
import { isInOurs } from "../host/confinement.ts";
import type { HostFacts } from "../host/facts.ts";
import { identityOf, ownIdentity } from "../host/process.ts";
import { readHostFacts } from "../host/read.ts";
import { withMissing } from "../host/resctrl.ts";
import { openSession, type Session } from "../native/native.ts";
import { encodePlan } from "../plan/encode.ts";
import type { Plan } from "../plan/vocabulary.ts";
import { find } from "../state/liveness.ts";
import type { ContainerRecord } from "../state/record.ts";
import {
  directoryOf,
  makeDirectory,
  makeWorkDirectory,
  seccompCacheOf,
  writeConfigCopy,
  writeRecord,
} from "../state/store.ts";
import { notifyAddressOf, withNotifyMount } from "./activation.ts";
import {
  checkImage,
  type Directory,
  keepWorkFiles,
  linkLazyPages,
  openDirectory,
  readImageConfig,
  readStreams,
} from "./checkpoint-image.ts";
import { type Context, faultOf, reached } from "./context.ts";
import { hostConsole, temporaryOf, writePidFile } from "./create.ts";
import { findCriu, withLog, writeConfig } from "./criu.ts";
import { destroy, reclaimHalfMade, undoFailed } from "./delete.ts";
import { failureText, throwFailure } from "./failure-text.ts";
import { checkRestored, dropUnusedNotify } from "./restored.ts";

export interface RestoreRequest {
  readonly id: ContainerId;
  readonly bundle: string;
  readonly imagePath: string;
  readonly workPath: string;
  readonly console: CreateOptions["console"];
  readonly pidFile: string | undefined;
  readonly detach: boolean;
  /** In the foreground: reap what a container without a pid namespace of its own leaves behind. */
  readonly subreaper: boolean;
  readonly options: RestoreOptions;
}

/** Returns the exit status for the shell: the program's, 128 + n after signal n, 0 when detached. */
export function restore(context: Context, request: RestoreRequest): number {
  const opened: Directory[] = [];
  const open = (path: string, option: string, make: boolean): Directory => {
    const directory = openDirectory(path, option, make);
    opened.push(directory);
    return directory;
  };
  const session = openSession();
  try {
    const bundle = loadBundle(request.bundle);
    const criu = findCriu(`restore ${request.id}`, bundle.config.annotations);
    const image = open(request.imagePath, "--image-path", false);
    checkImage(image);
    const streams = readStreams(image);
    checkStreams(request.id, streams);
    const dumpedConfig = readImageConfig(image);
    const kept = open(request.workPath, "--work-path", true);
    const work = makeWorkDirectory(context.root, request.id, ownIdentity());
    let record: ContainerRecord;
    try {
      if (request.options.lazyPages) linkLazyPages(work, kept);
      const facts = readHostFacts({
        resctrl: bundle.config.linux?.intelRdt !== undefined,
        systemd: context.cgroupManager === "systemd",
      });
      const compiled = compileRestore({
        id: request.id,
        bundle: bundle.bundle,
        rootfs: bundle.rootfs,
        // Where an image has a notify socket, there must be one; nobody listens there any more.
        config: withNotifyMount(bundle.config, directoryOf(context.root, request.id)),
        facts,
        options: {
          console: hostConsole(request.console, bundle.config.process?.terminal),
          noPivot: false,
          noNewKeyring: false,
          cgroupManager: context.cgroupManager,
          preserveFds: 0,
          pidfdSocket: undefined,
          stateDirectory: directoryOf(context.root, request.id),
          seccompCache: seccompCacheOf(context.root),
        },
        restore: request.options,
        criu: { ...criu, configFile: writeConfig(work, criu.configFile) },
        imagesFd: image.fd,
        streams,
      });
      if (!request.detach) session.watchSignals();
      if (!request.detach && request.subreaper && compiled.record.sharesPidNamespace) session.adoptOrphans();
      record = make(context, request, { bundle, facts, dumpedConfig, compiled, session, work, kept });
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
    tellReady(context, session, record, request.detach);
    if (request.detach) return 0;
    return waitForEnd(context, session, record);
  } finally {
    session.close();
    for (const directory of opened) directory.close();
  }
}

/** Throws `usage` for a stream of ours that CRIU cannot open again for the container. */
function checkStreams(id: ContainerId, streams: readonly InheritedFd[]): void {
  for (const { key, fd } of streams) {
    if (!fstatSync(fd).isSocket()) continue;
    const name = ["standard input", "standard output", "standard error"][fd];
    const was = key.startsWith("pipe:") ? "a pipe" : "a file";
    throw new TsrunError("usage", `restore ${id}: ${name} was ${was}, and the caller's is a socket`, {
      advice: "CRIU can put a pipe, a file or a terminal in its place",
    });
  }
}

interface Making {
  readonly bundle: ReturnType<typeof loadBundle>;
  readonly facts: HostFacts;
  /** The configuration that the image was made with, if it is known. */
  readonly dumpedConfig: Config | undefined;
  readonly compiled: CompiledRestore;
  readonly session: Session;
  /** CRIU's, and where what is kept of it goes. */
  readonly work: string;
  readonly kept: Directory;
}

function make(context: Context, request: RestoreRequest, making: Making): ContainerRecord {
  const { root } = context;
  const { id } = request;
  const { bundle, facts, compiled, session } = making;
  const pidFile = request.pidFile === undefined ? undefined : resolve(request.pidFile);
  const bytes = encodePlan(compiled.plan);

  freeId(context, id);
  const cgroups = withCreated(compiled.record.cgroups);
  const resctrl = withMissing(compiled.record.resctrl);
  makeDirectory(root, id, {
    config: bundle.text,
    entry: {
      kind: "creating",
      by: ownIdentity(),
      cgroups,
      resctrl,
      // As in create.
      systemd: cgroups.every(({ created }) => created) ? compiled.record.systemd : undefined,
      pidFile: pidFile === undefined ? "" : temporaryOf(pidFile, id),
    },
    notify: true,
    reached: (point) => reached(context, point),
  });
  for (const warning of compiled.warnings) context.log.warn(warning);

  let record: ContainerRecord | undefined;
  try {
    const outcome = session.execute(bytes, { fault: faultOf(context, "restore") });
    if (outcome.failure !== undefined) throwFailure(compiled.plan, outcome.failure);
    reached(context, "executed");
    const pid = outcome.pid as number;
    record = {
      id,
      bundle: bundle.bundle,
      rootfs: bundle.rootfs,
      init: identityOf(pid),
      created: new Date().toISOString(),
      ownerUid: facts.uid,
      annotations: bundle.config.annotations ?? {},
      ...compiled.record,
      cgroups: compiled.record.systemd === undefined ? cgroups : compiled.record.cgroups,
      resctrl,
    };
    dropUnusedNotify(root, record);
    checkRestored(context, record, { config: bundle.config, dumpedConfig: making.dumpedConfig, facts });
    writeConfigCopy(root, id, encodeJson(withTimeNamespace(bundle.config, pid)));
    writeRecord(root, record);
    reached(context, "recorded");
    if (pidFile !== undefined) writePidFile(pidFile, pid, id);
    reached(context, "pid-file");
    finish(session, compiled.finish);
    reached(context, "committed");
    return record;
  } catch (error) {
    session.rollback();
    session.close();
    try {
      undoFailed(context, id);
    } catch (left) {
      if (!(left instanceof TsrunError)) throw left;
      context.log.warn(`restore ${id}: what it had made is left for gc: ${left.message}`);
    }
    throw withLog(error, making.work, RESTORE_LOG, resolve(request.workPath, RESTORE_LOG));
  } finally {
    const notKept = keepWorkFiles(making.work, making.kept);
    if (notKept !== undefined) context.log.warn(`restore ${id}: ${notKept}`);
  }
}

/** CRIU puts what it restores into a time namespace, so that its clocks go on: exec has to join it (as with runc). */
function withTimeNamespace(config: Config, pid: number): Config {
  const namespaces = config.linux?.namespaces ?? [];
  if (namespaces.some(({ type }) => type === "time")) return config;
  if (isInOurs(pid, "time")) return config;
  return { ...config, linux: { ...config.linux, namespaces: [...namespaces, { type: "time" }] } };
}

function waitForEnd(context: Context, session: Session, record: ContainerRecord): number {
  let end: ReturnType<Session["attach"]>;
  try {
    end = session.attach();
  } catch (error) {
    // Such as an image that has no terminal, where config.json wants one.
    destroy(context, record, { kill: true });
    throw error;
  }
  destroy(context, record, { kill: false });
  return end.kind === "exited" ? end.value : 128 + end.value;
}

/** A service manager learns at once that the container is ready: it was when it was dumped. It runs also if that fails. */
function tellReady(context: Context, session: Session, record: ContainerRecord, detached: boolean): void {
  const address = notifyAddressOf(process.env, context.log);
  if (address === undefined) return;
  // In the foreground we are the service, and end with the container.
  const plan = compileNotify(record.id, detached ? record.init : ownIdentity(), address, true);
  const { failure } = session.execute(encodePlan(plan));
  if (failure !== undefined) context.log.warn(failureText(plan, failure));
}

function finish(session: Session, plan: Plan): void {
  const { failure } = session.execute(encodePlan(plan));
  if (failure !== undefined) throwFailure(plan, failure);
  session.commit();
}

/** A half-made container, or the stopped one that the image is of, does not block its id (as crun). */
function freeId(context: Context, id: ContainerId): void {
  reclaimHalfMade(context, id);
  const found = find(context.root, id);
  if (found.kind === "container" && found.status === "stopped") destroy(context, found.record, { kill: false });
}
