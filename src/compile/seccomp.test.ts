import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Config } from "../../spec-schemas/config.ts";
import {
  seccompActions as specActions,
  seccompArchitectures as specArchitectures,
  seccompFlags as specFlags,
  seccompOperators as specOperators,
} from "../../spec-schemas/config.ts";
import type { StepOf } from "../plan/vocabulary.ts";
import {
  compileSeccomp,
  FAIL_UNKNOWN_ANNOTATION,
  RECEIVER_ANNOTATION,
  seccompActions,
  seccompArchitectures,
  seccompFlags,
  seccompOperators,
} from "./seccomp.ts";

type Seccomp = NonNullable<NonNullable<Config["linux"]>["seccomp"]>;

const input = {
  id: "web",
  bundle: "/bundle",
  facts: { uid: 0, kernel: { release: "5.19.0", major: 5, minor: 19 } },
  options: { seccompCache: undefined },
};
function compile(seccomp: Seccomp, annotations?: Record<string, string>) {
  const config = { annotations, linux: { seccomp } };
  const { host, container, listener, warnings } = compileSeccomp({ ...input, config });
  return {
    step: host[0] as StepOf<"seccomp.compile">,
    load: container[0] as StepOf<"seccomp.load">,
    listener: listener[0] as StepOf<"seccomp.listener"> | undefined,
    warnings,
  };
}
const allow = (names: string[], args?: NonNullable<NonNullable<Seccomp["syscalls"]>[number]["args"]>) => ({
  names,
  action: "SCMP_ACT_ALLOW" as const,
  ...(args !== undefined && { args }),
});

test("without a profile there are no steps", () => {
  expect(compileSeccomp({ ...input, config: { linux: {} } })).toEqual({
    host: [],
    container: [],
    listener: [],
    warnings: [],
  });
});

test("a profile becomes codes, one rule a name", () => {
  const { step, load, warnings } = compile({
    defaultAction: "SCMP_ACT_ERRNO",
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
    flags: ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"],
    syscalls: [
      allow(["read", "write"]),
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
      allow(["personality"], [{ index: 0, value: 8, op: "SCMP_CMP_EQ" }]),
      allow(
        ["socket", "socketpair"],
        [
          { index: 0, value: 0xffff_ffff_ffff_ffffn, valueTwo: 16, op: "SCMP_CMP_MASKED_EQ" },
          { index: 2, value: 9, op: "SCMP_CMP_NE" },
        ],
      ),
    ],
  });
  expect(step).toEqual({
    kind: "seccomp.compile",
    defaultAction: 0x5_0001,
    newerAction: 0x5_0026,
    architectures: [0xc000_003e, 0x4000_003e],
    names: ["read", "write", "clone3", "personality", "socket", "socketpair"],
    actions: [0x7fff_0000, 0x7fff_0000, 0x5_0026, 0x7fff_0000, 0x7fff_0000, 0x7fff_0000],
    conditions: [
      ...[3, 0, 4, 8, 0],
      ...[4, 0, 7, 0xffff_ffff_ffff_ffffn, 16],
      ...[4, 2, 1, 9, 0],
      ...[5, 0, 7, 0xffff_ffff_ffff_ffffn, 16],
      ...[5, 2, 1, 9, 0],
    ],
    failUnknown: false,
    cache: "",
    slot: "seccomp",
  });
  expect(load).toEqual({ kind: "seccomp.load", slot: "seccomp", flags: 6, listener: false, dumpable: false });
  expect(warnings).toEqual([]);
});

