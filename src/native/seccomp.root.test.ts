/** Profiles in the kernel: what a program below one is answered, system call by system call. */

import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { compileSeccomp } from "../compile/seccomp.ts";
import type { AbsPath } from "../core/brands.ts";
import { kernelVersion } from "../host/read.ts";
import { encodePlan, point } from "../plan/encode.ts";
import type { ContainerStep, StepOf } from "../plan/vocabulary.ts";
import { openSession, type StepFailure } from "./native.ts";

type Seccomp = NonNullable<NonNullable<Config["linux"]>["seccomp"]>;
type Rule = NonNullable<Seccomp["syscalls"]>[number];
type Condition = NonNullable<Rule["args"]>[number];

/**
 * A program that needs execve, openat, write and exit only: `probe FILE NR[,ARG…] …` makes each system call and writes
 * what it returned, a negative errno included, to FILE.
 */
const PROBE = `
typedef unsigned long u64;
#if defined(__x86_64__)
static long call(long n, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  register u64 r10 __asm__("r10") = d; register u64 r8 __asm__("r8") = e; register u64 r9 __asm__("r9") = f;
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return r;
}
enum { kOpenat = 257, kWrite = 1, kExit = 60 };
__asm__(".globl _start\\n_start: mov %rsp, %rdi\\n and $-16, %rsp\\n call run\\n");
#elif defined(__i386__)
static long call(long n, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  long r; (void)f;
  __asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
  return r;
}
enum { kOpenat = 295, kWrite = 4, kExit = 1 };
__asm__(".globl _start\\n_start: mov %esp, %eax\\n and $-16, %esp\\n sub $12, %esp\\n push %eax\\n call run\\n");
#elif defined(__aarch64__)
static long call(long n, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  register long x8 __asm__("x8") = n; register u64 x0 __asm__("x0") = a; register u64 x1 __asm__("x1") = b;
  register u64 x2 __asm__("x2") = c; register u64 x3 __asm__("x3") = d; register u64 x4 __asm__("x4") = e;
  register u64 x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return (long)x0;
}
enum { kOpenat = 56, kWrite = 64, kExit = 93 };
__asm__(".globl _start\\n_start: mov x0, sp\\n bl run\\n");
#endif
static u64 number(const char** at) {
  u64 n = 0;
  while (**at >= '0' && **at <= '9') n = n * 10 + (u64)(*(*at)++ - '0');
  return n;
}
__attribute__((noreturn, used)) void run(long* stack) {
  char** argv = (char**)(stack + 1);
  char out[2048], *to = out;
  long file = call(kOpenat, (u64)-100L, (u64)argv[1], 01001, 0, 0, 0);
  for (int i = 2; i < (int)stack[0]; i++) {
    u64 v[7] = {0};
    int k = 0;
    for (const char* at = argv[i]; k < 7; k++) {
      v[k] = number(&at);
      if (*at++ != ',') break;
    }
    long r = call((long)v[0], v[1], v[2], v[3], v[4], v[5], v[6]);
    if (r < 0) { *to++ = '-'; r = -r; }
    char digits[24]; int count = 0;
    do digits[count++] = (char)('0' + r % 10); while ((r /= 10) != 0);
    while (count > 0) *to++ = digits[--count];
    *to++ = ' ';
  }
  call(kWrite, (u64)file, (u64)out, (u64)(to - out), 0, 0, 0);
  for (;;) call(kExit, 0, 0, 0, 0, 0, 0);
}
`;

const x86 = process.arch === "x64";
/** Numbers on this machine (asm/unistd.h). */
const nr = x86
  ? { getcwd: 79, getppid: 110, getpriority: 140, personality: 135, dup3: 292, clone3: 435, openat2: 437, seccomp: 317 }
  : { getcwd: 17, getppid: 173, getpriority: 141, personality: 92, dup3: 24, clone3: 435, openat2: 437, seccomp: 277 };
const EPERM = -1;
const EBADF = -9;
const ENOSYS = -38;
const ERANGE = -34;
const SIGSYS = 31;

const directory = mkdtempSync(join(tmpdir(), "tsrun-seccomp-"));
afterAll(() => rmSync(directory, { recursive: true }));
chmodSync(directory, 0o755);

