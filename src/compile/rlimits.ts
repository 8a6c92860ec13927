/**
 * Resource limits, as host steps: raising a hard limit needs CAP_SYS_RESOURCE in the initial user namespace. After the
 * container's process is final (process.adopt), before it goes on (host-ready).
 */
import { TsrunError } from "../core/errors.ts";
import { point } from "../plan/encode.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";

/** RLIMIT_* numbers (asm-generic/resource.h; the same on every architecture we build for). */
export const rlimitNumbers: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};

export interface Rlimit {
  readonly type: string;
  readonly soft: number | bigint;
  readonly hard: number | bigint;
}

/** Limits in bytes, seconds or counts as each RLIMIT_* has it (getrlimit(2)). `launch`: the caller's RLIMIT_NOFILE. */
export function rlimitSteps(
  rlimits: readonly Rlimit[] | undefined,
  launch: { readonly soft: bigint; readonly hard: bigint },
): HostStep[] {
  const steps: HostStep[] = [];
  const seen = new Set<string>();
  for (const { type, soft, hard } of rlimits ?? []) {
    const resource = rlimitNumbers[type];
    if (resource === undefined) throw new TsrunError("config", `/process/rlimits: unknown limit ${type}`);
    if (seen.has(type)) throw new TsrunError("config", `/process/rlimits: ${type} is there twice`);
    seen.add(type);
    steps.push({ kind: "process.rlimit", resource, soft: BigInt(soft), hard: BigInt(hard) });
  }
  // Node raised the soft limit of its own process, which the container would inherit.
  if (!seen.has("RLIMIT_NOFILE")) {
    steps.push({ kind: "process.rlimit", resource: 7, soft: launch.soft, hard: launch.hard });
  }
  return steps;
}

/**
 * The kernel puts back at the end of an execve the stack limit that it saw at its beginning (finalize_exec, Linux 4.18), and
 * the spawn returns in between. A stack limit has to wait until tsrun-init says that it runs: right after the spawn, and
 * first in the container. Nobody waits without one.
 */
export function stackLimitSync(rlimits: readonly Rlimit[] | undefined): {
  readonly host: readonly HostStep[];
  readonly container: readonly ContainerStep[];
} {
  if (rlimits?.some(({ type }) => type === "RLIMIT_STACK") !== true) return { host: [], container: [] };
  return {
    host: [{ kind: "sync.wait", point: point("started") }],
    container: [{ kind: "sync.signal", point: point("started") }],
  };
}