describe("actions", () => {
  test("have the kernel's codes, with EPERM or errnoRet where they return one", () => {
    const code = (defaultAction: Seccomp["defaultAction"], defaultErrnoRet?: number) =>
      compile({ defaultAction, defaultErrnoRet }).step.defaultAction;
    expect([code("SCMP_ACT_KILL"), code("SCMP_ACT_KILL_THREAD"), code("SCMP_ACT_KILL_PROCESS")]).toEqual([
      0, 0, 0x8000_0000,
    ]);
    expect([code("SCMP_ACT_TRAP"), code("SCMP_ACT_LOG"), code("SCMP_ACT_ALLOW")]).toEqual([
      0x3_0000, 0x7ffc_0000, 0x7fff_0000,
    ]);
    expect([code("SCMP_ACT_ERRNO"), code("SCMP_ACT_ERRNO", 0), code("SCMP_ACT_ERRNO", 4094)]).toEqual([
      0x5_0001, 0x5_0000, 0x5_0ffe,
    ]);
    expect([code("SCMP_ACT_TRACE"), code("SCMP_ACT_TRACE", 0xffff)]).toEqual([0x7ff0_0001, 0x7ff0_ffff]);
  });

  test.each(["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG"] as const)(
    "%s returns no errno",
    (action) => {
      expect(() => compile({ defaultAction: action, defaultErrnoRet: 1 })).toThrow(
        `/linux/seccomp/defaultErrnoRet: ${action} returns no errno`,
      );
      expect(() =>
        compile({ defaultAction: "SCMP_ACT_ERRNO", syscalls: [{ names: ["read"], action, errnoRet: 1 }] }),
      ).toThrow(`/linux/seccomp/syscalls/0/errnoRet: ${action} returns no errno`);
    },
  );

  test("an errno that would be cut is refused", () => {
    expect(() => compile({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 4095 })).toThrow(
      "/linux/seccomp/defaultErrnoRet: 4095 is more than 4094",
    );
  });

  test("newer system calls get ENOSYS, unless the default action permits", () => {
    const newer = (defaultAction: Seccomp["defaultAction"]) => compile({ defaultAction }).step.newerAction;
    for (const action of [
      "SCMP_ACT_ERRNO",
      "SCMP_ACT_KILL",
      "SCMP_ACT_KILL_THREAD",
      "SCMP_ACT_KILL_PROCESS",
      "SCMP_ACT_TRAP",
    ] as const) {
      expect(newer(action)).toBe(0x5_0026);
    }
    for (const action of ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"] as const) {
      expect(newer(action)).toBe(compile({ defaultAction: action }).step.defaultAction);
    }
  });
});

describe("SCMP_ACT_NOTIFY", () => {
  const profile: Seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    listenerPath: "/run/agent.sock",
    listenerMetadata: 'say "hello"',
    syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
  };
  const parsed = (step: StepOf<"seccomp.listener"> | undefined, pid: number) =>
    JSON.parse((step as StepOf<"seccomp.listener">).state.join(String(pid)));

  test("in create: a filter with a listener, and the state of a container that is being made", () => {
    const { step, load, listener } = compile(profile, { key: "value" });
    expect(step.actions).toEqual([0x7fc0_0000]);
    expect(load).toMatchObject({ flags: 0, listener: true, dumpable: false });
    expect(listener?.path).toBe("/run/agent.sock");
    expect(parsed(listener, 4422)).toEqual({
      ociVersion: "1.3.0",
      fds: ["seccompFd"],
      pid: 4422,
      metadata: 'say "hello"',
      state: {
        ociVersion: "1.3.0",
        id: "web",
        status: "creating",
        pid: 4422,
        bundle: "/bundle",
        annotations: { key: "value" },
      },
    });
  });

  test("in exec: the process is not the container's init", () => {
    const { listener } = compileSeccomp({ ...input, config: { linux: { seccomp: profile } }, running: { pid: 10 } });
    expect(parsed(listener[0] as StepOf<"seccomp.listener">, 20)).toMatchObject({
      pid: 20,
      state: { status: "running", pid: 10 },
    });
  });

  test("no metadata is no metadata", () => {
    const { listenerMetadata: _, ...rest } = profile;
    expect(parsed(compile(rest).listener, 1)).not.toHaveProperty("metadata");
  });

  test("needs somebody to ask: the profile's path before crun's annotation", () => {
    const { listenerPath: _, ...rest } = profile;
    expect(() => compile(rest)).toThrow("/linux/seccomp: SCMP_ACT_NOTIFY needs a listenerPath");
    expect(compile(rest, { [RECEIVER_ANNOTATION]: "/other" }).listener?.path).toBe("/other");
    expect(compile(profile, { [RECEIVER_ANNOTATION]: "/other" }).listener?.path).toBe("/run/agent.sock");
  });

  test("without the action the path is ignored", () => {
    const { load, listener } = compile({ ...profile, syscalls: [] });
    expect(load).toMatchObject({ listener: false });
    expect(listener).toBeUndefined();
  });

  test("without privilege the process is made dumpable, or its descriptor could not be taken", () => {
    const { container } = compileSeccomp({
      ...input,
      facts: { ...input.facts, uid: 1000 },
      config: { linux: { seccomp: profile } },
    });
    expect(container[0]).toMatchObject({ listener: true, dumpable: true });
  });

  test("WAIT_KILLABLE_RECV is for it alone, and for Linux 5.19", () => {
    const flags: Seccomp["flags"] = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"];
    expect(compile({ ...profile, flags }).load.flags).toBe(32);
    const { load, warnings } = compile({ defaultAction: "SCMP_ACT_ALLOW", flags });
    expect(load.flags).toBe(0);
    expect(warnings).toEqual([expect.stringContaining("/linux/seccomp/flags/0: ignoring SECCOMP_FILTER_FLAG_WAIT")]);
    expect(() =>
      compileSeccomp({
        ...input,
        facts: { uid: 0, kernel: { release: "5.18.0", major: 5, minor: 18 } },
        config: { linux: { seccomp: { ...profile, flags } } },
      }),
    ).toThrow("needs Linux 5.19");
  });
});