function buildProbe(name: string, ...more: string[]): { readonly path: string; readonly errors: string } {
  const path = join(directory, name);
  writeFileSync(join(directory, "probe.c"), PROBE);
  const flags = "-O1 -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie".split(" ");
  const { stderr } = spawnSync("gcc", [...flags, ...more, "-o", path, join(directory, "probe.c")], {
    encoding: "utf8",
  });
  return { path, errors: stderr };
}
const { path: probe, errors } = buildProbe("probe");
if (errors !== "") throw new Error(errors);
// Needs the compiler's 32-bit half and a kernel that runs such programs.
const probe32 = x86 ? buildProbe("probe32", "-m32").path : "";
const runs32 = x86 && spawnSync(probe32, ["/dev/null"]).status === 0;
const testX86 = x86 ? test : test.skip;
const test32 = runs32 ? test : test.skip;

/** What the probe itself, and tsrun-init before it, need where the default action is a restriction. */
const base: Rule = {
  names: [
    "execve",
    "openat",
    "open",
    "write",
    "exit",
    "sendto",
    "mmap",
    "munmap",
    "brk",
    "arch_prctl",
    "set_tid_address",
  ],
  action: "SCMP_ACT_ALLOW",
};

/** What the compiler has to know beside the profile. */
const container = { id: "web", bundle: "/bundle", facts: { uid: 0, kernel: kernelVersion() } };

interface Result {
  readonly answers: number[];
  readonly failure?: StepFailure;
  readonly signal?: number;
}
let files = 0;
function ask(
  seccomp: Seccomp,
  calls: readonly (readonly (number | bigint)[])[],
  more: {
    readonly noNewPrivileges?: boolean;
    readonly before?: readonly ContainerStep[];
    readonly cache?: string;
    readonly program?: string;
    readonly annotations?: Record<string, string>;
  } = {},
): Result {
  const output = join(directory, `output-${files++}`);
  writeFileSync(output, "");
  chmodSync(output, 0o666);
  const steps = compileSeccomp({
    ...container,
    config: { linux: { seccomp }, annotations: more.annotations },
    options: { seccompCache: more.cache as AbsPath | undefined },
  });
  const program = more.program ?? probe;
  const session = openSession();
  try {
    const { failure } = session.execute(
      encodePlan({
        title: "test",
        host: [
          ...steps.host,
          { kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 },
          { kind: "process.waitExec" },
        ],
        container: [
          { kind: "process.signals", ignored: 0 },
          ...(more.before ?? []),
          ...((more.noNewPrivileges ?? true) ? [{ kind: "process.noNewPrivileges" } as const] : []),
          ...steps.container,
          {
            kind: "process.exec",
            program,
            path: "/",
            args: [program, output, ...calls.map((call) => call.join(","))],
            env: [],
            home: false,
          },
        ],
      }),
    );
    if (failure !== undefined) return { answers: [], failure };
    session.commit();
    const end = session.attach();
    const answers = readFileSync(output, "utf8").trim().split(" ").filter(Boolean).map(Number);
    return end.kind === "killed" ? { answers, signal: end.value } : { answers };
  } finally {
    session.close();
  }
}
const rule = (names: string[], action: Rule["action"], args?: Condition[], errnoRet?: number): Rule => ({
  names,
  action,
  ...(args !== undefined && { args }),
  ...(errnoRet !== undefined && { errnoRet }),
});

