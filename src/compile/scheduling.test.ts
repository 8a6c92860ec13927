import { describe, expect, test } from "@jest/globals";
import { affinitySteps, ownSteps, schedulingSteps, startsElsewhere } from "./scheduling.ts";

describe("process.scheduler and process.ioPriority", () => {
  test("nothing asked for is nothing done", () => {
    expect(schedulingSteps(undefined)).toEqual([]);
    expect(schedulingSteps({})).toEqual([]);
  });

  test("become the kernel's numbers", () => {
    const steps = schedulingSteps({
      scheduler: {
        policy: "SCHED_DEADLINE",
        flags: ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"],
        runtime: 42_000n,
        deadline: 100_000,
        period: 1_000_000,
      },
      ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 },
    });
    expect(steps).toEqual([
      {
        kind: "process.scheduler",
        policy: 6,
        flags: 5,
        nice: 0,
        priority: 0,
        runtime: 42_000n,
        deadline: 100_000,
        period: 1_000_000,
      },
      { kind: "process.ioPriority", ioClass: 2, priority: 4 },
    ]);
    expect(schedulingSteps({ scheduler: { policy: "SCHED_BATCH", nice: -3 } })).toMatchObject([
      { policy: 3, nice: -3 },
    ]);
    expect(schedulingSteps({ ioPriority: { class: "IOPRIO_CLASS_IDLE" } })).toMatchObject([
      { ioClass: 3, priority: 0 },
    ]);
  });

  test("a policy that no kernel has is an error", () => {
    expect(() => schedulingSteps({ scheduler: { policy: "SCHED_ISO" } })).toThrow("no Linux has SCHED_ISO");
  });
});

describe("process.execCPUAffinity", () => {
  test("initial is for the spawn, final for the process in its cgroup", () => {
    expect(affinitySteps({ initial: "0-1", final: "65" })).toEqual({
      initial: [{ kind: "process.spawnAffinity", cpus: [3n] }],
      final: [{ kind: "process.affinity", cpus: [0n, 2n] }],
    });
    expect(startsElsewhere({ initial: "0" })).toBe(true);
  });

  test("what is omitted or empty is left to the kernel", () => {
    for (const affinity of [undefined, {}, { initial: "", final: " " }]) {
      expect(affinitySteps(affinity)).toEqual({ initial: [], final: [] });
      expect(startsElsewhere(affinity)).toBe(false);
    }
  });

  test("what is no list is an error that names it", () => {
    expect(() => affinitySteps({ final: "3-1" })).toThrow(
      '/process/execCPUAffinity/final: "3-1" is not a list of CPUs',
    );
  });
});

describe("linux.memoryPolicy and linux.personality", () => {
  const own = (linux: Parameters<typeof ownSteps>[0]) => {
    const warnings: string[] = [];
    return { steps: ownSteps(linux, warnings), warnings };
  };

  test("a mode carries its flags and nodes", () => {
    const memoryPolicy = { mode: "MPOL_BIND", nodes: "0,2-3", flags: ["MPOL_F_STATIC_NODES"] } as const;
    expect(own({ memoryPolicy: { ...memoryPolicy, flags: [...memoryPolicy.flags] } }).steps).toEqual([
      { kind: "process.memoryPolicy", mode: 2 | (1 << 15), nodes: [0xdn] },
    ]);
    expect(own({ memoryPolicy: { mode: "MPOL_DEFAULT" } }).steps).toMatchObject([{ mode: 0, nodes: [] }]);
  });

  test("personality: the domain; flags are ignored with a warning", () => {
    expect(own({ personality: { domain: "LINUX32" } })).toEqual({
      steps: [{ kind: "process.personality", persona: 8 }],
      warnings: [],
    });
    expect(own({ personality: { domain: "LINUX", flags: ["X"] } })).toEqual({
      steps: [{ kind: "process.personality", persona: 0 }],
      warnings: ["/linux/personality/flags: ignoring X: the specification defines no flags"],
    });
  });
});