test("several conditions on one argument become rules of their own, with a warning", () => {
  const { step, warnings } = compile({
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [
      allow(
        ["socket"],
        [
          { index: 0, value: 1, op: "SCMP_CMP_EQ" },
          { index: 1, value: 2, op: "SCMP_CMP_GT" },
          { index: 0, value: 3, op: "SCMP_CMP_EQ" },
        ],
      ),
    ],
  });
  expect(step.names).toEqual(["socket", "socket", "socket"]);
  expect(step.conditions).toEqual([...[0, 0, 4, 1, 0], ...[1, 1, 6, 2, 0], ...[2, 0, 4, 3, 0]]);
  expect(warnings).toEqual([
    "/linux/seccomp/syscalls/0/args: argument 0 has more than one condition, so any one of the rule's conditions is enough",
  ]);
});

test("the annotation makes unknown system calls an error", () => {
  expect(compile({ defaultAction: "SCMP_ACT_ALLOW" }, { [FAIL_UNKNOWN_ANNOTATION]: "" }).step.failUnknown).toBe(true);
});

test("every name of the specification has a code", () => {
  expect(Object.keys(seccompActions).sort()).toEqual([...specActions].sort());
  expect(Object.keys(seccompOperators).sort()).toEqual([...specOperators].sort());
  expect(Object.keys(seccompArchitectures).sort()).toEqual([...specArchitectures].sort());
  expect(Object.keys(seccompFlags).sort()).toEqual([...specFlags].sort());
});

test("whatever the rules, no condition is lost and none goes to another rule", () => {
  const condition = fc.record({
    index: fc.integer({ min: 0, max: 5 }),
    value: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    valueTwo: fc.integer({ min: 0 }),
    op: fc.constantFrom(...specOperators),
  });
  const rule = fc.record({
    names: fc.array(fc.constantFrom("read", "write", "open"), { minLength: 1, maxLength: 3 }),
    action: fc.constantFrom("SCMP_ACT_ALLOW" as const, "SCMP_ACT_LOG" as const),
    args: fc.array(condition, { maxLength: 6 }),
  });
  fc.assert(
    fc.property(fc.array(rule), (syscalls) => {
      const { step } = compile({ defaultAction: "SCMP_ACT_ERRNO", syscalls });
      expect(step.actions).toHaveLength(step.names.length);
      let at = 0;
      const taken: unknown[] = [];
      for (const { names, args } of syscalls) {
        const repeated = new Set(args.map(({ index }) => index)).size < args.length;
        for (const name of names) {
          for (const group of repeated ? args.map((one) => [one]) : [args]) {
            expect(step.names[at]).toBe(name);
            for (const { index, op, value, valueTwo } of group) {
              taken.push(at, index, seccompOperators[op], value, valueTwo);
            }
            at++;
          }
        }
      }
      expect(step.names).toHaveLength(at);
      expect(step.conditions).toEqual(taken);
    }),
  );
});