describe("actions", () => {
  const profile = (action: Rule["action"], errnoRet?: number): Seccomp => ({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [rule(["getppid"], action, undefined, errnoRet)],
  });

  test("errno: EPERM unless errnoRet says another, and nothing else is touched", () => {
    expect(ask(profile("SCMP_ACT_ERRNO"), [[nr.getppid], [nr.getcwd, 0, 0]])).toEqual({ answers: [EPERM, ERANGE] });
    expect(ask(profile("SCMP_ACT_ERRNO", 71), [[nr.getppid]])).toEqual({ answers: [-71] });
    expect(ask(profile("SCMP_ACT_ERRNO", 0), [[nr.getppid]])).toEqual({ answers: [0] });
    expect(ask(profile("SCMP_ACT_ERRNO", 4094), [[nr.getppid]])).toEqual({ answers: [-4094] });
  });

  test.each(["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"] as const)(
    "%s ends the program with SIGSYS",
    (action) => {
      expect(ask(profile(action), [[nr.getcwd, 0, 0], [nr.getppid]])).toEqual({ answers: [], signal: SIGSYS });
      expect(ask(profile(action), [[nr.getcwd, 0, 0]])).toEqual({ answers: [ERANGE] });
    },
  );

  test("trace without a tracer is ENOSYS; log and allow let the call through", () => {
    expect(ask(profile("SCMP_ACT_TRACE"), [[nr.getppid]])).toEqual({ answers: [ENOSYS] });
    expect(ask(profile("SCMP_ACT_LOG"), [[nr.getppid]])).toEqual({ answers: [process.pid] });
    expect(ask({ ...profile("SCMP_ACT_ALLOW"), defaultAction: "SCMP_ACT_LOG" }, [[nr.getppid]])).toEqual({
      answers: [process.pid],
    });
  });

  test("a default action of errno forbids what is not listed, with its errno", () => {
    const seccomp: Seccomp = {
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 95,
      syscalls: [base, rule(["getcwd"], "SCMP_ACT_ALLOW")],
    };
    expect(ask(seccomp, [[nr.getcwd, 0, 0], [nr.getppid]])).toEqual({ answers: [ERANGE, -95] });
  });

  test("rules that repeat the default action are passed over, as are system calls that nobody knows", () => {
    const seccomp: Seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        rule(["getcwd", "no_such_call"], "SCMP_ACT_ALLOW"),
        rule(["no_such_call", "getppid"], "SCMP_ACT_ERRNO"),
      ],
    };
    expect(ask(seccomp, [[nr.getcwd, 0, 0], [nr.getppid]])).toEqual({ answers: [ERANGE, EPERM] });
    expect(ask(seccomp, [], { annotations: { "run.oci.seccomp_fail_unknown_syscall": "1" } }).failure).toMatchObject({
      kind: "seccomp.compile",
      op: "libseccomp",
      errno: 38,
      path: "no_such_call",
    });
  });

  test("two actions for the same call with the same condition are an error that names it", () => {
    const argument: Condition[] = [{ index: 0, value: 1, op: "SCMP_CMP_EQ" }];
    const seccomp: Seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [rule(["dup3"], "SCMP_ACT_ERRNO", argument), rule(["dup3"], "SCMP_ACT_TRAP", argument)],
    };
    expect(ask(seccomp, []).failure).toMatchObject({ kind: "seccomp.compile", op: "libseccomp", path: "dup3" });
  });

  test("a filter above the kernel's limit is an error", () => {
    const syscalls = Array.from({ length: 3000 }, (_, i) =>
      rule(["dup3"], "SCMP_ACT_ERRNO", [{ index: 0, value: 2n ** 32n * BigInt(i), op: "SCMP_CMP_EQ" }]),
    );
    expect(ask({ defaultAction: "SCMP_ACT_ALLOW", syscalls }, []).failure).toMatchObject({
      kind: "seccomp.compile",
      op: "limit",
      errno: 7,
    });
  });
});

