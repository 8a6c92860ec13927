/**
 * When, where and with whose memory the process runs: scheduler, I/O priority, CPU affinity, memory policy, personality.
 *
 * Scheduler, I/O priority and affinity are host steps, on the pid of the final process (after process.adopt) where it
 * stands in its final cgroups: real-time policies need CAP_SYS_NICE in the initial user namespace, which a container's own
 * root may not have, and are checked against the cgroup's share of real-time. Before host-ready, while the process still
 * belongs to tsrun's user. After rlimits, because RLIMIT_RTPRIO and RLIMIT_NICE are a right to it without privilege.
 *
 * Memory policy and personality are the process's own to set (finishSteps): the policy after host-ready, because the kernel
 * checks nodes against the cpuset; both before seccomp.load, whose filter may forbid them.
 */
import type { Config, Process } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";
import { MAX_CPU, MAX_NODE, numberSet } from "../core/number-set.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";

type Linux = NonNullable<Config["linux"]>;
type Scheduler = NonNullable<Process["scheduler"]>;
type IoPriority = NonNullable<Process["ioPriority"]>;
type MemoryPolicy = NonNullable<Linux["memoryPolicy"]>;

/** linux/sched.h. SCHED_ISO has a number and nothing behind it. */
const policies = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
} as const satisfies Record<Scheduler["policy"], number>;

const schedulerFlags = {
  SCHED_FLAG_RESET_ON_FORK: 0x1,
  SCHED_FLAG_RECLAIM: 0x2,
  SCHED_FLAG_DL_OVERRUN: 0x4,
  SCHED_FLAG_KEEP_POLICY: 0x8,
  SCHED_FLAG_KEEP_PARAMS: 0x10,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
} as const satisfies Record<NonNullable<Scheduler["flags"]>[number], number>;

/** linux/ioprio.h. */
const ioClasses = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
} as const satisfies Record<IoPriority["class"], number>;

/** linux/mempolicy.h. */
export const memoryPolicyModes = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
} as const satisfies Record<NonNullable<MemoryPolicy["mode"]>, number>;

export const memoryPolicyFlags = {
  MPOL_F_NUMA_BALANCING: 1 << 13,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_STATIC_NODES: 1 << 15,
} as const satisfies Record<NonNullable<MemoryPolicy["flags"]>[number], number>;

/** linux/personality.h. */
const personas = { LINUX: 0, LINUX32: 8 } as const satisfies Record<
  NonNullable<NonNullable<Linux["personality"]>["domain"]>,
  number
>;

const flagBits = <Name extends string>(table: Readonly<Record<Name, number>>, names: readonly Name[] = []): number =>
  names.reduce((bits, name) => bits | table[name], 0);

/** `process.scheduler` and `process.ioPriority`. */
export interface Scheduling {
  readonly scheduler?: Scheduler | undefined;
  readonly ioPriority?: IoPriority | undefined;
}

export function schedulingSteps(process: Scheduling | undefined): HostStep[] {
  const { scheduler, ioPriority } = process ?? {};
  const steps: HostStep[] = [];
  if (scheduler !== undefined) {
    if (scheduler.policy === "SCHED_ISO") {
      throw new TsrunError("unsupported", "/process/scheduler/policy: no Linux has SCHED_ISO");
    }
    steps.push({
      kind: "process.scheduler",
      policy: policies[scheduler.policy],
      flags: flagBits(schedulerFlags, scheduler.flags),
      nice: scheduler.nice ?? 0,
      priority: scheduler.priority ?? 0,
      runtime: scheduler.runtime ?? 0,
      deadline: scheduler.deadline ?? 0,
      period: scheduler.period ?? 0,
    });
  }
  if (ioPriority !== undefined) {
    steps.push({
      kind: "process.ioPriority",
      ioClass: ioClasses[ioPriority.class],
      priority: ioPriority.priority ?? 0,
    });
  }
  return steps;
}

export type CpuAffinity = NonNullable<Process["execCPUAffinity"]>;

/** Whether the process has to be on these CPUs before it enters the container's cgroup, so cannot be born there. */
export const startsElsewhere = (affinity: CpuAffinity | undefined): boolean =>
  cpuSet(affinity?.initial, "initial").length > 0;

/**
 * `process.execCPUAffinity`, for exec only. `initial` goes before process.spawn, so that the process never runs anywhere
 * else; `final` after the last cgroup.join, which for the kernel is a change of its CPUs. Without `final` the kernel's word
 * counts (config.md).
 */
export function affinitySteps(affinity: CpuAffinity | undefined): { initial: HostStep[]; final: HostStep[] } {
  const initial = cpuSet(affinity?.initial, "initial");
  const final = cpuSet(affinity?.final, "final");
  return {
    initial: initial.length === 0 ? [] : [{ kind: "process.spawnAffinity", cpus: initial }],
    final: final.length === 0 ? [] : [{ kind: "process.affinity", cpus: final }],
  };
}

function cpuSet(list: string | undefined, name: "initial" | "final"): bigint[] {
  const set = numberSet(list ?? "", MAX_CPU);
  if (set === undefined) {
    throw new TsrunError("config", `/process/execCPUAffinity/${name}: ${JSON.stringify(list)} is not a list of CPUs`);
  }
  return set;
}

/** linux.memoryPolicy and linux.personality: of every process of the container. */
export function ownSteps(linux: Linux | undefined, warnings: string[]): ContainerStep[] {
  const { memoryPolicy, personality } = linux ?? {};
  const steps: ContainerStep[] = [];
  if (memoryPolicy?.mode !== undefined) {
    const nodes = numberSet(memoryPolicy.nodes ?? "", MAX_NODE);
    if (nodes === undefined) {
      throw new TsrunError("config", `/linux/memoryPolicy/nodes: ${JSON.stringify(memoryPolicy.nodes)} is not a list`);
    }
    const mode = memoryPolicyModes[memoryPolicy.mode] | flagBits(memoryPolicyFlags, memoryPolicy.flags);
    steps.push({ kind: "process.memoryPolicy", mode, nodes });
  }
  if (personality?.domain !== undefined) {
    // config-linux.md, Personality: no flag is defined. runc warns, too.
    for (const flag of personality.flags ?? []) {
      warnings.push(`/linux/personality/flags: ignoring ${flag}: the specification defines no flags`);
    }
    steps.push({ kind: "process.personality", persona: personas[personality.domain] });
  }
  return steps;
}
