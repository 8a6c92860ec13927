/** gc: finds and undoes what a tsrun that was killed has left. */
import { rmSync } from "node:fs";
import { containerId, isContainerId } from "../core/brands.ts";
import { isAlive } from "../host/process.ts";
import { collectBundles, referencedLayers } from "../image/references.ts";
import { collectLayers, type LayerStore } from "../image/store.ts";
import { lockDirectory } from "../native/native.ts";
import { find, usesBundle } from "../state/liveness.ts";
import { listIds, listTemporary } from "../state/store.ts";
import type { Context } from "./context.ts";
import { finishDeletion, remove } from "./delete.ts";

/**
 * Bundles of images whose container or maker is gone; with `layers` also the layers that no bundle uses. Waits for those who
 * are just making a bundle.
 */
export function gcStore(store: LayerStore, layers: boolean): string[] {
  const lock = lockDirectory(store.path, "exclusive");
  // No store yet.
  if (lock === undefined) return [];
  try {
    const done = collectBundles(store.path, ({ root, id }, bundle) => {
      return isContainerId(id) && usesBundle({ path: root, explicit: true }, containerId(id), bundle);
    });
    if (!layers) return done;
    const used = referencedLayers(store.path);
    return [...done, ...collectLayers(store, ({ path }) => used.has(path))];
  } finally {
    lock.release();
  }
}

/** What was undone, a line each: half-made containers, deletions that were not finished, directories without an id. */
export function gc(context: Context): string[] {
  const done: string[] = [];
  for (const id of listIds(context.root)) {
    const found = find(context.root, id);
    if (found.kind === "half-made" && !found.alive) {
      remove(context, id, true);
      done.push(`${id}: removed what a create that was killed had made`);
    } else if (found.kind === "container" && finishDeletion(context, found)) {
      done.push(`${id}: finished a deletion that was killed`);
    }
  }
  for (const { path, by } of listTemporary(context.root)) {
    if (isAlive(by.pid, by.startTime)) continue;
    rmSync(path, { recursive: true, force: true });
    done.push(`${path}: removed`);
  }
  return done;
}
