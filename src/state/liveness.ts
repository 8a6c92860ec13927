/** The status of a container, derived from what the kernel says now. */
import type { ContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import { INIT_NAME } from "../core/names.ts";
import { isFrozen } from "../host/cgroup.ts";
import { isAlive, readProcess } from "../host/process.ts";
import type { Status } from "./machine.ts";
import type { ContainerRecord, JournalEntry } from "./record.ts";
import { hasDirectory, hasGate, readJournal, readRecord, type StateRoot } from "./store.ts";

/** What there is under an id. */
export type Found =
  | { readonly kind: "container"; readonly record: ContainerRecord; readonly status: Exclude<Status, "creating"> }
  /** No record yet: `alive` says whether the tsrun that creates it still runs; otherwise delete --force and gc undo it. */
  | { readonly kind: "half-made"; readonly journal: readonly JournalEntry[]; readonly alive: boolean }
  | { readonly kind: "nothing" };

/**
 * `stopped`: init is gone or a zombie; `created`: the gate is shut (a start that was killed may have left its socket file,
 * so init must also still be ours); `paused`: the cgroup is frozen; else `running`.
 */
export function statusOf(root: StateRoot, record: ContainerRecord): Exclude<Status, "creating"> {
  const { pid, startTime } = record.init;
  const init = readProcess(pid);
  if (init === undefined || init.startTime !== startTime || init.state === "Z" || init.state === "X") return "stopped";
  if (isFrozen(record.cgroups)) return "paused";
  return init.comm === INIT_NAME && hasGate(root, record.id) ? "created" : "running";
}

export function find(root: StateRoot, id: ContainerId): Found {
  const record = readRecord(root, id);
  if (record !== undefined) return { kind: "container", record, status: statusOf(root, record) };
  if (!hasDirectory(root, id)) return { kind: "nothing" };
  const journal = readJournal(root, id);
  // Between the two reads the creator may have written the record.
  const again = readRecord(root, id);
  if (again !== undefined) return { kind: "container", record: again, status: statusOf(root, again) };
  const creator = journal.find((entry) => entry.kind === "creating");
  return { kind: "half-made", journal, alive: creator !== undefined && isAlive(creator.by.pid, creator.by.startTime) };
}

/** Whether a container, in whatever status, is there under this id and has this bundle. */
export function usesBundle(root: StateRoot, id: ContainerId, bundle: string): boolean {
  return readRecord(root, id)?.bundle === bundle;
}

/** The container under an id. Throws `not-found`, in the words that runc's callers look for. */
export function findContainer(root: StateRoot, id: ContainerId): Extract<Found, { kind: "container" }> {
  const found = find(root, id);
  if (found.kind === "container") return found;
  if (found.kind === "nothing") throw noSuchContainer(root, id);
  throw new TsrunError("not-found", `container ${id} does not exist`, {
    advice: found.alive
      ? "another tsrun is creating it at the moment"
      : `a tsrun that was killed left a half-made container: tsrun delete --force ${id}`,
  });
}

export function noSuchContainer(root: StateRoot, id: ContainerId): TsrunError {
  return new TsrunError("not-found", `container ${id} does not exist`, {
    advice: `there is none of this name in ${root.path}; tsrun list shows those that are, --root DIR those of another place`,
  });
}
