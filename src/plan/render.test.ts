import { describe, expect, test } from "@jest/globals";
import { renderPlan } from "./render.ts";
import { actions, architectures, operators } from "./seccomp-codes.ts";
import { actionText, architecturesText } from "./seccomp-text.ts";
import type { StepOf } from "./vocabulary.ts";

const profile = (more: Partial<StepOf<"seccomp.compile">>): string[] =>
  renderPlan({
    title: "t",
    host: [
      {
        kind: "seccomp.compile",
        defaultAction: actions.SCMP_ACT_ERRNO.code + 1,
        newerAction: actions.SCMP_ACT_ERRNO.code + 38,
        architectures: [],
        names: [],
        actions: [],
        conditions: [],
        failUnknown: false,
        cache: "",
        slot: "seccomp",
        ...more,
      },
    ],
    container: [],
  })
    .trimEnd()
    .split("\n")
    .slice(1);

describe("a filter as text", () => {
  test("names actions, architectures and operators, and groups system calls by action in the profile's order", () => {
    const { SCMP_ACT_ALLOW: allow, SCMP_ACT_LOG: log, SCMP_ACT_TRACE: trace } = actions;
    const { SCMP_CMP_EQ: eq, SCMP_CMP_MASKED_EQ: masked, SCMP_CMP_GT: gt } = operators;
    expect(
      profile({
        architectures: [architectures.SCMP_ARCH_X86_64, architectures.SCMP_ARCH_X32],
        names: ["read", "clone", "ptrace", "write", "personality", "personality"],
        actions: [allow.code, allow.code, trace.code + 7, allow.code, log.code, log.code],
        conditions: [
          1,
          0,
          masked,
          0x7e02_0000,
          0,
          1,
          3,
          gt,
          2n ** 64n - 1n,
          0,
          4,
          0,
          eq,
          8,
          0,
          5,
          0,
          eq,
          0xffff_ffff,
          0,
        ],
      }),
    ).toEqual([
      "host 0 seccomp.compile          default=ERRNO(EPERM) newer=ERRNO(ENOSYS) architectures=X86_64,X32 rules=6 slot=<seccomp>",
      "    ALLOW: read clone(arg0 & 0x7e020000 == 0, arg3 > 0xffffffffffffffff) write",
      "    TRACE(7): ptrace",
      "    LOG: personality(arg0 == 8) personality(arg0 == 0xffffffff)",
    ]);
  });

  test("long lists are broken into lines, words never", () => {
    const names = Array.from({ length: 100 }, (_, i) => `call${i}`);
    const [, ...lines] = profile({ names, actions: names.map(() => actions.SCMP_ACT_ALLOW.code) });
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) expect(line.length).toBeLessThan(120);
    expect(
      lines
        .join(" ")
        .split(/\s+/)
        .filter((word) => word.startsWith("call")),
    ).toEqual(names);
  });

  test("a name that is none is quoted", () => {
    expect(profile({ names: ["no such\ncall\x1b[2J"], actions: [actions.SCMP_ACT_LOG.code] })[1]).toBe(
      '    LOG: "no such\\ncall\\u001b[2J"',
    );
  });

  test("every action and architecture has a name, unknown numbers stay numbers", () => {
    for (const { code } of Object.values(actions)) expect(actionText(code)).toMatch(/^[A-Z_]+$|^ERRNO\(0\)$/);
    expect(actionText(actions.SCMP_ACT_KILL_PROCESS.code)).toBe("KILL_PROCESS");
    expect(actionText(0x1234_0000)).toBe("0x12340000");
    const codes = Object.values(architectures);
    expect(architecturesText([...codes, 0x99]).split(",")).toEqual([
      ...Object.keys(architectures).map((name) => name.replace("SCMP_ARCH_", "")),
      "0x99",
    ]);
  });
});