describe("conditions", () => {
  // dup3 of a descriptor that is not open: EBADF when the call goes through.
  const forbid = (...args: Condition[]): Seccomp => ({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [rule(["dup3"], "SCMP_ACT_ERRNO", args)],
  });
  const dup3 = (first: number | bigint, second: number | bigint = 900, third: number | bigint = 0) => [
    nr.dup3,
    first,
    second,
    third,
  ];
  const HIGH = 2n ** 40n;

  test.each([
    ["SCMP_CMP_EQ", [false, true, false]],
    ["SCMP_CMP_NE", [true, false, true]],
    ["SCMP_CMP_LT", [true, false, false]],
    ["SCMP_CMP_LE", [true, true, false]],
    ["SCMP_CMP_GT", [false, false, true]],
    ["SCMP_CMP_GE", [false, true, true]],
  ] as const)("%s compares all 64 bits, unsigned", (op, matches) => {
    const expected = matches.map((match) => (match ? EPERM : EBADF));
    expect(ask(forbid({ index: 0, value: 500, op }), [dup3(499), dup3(500), dup3(501)]).answers).toEqual(expected);
    const high = ask(forbid({ index: 0, value: HIGH + 500n, op }), [
      dup3(HIGH + 499n),
      dup3(HIGH + 500n),
      dup3(HIGH + 501n),
    ]);
    expect(high.answers).toEqual(expected);
    // The low half alone says nothing; the highest value is the greatest, not negative.
    const ends = ask(forbid({ index: 0, value: HIGH + 500n, op }), [dup3(500), dup3(2n ** 64n - 1n)]);
    expect(ends.answers).toEqual([matches[0] ? EPERM : EBADF, matches[2] ? EPERM : EBADF]);
  });

  test("SCMP_CMP_MASKED_EQ: value is the mask, valueTwo what must remain", () => {
    const seccomp = forbid({ index: 0, value: HIGH + 0xf0n, valueTwo: HIGH + 0x50n, op: "SCMP_CMP_MASKED_EQ" });
    expect(ask(seccomp, [dup3(HIGH + 0x350n), dup3(HIGH + 0x35fn), dup3(HIGH + 0x370n), dup3(0x350)]).answers).toEqual([
      EPERM,
      EPERM,
      EBADF,
      EBADF,
    ]);
  });

  // CVE-2017-18367: conditions of one rule were taken apart, so that one of them was enough.
  const operators: readonly Condition["op"][] = ["SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_GE"];
  const holds: Record<string, (value: number) => boolean> = {
    SCMP_CMP_EQ: (value) => value === 600,
    SCMP_CMP_NE: (value) => value !== 600,
    SCMP_CMP_LT: (value) => value < 600,
    SCMP_CMP_GE: (value) => value >= 600,
  };
  test.each(operators.flatMap((first) => operators.map((second) => [first, second] as const)))(
    "a rule with %s and %s on two arguments needs both",
    (first, second) => {
      const values = [599, 600, 601];
      const pairs = values.flatMap((a) => values.map((b) => [a, b] as const));
      const seccomp = forbid({ index: 0, value: 600, op: first }, { index: 1, value: 600, op: second });
      const both = ([a, b]: readonly [number, number]) => holds[first]?.(a) === true && holds[second]?.(b) === true;
      // dup3 to itself is EINVAL, before its descriptors are looked at.
      expect(
        ask(
          seccomp,
          pairs.map(([a, b]) => dup3(a, b)),
        ).answers,
      ).toEqual(pairs.map(([a, b]) => (both([a, b]) ? EPERM : a === b ? -22 : EBADF)));
    },
  );

  test("three arguments in one allowing rule need all three", () => {
    const seccomp: Seccomp = {
      defaultAction: "SCMP_ACT_ERRNO",
      syscalls: [
        base,
        rule(["dup3"], "SCMP_ACT_ALLOW", [
          { index: 0, value: 700, op: "SCMP_CMP_EQ" },
          { index: 1, value: 800, op: "SCMP_CMP_EQ" },
          { index: 2, value: 0, op: "SCMP_CMP_EQ" },
        ]),
      ],
    };
    expect(
      ask(seccomp, [dup3(700, 800, 0), dup3(700, 800, 1), dup3(700, 801, 0), dup3(701, 800, 0), dup3(701, 801, 1)])
        .answers,
    ).toEqual([EBADF, EPERM, EPERM, EPERM, EPERM]);
  });

  test("two conditions on one argument are two rules, as runc has it", () => {
    const seccomp = forbid({ index: 0, value: 700, op: "SCMP_CMP_EQ" }, { index: 0, value: 702, op: "SCMP_CMP_EQ" });
    expect(ask(seccomp, [dup3(700), dup3(701), dup3(702)]).answers).toEqual([EPERM, EBADF, EPERM]);
  });

  test("the rule that has no condition wins over one that has", () => {
    const seccomp: Seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        rule(["dup3"], "SCMP_ACT_ERRNO", [{ index: 0, value: 700, op: "SCMP_CMP_EQ" }], 5),
        rule(["dup3"], "SCMP_ACT_ERRNO", undefined, 6),
      ],
    };
    expect(ask(seccomp, [dup3(700), dup3(701)]).answers).toEqual([-6, -6]);
  });
});

