/** Scheduler, I/O priority, CPUs, memory policy, personality: what a program started with them finds. */

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { affinitySteps, ownSteps, type Scheduling, schedulingSteps } from "../compile/scheduling.ts";
import { readHostFacts } from "../host/read.ts";
import { encodePlan, point } from "../plan/encode.ts";
import type { ContainerStep, HostStep, StepOf } from "../plan/vocabulary.ts";
import { openSession, type StepFailure } from "./native.ts";

const directory = mkdtempSync(join(tmpdir(), "tsrun-scheduling-"));
chmodSync(directory, 0o711);
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
/** What the script prints; `beforeSpawn` and `afterSpawn` are host steps. */
function run(
  steps: { beforeSpawn?: HostStep[]; afterSpawn?: HostStep[]; container?: ContainerStep[] },
  script: string,
): { output: string; failure?: StepFailure } {
  const output = join(directory, `output-${files++}`);
  writeFileSync(output, "");
  const session = openSession();
  try {
    const { failure } = session.execute(
      encodePlan({
        title: "test",
        host: [
          ...(steps.beforeSpawn ?? []),
          { kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 },
          ...(steps.afterSpawn ?? []),
          { kind: "sync.signal", point: point("host-ready") },
          { kind: "process.waitExec" },
        ],
        container: [
          { kind: "process.signals", ignored: 0 },
          { kind: "sync.wait", point: point("host-ready") },
          ...(steps.container ?? []),
          {
            kind: "process.exec",
            program: "sh",
            path: "/usr/bin:/bin",
            args: ["sh", "-c", `exec >${output} 2>&1; ${script}`],
            env: ["PATH=/usr/bin:/bin"],
            home: false,
          },
        ],
      }),
    );
    if (failure !== undefined) return { output: "", failure };
    session.commit();
    session.attach();
    return { output: readFileSync(output, "utf8") };
  } finally {
    session.close();
  }
}
const scheduled = (process: Scheduling, script: string) => run({ afterSpawn: schedulingSteps(process) }, script);

// Real-time needs CAP_SYS_NICE in the initial user namespace.
const mayNice = ((readHostFacts().permittedCapabilities >> 23n) & 1n) === 1n && !readHostFacts().inUserNamespace;
const testNice = mayNice ? test : test.skip;

describe("scheduler (real-time ones are skipped without CAP_SYS_NICE)", () => {
  const chrt = "chrt -p $$";

  test("nice values of the ordinary policies", () => {
    const { output } = scheduled({ scheduler: { policy: "SCHED_BATCH", nice: 7 } }, `${chrt}; nice`);
    expect(output).toMatch(/policy: SCHED_BATCH\n/);
    expect(output).toMatch(/^7$/m);
    expect(scheduled({ scheduler: { policy: "SCHED_IDLE" } }, chrt).output).toMatch(/policy: SCHED_IDLE\n/);
  });

  testNice("real-time priorities, with and without reset on fork", () => {
    expect(scheduled({ scheduler: { policy: "SCHED_FIFO", priority: 11 } }, chrt).output).toMatch(
      /policy: SCHED_FIFO\n.*priority: 11\n/,
    );
    const reset = { policy: "SCHED_RR", priority: 12, flags: ["SCHED_FLAG_RESET_ON_FORK"] } as const;
    const { output } = scheduled({ scheduler: { ...reset, flags: [...reset.flags] } }, `${chrt}; sh -c '${chrt}'`);
    expect(output).toMatch(/policy: SCHED_RR\|SCHED_RESET_ON_FORK\n.*priority: 12\n(.*\n)*.*policy: SCHED_OTHER\n/);
  });

  testNice("deadlines", () => {
    const { output } = scheduled(
      {
        scheduler: {
          policy: "SCHED_DEADLINE",
          flags: ["SCHED_FLAG_RESET_ON_FORK"],
          runtime: 10_000_000,
          deadline: 100_000_000,
          period: 200_000_000,
        },
      },
      chrt,
    );
    expect(output).toContain("SCHED_DEADLINE");
    expect(output).toContain("10000000/100000000/200000000");
  });

  test("what the kernel does not take is its word", () => {
    expect(scheduled({ scheduler: { policy: "SCHED_FIFO", priority: 100 } }, "true").failure).toMatchObject({
      kind: "process.scheduler",
      op: "sched_setattr",
      errno: 22,
    });
  });
});

