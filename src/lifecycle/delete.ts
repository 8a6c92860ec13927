/**
 * delete, and undoing what a killed tsrun left.
 *
 *     lock        kill and remove (bounded), journal `deleting`   another delete waits for this and finds it claimed
 *     no lock     poststop hooks                                  repeated by the next delete if we are killed here
 *     rename      the id is free again; the directory's remains are removed
 */
import { rmSync } from "node:fs";
import { compileDelete, compilePoststop } from "../compile/delete.ts";
import type { ContainerId } from "../core/brands.ts";
import { isAlive, ownIdentity, tracerOf } from "../host/process.ts";
import { removeReferenced } from "../image/references.ts";
import { lockDirectory, openSession } from "../native/native.ts";
import { encodePlan } from "../plan/encode.ts";
import { type Found, find, noSuchContainer } from "../state/liveness.ts";
import { checkAllowed, isAllowed } from "../state/machine.ts";
import type { ContainerRecord, JournalEntry } from "../state/record.ts";
import {
  appendJournal,
  directoryOf,
  isWorkDirectory,
  readJournal,
  readRecord,
  removeDirectory,
} from "../state/store.ts";
import { configHooks } from "./config-copy.ts";
import { type Context, reached } from "./context.ts";
import { failureText } from "./failure-text.ts";
import { runPlan } from "./run-plan.ts";

/** Deletes a container that is created or stopped; with `force` any, and an unknown id is no error. */
export function remove(context: Context, id: ContainerId, force: boolean): void {
  const found = find(context.root, id);
  switch (found.kind) {
    case "nothing":
      if (force) return;
      throw noSuchContainer(context.root, id);
    case "half-made":
      if (found.alive) checkAllowed("delete", id, "creating");
      undoHalfMade(context, id, found.journal);
      return;
    case "container": {
      if (!force || isAllowed("delete", found.status)) checkAllowed("delete", id, found.status);
      destroy(context, found.record, { kill: found.status !== "stopped" });
    }
  }
}

/** Ends and removes a recorded container, whatever its status. Another delete at the same time makes this do nothing. */
export function destroy(context: Context, record: ContainerRecord, options: { readonly kill: boolean }): void {
  const { root } = context;
  const { id } = record;
  const lock = lockDirectory(directoryOf(root, id), "exclusive");
  if (lock === undefined) return;
  try {
    // While we waited it may have been deleted, and the id taken again.
    if (readRecord(root, id)?.init.startTime !== record.init.startTime || isBeingDeleted(readJournal(root, id))) return;
    // init may have ended, and its pid become another's, since the caller looked: the step checks the start time.
    runDelete(
      context,
      compileDelete({
        id,
        pid: record.init.pid,
        startTime: record.init.startTime,
        kill: options.kill,
        dumper: options.kill ? dumperOf(context, record.init.pid) : undefined,
        sharesPidNamespace: record.sharesPidNamespace,
        cgroups: record.cgroups,
        resctrl: record.resctrl,
        systemd: record.systemd,
        detachRoot: record.detachRoot,
      }),
    );
    reached(context, "removed");
    appendJournal(root, id, { kind: "deleting", by: ownIdentity() });
    reached(context, "deleting");
  } finally {
    lock.release();
  }
  runPoststop(context, record);
  reached(context, "poststop");
  // Before the id is free: a deletion that ends here is finished by the next one.
  if (record.bundleReference !== undefined) removeReferenced(record.bundleReference);
  reached(context, "bundle-removed");
  removeFromStore(context, id);
}

/** The CRIU of a checkpoint; a debugger is none. */
function dumperOf({ root }: Context, pid: number): { readonly pid: number; readonly startTime: bigint } | undefined {
  const tracer = tracerOf(pid);
  return tracer !== undefined && isWorkDirectory(root, tracer.directory) ? tracer : undefined;
}

/** A poststop hook that fails is a warning (runtime.md, Lifecycle, step 13). */
function runPoststop(context: Context, record: ContainerRecord): void {
  if (!record.hooks.poststop) return;
  const { id, bundle, annotations } = record;
  for (const plan of compilePoststop({ id, bundle, annotations }, configHooks(context.root, id))) {
    const session = openSession();
    try {
      const { failure } = session.execute(encodePlan(plan));
      if (failure !== undefined) context.log.warn(failureText(plan, failure));
    } finally {
      session.close();
    }
  }
}

function runDelete(context: Context, plan: ReturnType<typeof compileDelete>): void {
  if (plan.host.length > 0) runPlan(context, "delete", plan);
}

function isBeingDeleted(journal: readonly JournalEntry[]): boolean {
  return journal.some((entry) => entry.kind === "deleting" && isAlive(entry.by.pid, entry.by.startTime));
}

/**
 * Undoes what a create that was killed before it recorded its container has left: tsrun-init has ended by itself when its
 * creator died; cgroups, a started hook in them, and files remain.
 */
function undoHalfMade(context: Context, id: ContainerId, journal: readonly JournalEntry[]): void {
  const { root } = context;
  const lock = lockDirectory(directoryOf(root, id), "exclusive");
  if (lock === undefined) return;
  try {
    // While we waited another tsrun may have undone it, and the id may be another container's by now.
    if (readRecord(root, id) !== undefined || !isSame(readJournal(root, id), journal)) return;
    undoEntries(context, id, journal);
    removeFromStore(context, id);
  } finally {
    lock.release();
  }
}

/** Whether two journals were begun by the same create. */
function isSame([one]: readonly JournalEntry[], [other]: readonly JournalEntry[]): boolean {
  return one?.by.pid === other?.by.pid && one?.by.startTime === other?.by.startTime;
}

function undoEntries(context: Context, id: ContainerId, journal: readonly JournalEntry[]): void {
  for (const entry of journal) {
    if (entry.kind !== "creating") continue;
    runDelete(
      context,
      compileDelete({
        id,
        pid: 0,
        startTime: 0n,
        kill: false,
        sharesPidNamespace: true,
        cgroups: entry.cgroups,
        resctrl: entry.resctrl,
        systemd: entry.systemd,
        halfMade: true,
        detachRoot: entry.detachRoot,
      }),
    );
    if (entry.pidFile !== "") rmSync(entry.pidFile, { force: true });
    if (entry.bundleReference !== undefined) removeReferenced(entry.bundleReference);
  }
}

/** What a restore that failed has left, recorded or not: CRIU's own processes may stand in its cgroups. */
export function undoFailed(context: Context, id: ContainerId): void {
  const found = find(context.root, id);
  if (found.kind === "container") destroy(context, found.record, { kill: found.status !== "stopped" });
  else if (found.kind === "half-made") undoHalfMade(context, id, found.journal);
}

/** Before create claims an id: a half-made container whose creator is dead does not block it. */
export function reclaimHalfMade(context: Context, id: ContainerId): void {
  const found = find(context.root, id);
  if (found.kind === "half-made" && !found.alive) undoHalfMade(context, id, found.journal);
}

/** Frees the id, then removes the directory. */
export function removeFromStore(context: Context, id: ContainerId): void {
  removeDirectory(context.root, id, ownIdentity(), () => reached(context, "renamed"));
}

/** For gc: finishes a deletion whose tsrun was killed. */
export function finishDeletion(context: Context, found: Extract<Found, { kind: "container" }>): boolean {
  const { record } = found;
  const begun = readJournal(context.root, record.id).some((entry) => entry.kind === "deleting");
  if (!begun || isBeingDeleted(readJournal(context.root, record.id))) return false;
  destroy(context, record, { kill: found.status !== "stopped" });
  return true;
}