describe("system calls newer than the profile", () => {
  const NEWER = 5000;
  const seccomp: Seccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [base, rule(["getcwd", "clone3"], "SCMP_ACT_ALLOW")],
  };
  test("are answered ENOSYS, those in the profile's range EPERM", () => {
    // openat2 (437) came after clone3 (435), the highest that the profile names; the made-up one exists nowhere.
    expect(ask(seccomp, [[nr.getppid], [nr.clone3, 0, 0], [nr.openat2, 0, 0, 0, 0], [NEWER]]).answers).toEqual([
      EPERM,
      -22,
      ENOSYS,
      ENOSYS,
    ]);
  });

  test("also when the rule that names the highest only repeats the default action", () => {
    const listed: Seccomp = {
      ...seccomp,
      syscalls: [base, rule(["openat2"], "SCMP_ACT_ERRNO")],
    };
    expect(ask(listed, [[nr.clone3, 0, 0], [nr.openat2, 0, 0, 0, 0], [NEWER]]).answers).toEqual([EPERM, EPERM, ENOSYS]);
  });

  test("do not kill where the default action would", () => {
    expect(ask({ ...seccomp, defaultAction: "SCMP_ACT_KILL_PROCESS" }, [[NEWER]])).toEqual({ answers: [ENOSYS] });
    expect(ask({ ...seccomp, defaultAction: "SCMP_ACT_KILL_PROCESS" }, [[nr.getppid]]).signal).toBe(SIGSYS);
  });

  test("reach the kernel where the default action lets them", () => {
    const logged: Seccomp = { defaultAction: "SCMP_ACT_TRACE", defaultErrnoRet: 3, syscalls: [base] };
    expect(ask(logged, [[NEWER]]).answers).toEqual([ENOSYS]);
    expect(
      ask({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule(["getcwd"], "SCMP_ACT_ERRNO")] }, [
        [nr.openat2, 0, 0, 0, 0],
      ]).answers,
    ).toEqual([-22]);
  });
});