describe("I/O priority", () => {
  test("class and priority", () => {
    const of = (ioPriority: Scheduling["ioPriority"]): string =>
      scheduled({ ioPriority }, "ionice -p $$").output.trim();
    expect(of({ class: "IOPRIO_CLASS_BE", priority: 6 })).toBe("best-effort: prio 6");
    expect(of({ class: "IOPRIO_CLASS_IDLE" })).toBe("idle");
    if (mayNice) expect(of({ class: "IOPRIO_CLASS_RT", priority: 3 })).toBe("realtime: prio 3");
  });

  test("a priority that would reach into the class is refused", () => {
    const { failure } = run({ afterSpawn: [{ kind: "process.ioPriority", ioClass: 1, priority: 1 << 13 }] }, "true");
    expect(failure).toMatchObject({ kind: "process.ioPriority", op: "verify" });
  });
});

describe("CPU affinity", () => {
  const allowed = "grep Cpus_allowed_list /proc/self/status | cut -f2";
  const own = (): string =>
    /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync("/proc/thread-self/status", "utf8"))?.[1] as string;
  const severalCpus = availableParallelism() > 1 ? test : test.skip;

  severalCpus(
    "initial is inherited from the spawn, final replaces it; tsrun's own comes back (skipped on one CPU)",
    () => {
      const before = own();
      const { initial, final } = affinitySteps({ initial: "1", final: "0" });
      expect(run({ beforeSpawn: initial }, allowed).output.trim()).toBe("1");
      expect(own()).toBe(before);
      expect(run({ beforeSpawn: initial, afterSpawn: final }, allowed).output.trim()).toBe("0");
      expect(run({ afterSpawn: final }, allowed).output.trim()).toBe("0");
    },
  );

  test("CPUs that are not there are an error, and tsrun's own stay as they were", () => {
    const before = own();
    const { initial, final } = affinitySteps({ initial: "8191", final: "8190-8191" });
    expect(run({ beforeSpawn: initial }, "true").failure).toMatchObject({
      kind: "process.spawn",
      op: "sched_setaffinity",
      errno: 22,
    });
    expect(run({ afterSpawn: final }, "true").failure).toMatchObject({ kind: "process.affinity", errno: 22 });
    expect(own()).toBe(before);
    // One plan's CPUs are not the next one's.
    expect(run({}, allowed).output.trim()).toBe(before);
  });
});

describe("memory policy and personality", () => {
  const own = (linux: Parameters<typeof ownSteps>[0], script: string) =>
    run({ container: ownSteps(linux, []) }, script);
  const policy = "head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2";

  test("modes, flags and nodes are the program's default policy", () => {
    const of = (memoryPolicy: NonNullable<Parameters<typeof ownSteps>[0]>["memoryPolicy"]): string =>
      own({ memoryPolicy }, policy).output.trim();
    expect(of({ mode: "MPOL_INTERLEAVE", nodes: "0" })).toBe("interleave:0");
    expect(of({ mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] })).toBe("bind=static:0");
    expect(of({ mode: "MPOL_PREFERRED", nodes: "0", flags: ["MPOL_F_RELATIVE_NODES"] })).toBe("prefer=relative:0");
    expect(of({ mode: "MPOL_LOCAL" })).toBe("local");
    expect(of({ mode: "MPOL_DEFAULT" })).toBe("default");
  });

  test("a node that is not there is the kernel's error", () => {
    expect(own({ memoryPolicy: { mode: "MPOL_BIND", nodes: "1023" } }, "true").failure).toMatchObject({
      kind: "process.memoryPolicy",
      op: "set_mempolicy",
      errno: 22,
    });
  });

  const x86 = process.arch === "x64" ? test : test.skip;
  x86(
    "LINUX32 makes the machine a 32-bit one, LINUX what it is (skipped on others than x86, which may have none)",
    () => {
      expect(own({ personality: { domain: "LINUX" } }, "uname -m").output.trim()).toBe("x86_64");
      expect(own({ personality: { domain: "LINUX32" } }, "uname -m").output.trim()).toBe("i686");
    },
  );

  test("a persona that is only a question is refused", () => {
    const step: StepOf<"process.personality"> = { kind: "process.personality", persona: 0xffff_ffff };
    expect(run({ container: [step] }, "true").failure).toMatchObject({ op: "verify" });
  });
});
