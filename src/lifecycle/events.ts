/** events: a container's statistics, and kills for want of memory, as they happen. */
import type { ContainerId } from "../core/brands.ts";
import { encodeJson } from "../core/json.ts";
import { readStats } from "../host/cgroup-stats.ts";
import { openOomWatch } from "../native/native.ts";
import { findContainer } from "../state/liveness.ts";
import { checkAllowed } from "../state/machine.ts";
import type { ContainerRecord } from "../state/record.ts";
import type { Context } from "./context.ts";

/** Longest wait of poll(2). */
const MAX_WAIT_MS = 0x7fff_ffff;

/** One line of JSON. Returns false when nobody reads any more. */
export type Print = (line: string) => boolean;

/** Prints the statistics of now. */
export function printStats(context: Context, id: ContainerId, print: Print): void {
  const { record, status } = findContainer(context.root, id);
  checkAllowed("events", id, status);
  print(statsLine(record));
}

/** Prints statistics every `intervalMs`, and each OOM kill at once; returns when the container has stopped, or nobody reads. */
export function printEvents(context: Context, id: ContainerId, intervalMs: number, print: Print): void {
  const { record, status } = findContainer(context.root, id);
  checkAllowed("events", id, status);
  const memory = record.cgroups.find(({ controllers }) => controllers.includes("memory"));
  if (memory === undefined) context.log.warn("events: without a memory controller there are no OOM events");
  const watch = openOomWatch(record.init, memory);
  if (watch === undefined) return;
  try {
    for (let due = performance.now() + intervalMs; ; ) {
      const left = Math.ceil(due - performance.now());
      const event = watch.next(Math.min(Math.max(left, 0), MAX_WAIT_MS));
      if (event === "end") return;
      if (event === "oom") {
        if (!print(encodeJson({ type: "oom", id }))) return;
      } else if (performance.now() >= due) {
        if (!print(statsLine(record))) return;
        due = performance.now() + intervalMs;
      }
    }
  } finally {
    watch.close();
  }
}

function statsLine({ id, cgroups }: ContainerRecord): string {
  return encodeJson({ type: "stats", id, data: readStats(cgroups) });
}