describe("architectures", () => {
  const X32 = 0x4000_0000;
  const profile = (architectures: Seccomp["architectures"]): Seccomp => ({
    defaultAction: "SCMP_ACT_ERRNO",
    architectures,
    syscalls: [base, rule(["getcwd", "getpriority"], "SCMP_ACT_ALLOW")],
  });
  const GETCWD32 = 183;
  const GETPPID32 = 64;

  test("the native one is there without being listed", () => {
    expect(ask(profile([]), [[nr.getcwd, 0, 0], [nr.getppid]]).answers).toEqual([ERANGE, EPERM]);
  });

  test32("one that is not listed kills (skipped where no 32-bit programs run)", () => {
    expect(ask(profile(["SCMP_ARCH_X86_64"]), [[GETCWD32, 0, 0]], { program: probe32 }).signal).toBe(SIGSYS);
  });

  test32(
    "i386 has its own numbers, for every rule and for what is newer (skipped where no 32-bit programs run)",
    () => {
      const seccomp = profile(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
      const calls = [[GETCWD32, 0, 0], [GETPPID32], [5000]];
      expect(ask(seccomp, calls, { program: probe32 }).answers).toEqual([ERANGE, EPERM, ENOSYS]);
      expect(ask(seccomp, [[nr.getcwd, 0, 0], [nr.getppid], [5000]]).answers).toEqual([ERANGE, EPERM, ENOSYS]);
    },
  );

  test32(
    "i386 sockets have two numbers, and neither is newer than a profile that allows them (skipped where no 32-bit programs run)",
    () => {
      const seccomp: Seccomp = {
        ...profile(["SCMP_ARCH_X86"]),
        syscalls: [base, rule(["socket", "shmget"], "SCMP_ACT_ALLOW")],
      };
      // socket(-1): EAFNOSUPPORT; shmget of a missing key: ENOENT; 5000 is newer, getppid is not.
      const calls = [[359, 4294967295, 0, 0], [395, 4242, 0, 0], [5000], [GETPPID32]];
      expect(ask(seccomp, calls, { program: probe32 }).answers).toEqual([-97, -2, ENOSYS, EPERM]);
    },
  );

  testX86(
    "x32 calls are killed unless listed; then they have the rules and the limit, too (skipped on others than x86)",
    () => {
      expect(ask(profile(["SCMP_ARCH_X86_64"]), [[X32 + nr.getcwd, 0, 0]]).signal).toBe(SIGSYS);
      const seccomp = profile(["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"]);
      // A kernel without x32 answers ENOSYS to what the filter lets through.
      const { answers } = ask(seccomp, [
        [X32 + nr.getcwd, 0, 0],
        [X32 + nr.getppid],
        [X32 + 5000],
        [nr.getcwd, 0, 0],
        [nr.getppid],
        [5000],
      ]);
      expect([ERANGE, ENOSYS]).toContain(answers[0]);
      expect(answers.slice(1)).toEqual([EPERM, ENOSYS, ERANGE, EPERM, ENOSYS]);
    },
  );

  test("one that libseccomp cannot filter beside the native one is an error", () => {
    expect(ask(profile(["SCMP_ARCH_S390X"]), []).failure).toMatchObject({
      kind: "seccomp.compile",
      op: "libseccomp",
      path: "seccomp_arch_add",
      detail: 0x8000_0016,
    });
  });
});

describe("loading", () => {
  const seccomp: Seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule(["getppid"], "SCMP_ACT_ERRNO")] };
  const withoutCapabilities: ContainerStep[] = [
    { kind: "caps.apply", effective: 0, permitted: 0, inheritable: 0, ambient: 0 },
  ];

  test("needs no_new_privs or CAP_SYS_ADMIN", () => {
    expect(ask(seccomp, [[nr.getppid]], { noNewPrivileges: false }).answers).toEqual([EPERM]);
    expect(ask(seccomp, [[nr.getppid]], { before: withoutCapabilities }).answers).toEqual([EPERM]);
    expect(ask(seccomp, [], { noNewPrivileges: false, before: withoutCapabilities }).failure).toMatchObject({
      side: "container",
      kind: "seccomp.load",
      op: "seccomp",
      errno: 13,
    });
  });

  test("takes the flags that change nothing for the program", () => {
    const flags: Seccomp["flags"] = [
      "SECCOMP_FILTER_FLAG_LOG",
      "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
      "SECCOMP_FILTER_FLAG_TSYNC",
    ];
    expect(ask({ ...seccomp, flags }, [[nr.getppid]]).answers).toEqual([EPERM]);
  });

  test("an empty profile is a filter, too", () => {
    expect(ask({ defaultAction: "SCMP_ACT_ALLOW" }, [[nr.getppid]]).answers).toEqual([process.pid]);
  });

  test("nothing but execve is asked of a profile that forbids everything else", () => {
    const seccomp: Seccomp = {
      defaultAction: "SCMP_ACT_KILL_PROCESS",
      syscalls: [rule(["execve", "openat", "write", "exit", "mmap"], "SCMP_ACT_ALLOW")],
    };
    expect(ask(seccomp, [])).toEqual({ answers: [] });
  });
});

test("a profile that leaves tsrun-init nothing to report with is told as such", () => {
  const report = (defaultAction: Seccomp["defaultAction"]) => {
    const steps = compileSeccomp({
      ...container,
      config: { linux: { seccomp: { defaultAction, syscalls: [rule(["execve", "exit_group"], "SCMP_ACT_ALLOW")] } } },
      options: { seccompCache: undefined },
    });
    const session = openSession();
    const { failure } = session.execute(
      encodePlan({
        title: "test",
        host: [
          ...steps.host,
          { kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 },
          { kind: "sync.wait", point: point("ready") },
        ],
        container: [
          { kind: "process.noNewPrivileges" },
          ...steps.container,
          { kind: "sync.signal", point: point("ready") },
        ],
      }),
    );
    session.close();
    return failure;
  };
  expect(report("SCMP_ACT_KILL_PROCESS")).toMatchObject({ op: "killed", detail: SIGSYS, path: "tsrun-init" });
  // It cannot even send why; it ends.
  expect(report("SCMP_ACT_ERRNO")).toMatchObject({ op: "exited", path: "tsrun-init" });
});

