/** gc: finds and undoes what a tsrun that was killed has left. */
import { existsSync, realpathSync, rmSync } from "node:fs";
import { type AbsPath, type ContainerId, containerId, isContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import { isAlive } from "../host/process.ts";
import { collectBundles, referencedLayers } from "../image/references.ts";
import { collectLayers, collectLeftovers, type LayerStore, type StoredLayer } from "../image/store.ts";
import { find, usesBundle } from "../state/liveness.ts";
import { listIds, listTemporary } from "../state/store.ts";
import type { Context } from "./context.ts";
import { finishDeletion, remove } from "./delete.ts";

/**
 * Of the layer store: bundles of images whose container or maker is gone, layers that are half made; with `layers` also those
 * that no bundle uses.
 */
export function gcStore(given: LayerStore, layers: boolean): string[] {
  // As references name it; without one there is nothing to collect.
  if (!existsSync(given.path)) return [];
  const store = { ...given, path: realpathSync(given.path) as AbsPath };
  const bundles = collectBundles(store.path, ({ root, id }, bundle) => {
    return isContainerId(id) && usesBundle({ path: root, explicit: true }, containerId(id), bundle);
  });
  // Asked for each layer, since a reference may come until the lock is taken.
  const isUsed = ({ path }: StoredLayer): boolean => referencedLayers(store.path).has(path);
  return [...bundles, ...(layers ? collectLayers(store, isUsed) : collectLeftovers(store))];
}

function collect(context: Context, id: ContainerId): string | undefined {
  const found = find(context.root, id);
  if (found.kind === "half-made" && !found.alive) {
    remove(context, id, true);
    return "removed what a create that was killed had made";
  }
  if (found.kind === "container" && finishDeletion(context, found)) return "finished a deletion that was killed";
  return undefined;
}

/** What was undone, a line each: half-made containers, deletions that were not finished, directories without an id. */
export function gc(context: Context): string[] {
  const done: string[] = [];
  for (const id of listIds(context.root)) {
    try {
      const undone = collect(context, id);
      if (undone !== undefined) done.push(`${id}: ${undone}`);
    } catch (error) {
      // As in list: one that cannot be read does not keep the others.
      if (!(error instanceof TsrunError) || error.code !== "state-store") throw error;
      context.log.warn(`gc: ${id}: ${error.message}`);
    }
  }
  for (const { path, by } of listTemporary(context.root)) {
    if (isAlive(by.pid, by.startTime)) continue;
    rmSync(path, { recursive: true, force: true });
    done.push(`${path}: removed`);
  }
  return done;
}
