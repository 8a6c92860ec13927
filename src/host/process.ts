import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { errorCode } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";

/** One process as /proc/<pid>/stat has it (proc_pid_stat(5)). */
export interface ProcessInfo {
  /** Its name: "tsrun-init" until it executes the container's program. */
  readonly comm: string;
  /** One letter: R, S, D, T, Z (zombie), X (dead), … */
  readonly state: string;
  readonly parent: number;
  /** Clock ticks since boot, field 22. With the pid it names a process for good: pids are reused. */
  readonly startTime: bigint;
}

/** Reads a process; undefined when there is none with this pid. */
export function readProcess(pid: number): ProcessInfo | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  return parseStat(text);
}

/** The text of a /proc/<pid>/stat. */
export function parseStat(text: string): ProcessInfo {
  // The name is in parentheses and may hold anything, parentheses too.
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  const fields = text.slice(close + 2).split(" ");
  return {
    comm: text.slice(open + 1, close),
    state: fields[0] ?? "",
    parent: Number(fields[1] ?? 0),
    startTime: BigInt(fields[19] ?? 0),
  };
}

/** Whether the process with this pid and start time exists and is more than a zombie. */
export function isAlive(pid: number, startTime: bigint): boolean {
  const found = readProcess(pid);
  return found !== undefined && found.startTime === startTime && isMoreThanZombie(found);
}

export const isMoreThanZombie = ({ state }: ProcessInfo): boolean => state !== "Z" && state !== "X";

/** A process for good: pid and start time. Throws `internal` when it is gone; for children of ours that nobody reaped. */
export function identityOf(pid: number): { readonly pid: number; readonly startTime: bigint } {
  const found = readProcess(pid);
  if (found === undefined) throw new TsrunError("internal", `process ${pid} is gone`);
  return { pid, startTime: found.startTime };
}

/** This process, as others can check that it lives. */
export function ownIdentity(): { readonly pid: number; readonly startTime: bigint } {
  return identityOf(process.pid);
}

/** Which child of `ancestor` a process comes from, itself included; undefined if it comes from elsewhere. */
export function childOf(ancestor: number, pid: number): number | undefined {
  for (let at = pid; at > 1; ) {
    const parent = readProcess(at)?.parent ?? 0;
    if (parent === ancestor) return at;
    at = parent;
  }
  return undefined;
}

/** Who traces a process (ptrace(2)), and in which directory that one works; undefined for nobody. */
export function tracerOf(
  pid: number,
): { readonly pid: number; readonly startTime: bigint; readonly directory: string } | undefined {
  try {
    const tracer = Number(/^TracerPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
    if (tracer === 0) return undefined;
    const found = readProcess(tracer);
    if (found === undefined) return undefined;
    return { pid: tracer, startTime: found.startTime, directory: readlinkSync(`/proc/${tracer}/cwd`) };
  } catch (error) {
    // One of them has ended.
    if (["ENOENT", "ESRCH"].includes(errorCode(error) ?? "")) return undefined;
    throw error;
  }
}

/** The processes of the pid namespace that a process is in, sorted; not those of namespaces below it. */
export function processesInPidNamespaceOf(pid: number): number[] {
  const wanted = pidNamespaceOf(pid);
  if (wanted === undefined) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => pidNamespaceOf(each) === wanted)
    .sort((a, b) => a - b);
}

function pidNamespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch (error) {
    const code = errorCode(error);
    // EACCES: one that we may not look into, so none of ours.
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES") return undefined;
    throw error;
  }
}