describe("the cache", () => {
  const seccomp: Seccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [
      base,
      rule(["getcwd"], "SCMP_ACT_ALLOW"),
      rule(["dup3"], "SCMP_ACT_ALLOW", [{ index: 0, value: 700, op: "SCMP_CMP_EQ" }]),
    ],
  };
  const calls = [[nr.getcwd, 0, 0], [nr.getppid], [nr.dup3, 700, 900, 0], [nr.dup3, 701, 900, 0]];
  const right = { answers: [ERANGE, EPERM, EBADF, EPERM] };
  let cache: string;
  let caches = 0;
  beforeEach(() => {
    cache = join(directory, `cache-${caches++}`);
  });
  const only = (): string => {
    const names = readdirSync(cache);
    expect(names).toHaveLength(1);
    return join(cache, names[0] as string);
  };

  /** The entry of `seccomp` with the filter of a profile that allows everything; the header and the key are right. */
  const forged = (good: Buffer): Buffer => {
    const other = `${cache}-other`;
    ask({ defaultAction: "SCMP_ACT_ALLOW" }, [], { cache: other });
    const permissive = readFileSync(join(other, readdirSync(other)[0] as string));
    const HEADER = 24; // magic, bytes of the key, bytes of the filter, checksum of the filter
    const keyEnd = (file: Buffer): number => HEADER + file.readUInt32LE(8);
    const header = Buffer.from(permissive.subarray(0, HEADER));
    header.writeUInt32LE(good.readUInt32LE(8), 8);
    return Buffer.concat([header, good.subarray(HEADER, keyEnd(good)), permissive.subarray(keyEnd(permissive))]);
  };

  test("is made, private, and used: what stands in it counts", () => {
    expect(ask(seccomp, calls, { cache })).toEqual(right);
    const file = only();
    expect(statSync(cache).mode & 0o777).toBe(0o700);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    writeFileSync(file, forged(readFileSync(file)));
    expect(ask(seccomp, calls, { cache }).answers).toEqual([ERANGE, process.pid, EBADF, EBADF]);
  });

  test("a changed profile is another entry or takes the place", () => {
    ask(seccomp, calls, { cache });
    expect(ask({ ...seccomp, defaultErrnoRet: 95 }, [[nr.getppid]], { cache }).answers).toEqual([-95]);
    expect(ask(seccomp, calls, { cache })).toEqual(right);
    // Whatever is asked for, it stays bounded.
    for (let i = 2; i < 200; i++) {
      ask({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule(["getppid"], "SCMP_ACT_ERRNO", undefined, i)] }, [], {
        cache,
      });
    }
    const names = readdirSync(cache);
    expect(names.length).toBeLessThanOrEqual(64);
    expect(names.length).toBeGreaterThan(32);
  }, 300_000);

  test("a damaged file is not believed, wherever it is damaged, and is replaced", () => {
    ask(seccomp, calls, { cache });
    const file = only();
    const good = readFileSync(file);
    const damage: [string, Buffer][] = [
      ["empty", Buffer.alloc(0)],
      ["cut", good.subarray(0, good.length - 8)],
      ["longer", Buffer.concat([good, Buffer.alloc(8)])],
      ["header only", good.subarray(0, 24)],
      ["large", Buffer.alloc(1024 * 1024)],
    ];
    for (let at = 0; at < good.length; at += at < 32 || at > good.length - 64 ? 1 : 37) {
      const bytes = Buffer.from(good);
      bytes[at] = (bytes[at] as number) ^ 0x40;
      damage.push([`byte ${at}`, bytes]);
    }
    for (const [what, bytes] of damage) {
      writeFileSync(file, bytes);
      expect([what, ask(seccomp, calls, { cache })]).toEqual([what, right]);
      expect([what, readFileSync(file).equals(good)]).toEqual([what, true]);
    }
  }, 300_000);

  test("what others could have written is not believed", () => {
    ask(seccomp, calls, { cache });
    const file = only();
    const good = readFileSync(file);
    const bad = forged(good);
    const misplace: (() => void)[] = [
      () => chmodSync(file, 0o620),
      () => chmodSync(file, 0o602),
      () => chownSync(file, 1, 1),
      () => {
        renameSync(file, `${cache}-moved`);
        symlinkSync(`${cache}-moved`, file);
      },
      () => {
        rmSync(file);
        execFileSync("mkfifo", ["-m", "600", file]);
      },
    ];
    for (const change of misplace) {
      writeFileSync(file, bad);
      change();
      expect(ask(seccomp, calls, { cache })).toEqual(right);
      // Replaced by a good one of our own.
      expect(lstatSync(file).isFile() && statSync(file).mode & 0o777).toBe(0o600);
      expect(statSync(file).uid).toBe(0);
      expect(readFileSync(file).equals(good)).toBe(true);
    }
  });

  test("a directory that is open to others is left alone", () => {
    const open = `${cache}-open`;
    mkdirSync(open);
    chmodSync(open, 0o777);
    expect(ask(seccomp, calls, { cache: open })).toEqual(right);
    expect(readdirSync(open)).toEqual([]);
  });

  test("one that cannot be made or written is no failure", () => {
    expect(ask(seccomp, calls, { cache: join(directory, "no/such/parent") })).toEqual(right);
    expect(ask(seccomp, calls, { cache: "/proc/tsrun-seccomp" })).toEqual(right);
    ask(seccomp, calls, { cache });
    // A writer that was killed left this behind.
    const file = only();
    rmSync(file);
    writeFileSync(`${file}.new`, "half", { mode: 0o600 });
    expect(ask(seccomp, calls, { cache })).toEqual(right);
    expect(ask(seccomp, calls, { cache })).toEqual(right);
    expect(only()).toBe(file);
  });
});

