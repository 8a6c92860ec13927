/** ps: the processes of a container, as the host numbers them. */
import { membershipPlace } from "../compile/kill.ts";
import type { ContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import { processesOf } from "../host/cgroup.ts";
import { processesInPidNamespaceOf } from "../host/process.ts";
import { findContainer } from "../state/liveness.ts";
import type { Context } from "./context.ts";

/** Sorted. None of a stopped container, unless it shares its pid namespace and has left some. */
export function processes(context: Context, id: ContainerId): number[] {
  const { record, status } = findContainer(context.root, id);
  const place = membershipPlace(record.cgroups);
  if (place !== undefined) return processesOf(place);
  if (status === "stopped") return [];
  if (record.sharesPidNamespace) {
    throw new TsrunError(
      "unsupported",
      `ps ${id}: with neither a cgroup nor a pid namespace of its own its processes cannot be told`,
    );
  }
  return processesInPidNamespaceOf(record.init.pid);
}

/** The lines of ps(1)'s output that are about these processes, with the heading. Throws `usage` without a PID column. */
export function linesOf(output: string, pids: readonly number[]): string[] {
  const [heading = "", ...lines] = output.split("\n");
  const column = fields(heading).indexOf("PID");
  if (column < 0) {
    throw new TsrunError("usage", "ps: its output has no column PID", { advice: "ask ps for the pid, too: -o pid,…" });
  }
  const end = heading.search(/(?<!\S)PID(?!\S)/) + "PID".length;
  const wanted = new Set(pids.map(String));
  // Numbers stand flush right below their heading, also behind a column that has blanks in it. Otherwise (a column that
  // is wider than its heading, busybox) they are counted.
  const pidOf = (line: string): string => /(?<!\S)\d+$/.exec(line.slice(0, end))?.[0] ?? fields(line)[column] ?? "";
  return [heading, ...lines.filter((line) => wanted.has(pidOf(line)))];
}

const fields = (line: string): string[] => line.split(/\s+/).filter((field) => field !== "");
