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
  seccompActions,
  seccompArchitectures,
  seccompFlags,
  seccompOperators,
} from "./seccomp.ts";

type Seccomp = NonNullable<NonNullable<Config["linux"]>["seccomp"]>;

function compile(seccomp: Seccomp, annotations?: Record<string, string>) {
  const config = { annotations, linux: { seccomp } };
  const { host, container, warnings } = compileSeccomp({ config, options: { seccompCache: undefined } });
  return {
    step: host[0] as StepOf<"seccomp.compile">,
    load: container[0] as StepOf<"seccomp.load">,
    warnings,
  };
}
const allow = (names: string[], args?: NonNullable<NonNullable<Seccomp["syscalls"]>[number]["args"]>) => ({
  names,
  action: "SCMP_ACT_ALLOW" as const,
  ...(args !== undefined && { args }),
});

test("without a profile there are no steps", () => {
  expect(compileSeccomp({ config: { linux: {} }, options: { seccompCache: undefined } })).toEqual({
    host: [],
    container: [],
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
  expect(load).toEqual({ kind: "seccomp.load", slot: "seccomp", flags: 6 });
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

  test("SCMP_ACT_NOTIFY and its flag are refused by name", () => {
    expect(() =>
      compile({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }] }),
    ).toThrow("/linux/seccomp/syscalls/0: this version of tsrun does not do SCMP_ACT_NOTIFY");
    expect(() =>
      compile({ defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] }),
    ).toThrow("/linux/seccomp/flags/0: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
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

test("every name of the specification has a code, but those of the notify listener", () => {
  expect([...Object.keys(seccompActions), "SCMP_ACT_NOTIFY"].sort()).toEqual([...specActions].sort());
  expect(Object.keys(seccompOperators).sort()).toEqual([...specOperators].sort());
  expect(Object.keys(seccompArchitectures).sort()).toEqual([...specArchitectures].sort());
  expect([...Object.keys(seccompFlags), "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"].sort()).toEqual(
    [...specFlags].sort(),
  );
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