const PODMAN_PROFILE = "/usr/share/containers/seccomp.json";
(existsSync(PODMAN_PROFILE) ? test : test.skip)(
  "a profile as large as podman's, cached or not, lets a shell work (skipped without podman's)",
  () => {
    interface Listed extends Rule {
      readonly includes?: { readonly arches?: readonly string[]; readonly caps?: readonly string[] };
    }
    const { defaultAction, syscalls } = JSON.parse(readFileSync(PODMAN_PROFILE, "utf8")) as {
      defaultAction: Seccomp["defaultAction"];
      syscalls: Listed[];
    };
    const plain = syscalls
      .filter(
        ({ includes }) => includes?.caps === undefined && (includes?.arches?.includes(x86 ? "amd64" : "arm64") ?? true),
      )
      .map(({ names, action, errnoRet, args }) => ({
        ...rule(names, action, args ?? undefined),
        ...(action === "SCMP_ACT_ERRNO" && errnoRet !== undefined && { errnoRet }),
      }));
    const seccomp: Seccomp = {
      defaultAction,
      architectures: x86
        ? ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
        : ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
      syscalls: plain,
    };
    const cache = join(directory, "cache-podman");
    for (let i = 0; i < 2; i++) {
      // Without no_new_privs it is loaded before capabilities and identity are set, so it must allow that, too.
      for (const noNewPrivileges of [true, false]) {
        const output = join(directory, `shell-${files++}`);
        const steps = compileSeccomp({
          ...container,
          config: { linux: { seccomp } },
          options: { seccompCache: cache as AbsPath },
        });
        const session = openSession();
        const { failure } = session.execute(
          encodePlan({
            title: "test",
            host: [
              ...(steps.host as StepOf<"seccomp.compile">[]),
              { kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 },
              { kind: "process.waitExec" },
            ],
            container: [
              ...(noNewPrivileges ? [{ kind: "process.noNewPrivileges" } as const] : steps.container),
              { kind: "caps.bounding", keep: 0 },
              { kind: "identity.set", uid: 0, gid: 0, groups: [1, 2], setGroups: true, umask: 0o22 },
              { kind: "process.cwd", path: "/", asUser: true },
              { kind: "caps.apply", effective: 0, permitted: 0, inheritable: 0, ambient: 0 },
              { kind: "process.lookup", program: "sh", path: "/bin" },
              { kind: "fds.closeOnExec", first: 3 },
              ...(noNewPrivileges ? steps.container : []),
              {
                kind: "process.exec",
                program: "sh",
                path: "/nowhere:/bin",
                args: ["sh", "-c", `exec >${output} 2>&1; echo $(id -u) $(ls -d /); unshare -m true || echo no`],
                env: ["PATH=/usr/bin:/bin"],
                home: true,
              },
            ],
          }),
        );
        expect(failure).toBeUndefined();
        session.commit();
        expect(session.attach()).toEqual({ kind: "exited", value: 0 });
        session.close();
        expect(readFileSync(output, "utf8")).toMatch(/^0 \/\nunshare: .*not permitted\nno\n$/);
      }
    }
    expect(readdirSync(cache)).toHaveLength(1);
  },
);
