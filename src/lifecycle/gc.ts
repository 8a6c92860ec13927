/** gc: finds and undoes what a tsrun that was killed has left. */
import { rmSync } from "node:fs";
import { isAlive } from "../host/process.ts";
import { find } from "../state/liveness.ts";
import { listIds, listTemporary } from "../state/store.ts";
import type { Context } from "./context.ts";
import { finishDeletion, remove } from "./delete.ts";

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
