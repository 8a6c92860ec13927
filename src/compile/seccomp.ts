/**
 * seccomp: the profile of `linux.seccomp` as codes of libseccomp and the kernel (config-linux.md, Seccomp).
 *
 * seccomp.compile comes before process.spawn: libseccomp allocates and stays out of tsrun-init, and a profile that cannot be
 * compiled leaves no trace. Where seccomp.load stands is process.ts's business.
 */
import type { Config } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import type { CompileInput } from "./input.ts";

type Seccomp = NonNullable<NonNullable<Config["linux"]>["seccomp"]>;
type Rule = NonNullable<Seccomp["syscalls"]>[number];

const EPERM = 1;
const ENOSYS = 38;

interface Action {
  /** SECCOMP_RET_*; the low 16 bits are free for `errnoRet`. */
  readonly code: number;
  /** The largest errnoRet, or undefined when the action has none. */
  readonly largestErrno?: number;
  /** The system call may be carried out. */
  readonly permits: boolean;
}

/** Actions by name (linux/seccomp.h). SCMP_ACT_NOTIFY is refused before (unsupported.ts). */
export const seccompActions = {
  // libseccomp's meaning of the bare name, and the kernel's: the thread.
  SCMP_ACT_KILL: { code: 0, permits: false },
  SCMP_ACT_KILL_PROCESS: { code: 0x8000_0000, permits: false },
  SCMP_ACT_KILL_THREAD: { code: 0, permits: false },
  SCMP_ACT_TRAP: { code: 0x3_0000, permits: false },
  // libseccomp takes what is less than the kernel's MAX_ERRNO.
  SCMP_ACT_ERRNO: { code: 0x5_0000, largestErrno: 4094, permits: false },
  // A tracer answers for itself, to new system calls too.
  SCMP_ACT_TRACE: { code: 0x7ff0_0000, largestErrno: 0xffff, permits: true },
  SCMP_ACT_ALLOW: { code: 0x7fff_0000, permits: true },
  SCMP_ACT_LOG: { code: 0x7ffc_0000, permits: true },
} as const satisfies Partial<Record<Seccomp["defaultAction"], Action>>;

/** enum scmp_compare of seccomp.h. */
export const seccompOperators = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
} as const satisfies Record<NonNullable<Rule["args"]>[number]["op"], number>;

/** SCMP_ARCH_* of seccomp.h: AUDIT_ARCH_* of linux/audit.h, and libseccomp's own number for x32. */
export const seccompArchitectures = {
  SCMP_ARCH_X86: 0x4000_0003,
  SCMP_ARCH_X86_64: 0xc000_003e,
  SCMP_ARCH_X32: 0x4000_003e,
  SCMP_ARCH_ARM: 0x4000_0028,
  SCMP_ARCH_AARCH64: 0xc000_00b7,
  SCMP_ARCH_LOONGARCH64: 0xc000_0102,
  SCMP_ARCH_M68K: 0x4,
  SCMP_ARCH_MIPS: 0x8,
  SCMP_ARCH_MIPS64: 0x8000_0008,
  SCMP_ARCH_MIPS64N32: 0xa000_0008,
  SCMP_ARCH_MIPSEL: 0x4000_0008,
  SCMP_ARCH_MIPSEL64: 0xc000_0008,
  SCMP_ARCH_MIPSEL64N32: 0xe000_0008,
  SCMP_ARCH_PPC: 0x14,
  SCMP_ARCH_PPC64: 0x8000_0015,
  SCMP_ARCH_PPC64LE: 0xc000_0015,
  SCMP_ARCH_S390: 0x16,
  SCMP_ARCH_S390X: 0x8000_0016,
  SCMP_ARCH_SH: 0x4000_002a,
  SCMP_ARCH_SHEB: 0x2a,
  SCMP_ARCH_PARISC: 0xf,
  SCMP_ARCH_PARISC64: 0x8000_000f,
  SCMP_ARCH_RISCV64: 0xc000_00f3,
} as const satisfies Record<NonNullable<Seccomp["architectures"]>[number], number>;

/** Flags of seccomp(2). */
export const seccompFlags = {
  // For threads that run already. There is one when the filter is loaded, and all later ones inherit it.
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
} as const satisfies Partial<Record<NonNullable<Seccomp["flags"]>[number], number>>;

/** crun's: a system call that libseccomp does not know is an error. */
export const FAIL_UNKNOWN_ANNOTATION = "run.oci.seccomp_fail_unknown_syscall";

const SLOT = "seccomp";

export interface CompiledSeccomp {
  readonly host: HostStep[];
  readonly container: ContainerStep[];
  readonly warnings: string[];
}

export function compileSeccomp(input: {
  readonly config: Pick<Config, "annotations" | "linux">;
  readonly options: Pick<CompileInput["options"], "seccompCache">;
}): CompiledSeccomp {
  const seccomp = input.config.linux?.seccomp;
  if (seccomp === undefined) return { host: [], container: [], warnings: [] };
  const at = "/linux/seccomp";
  const warnings: string[] = [];
  const defaultAction = actionCode(seccomp.defaultAction, seccomp.defaultErrnoRet, at, "default");
  const names: string[] = [];
  const actions: number[] = [];
  const conditions: (number | bigint)[] = [];
  for (const [i, rule] of (seccomp.syscalls ?? []).entries()) {
    const pointer = `${at}/syscalls/${i}`;
    const action = actionCode(rule.action, rule.errnoRet, pointer, "");
    const groups = conditionGroups(rule, pointer, warnings);
    for (const name of rule.names) {
      for (const group of groups) {
        for (const { index, op, value, valueTwo } of group) {
          conditions.push(names.length, index, seccompOperators[op], value, valueTwo ?? 0);
        }
        names.push(name);
        actions.push(action);
      }
    }
  }
  return {
    host: [
      {
        kind: "seccomp.compile",
        defaultAction,
        newerAction: seccompAction(seccomp.defaultAction, at).permits ? defaultAction : errnoCode(ENOSYS),
        architectures: (seccomp.architectures ?? []).map((name) => seccompArchitectures[name]),
        names,
        actions,
        conditions,
        failUnknown: input.config.annotations?.[FAIL_UNKNOWN_ANNOTATION] !== undefined,
        cache: input.options.seccompCache ?? "",
        slot: SLOT,
      },
    ],
    container: [{ kind: "seccomp.load", slot: SLOT, flags: flagBits(seccomp, at) }],
    warnings,
  };
}

function seccompAction(name: Seccomp["defaultAction"], pointer: string): Action {
  if (name === "SCMP_ACT_NOTIFY") {
    throw new TsrunError("unsupported", `${pointer}: this version of tsrun does not do SCMP_ACT_NOTIFY`);
  }
  return seccompActions[name];
}

/** An action with its errno, which is EPERM unless given (config-linux.md; so are runc's and crun's). */
function actionCode(
  name: Seccomp["defaultAction"],
  errno: number | undefined,
  pointer: string,
  which: "default" | "",
): number {
  const { code, largestErrno } = seccompAction(name, pointer);
  const where = `${pointer}/${which === "" ? "errnoRet" : "defaultErrnoRet"}`;
  if (largestErrno === undefined) {
    // config-linux.md, Seccomp: an errno for an action that has none must be an error.
    if (errno !== undefined) throw new TsrunError("config", `${where}: ${name} returns no errno`);
    return code;
  }
  if (errno !== undefined && errno > largestErrno) {
    throw new TsrunError("config", `${where}: ${errno} is more than ${largestErrno}`);
  }
  return code + (errno ?? EPERM);
}

const errnoCode = (errno: number): number => seccompActions.SCMP_ACT_ERRNO.code + errno;

/**
 * The conditions of a rule as groups: all conditions of a group must hold for one answer, any group is enough.
 *
 * Conditions on different arguments form one group (CVE-2017-18367 was to take them apart). libseccomp has no two
 * conditions on one argument in a rule; like runc and crun we then make every condition a rule of its own, because profiles
 * are written for it. That allows more than a reader may think, so it is said.
 */
function conditionGroups(rule: Rule, pointer: string, warnings: string[]): NonNullable<Rule["args"]>[] {
  const conditions = rule.args ?? [];
  const repeated = conditions.find(({ index }, i) => conditions.findIndex((other) => other.index === index) < i);
  if (repeated === undefined) return [conditions];
  warnings.push(
    `${pointer}/args: argument ${repeated.index} has more than one condition, so any one of the rule's conditions is enough`,
  );
  return conditions.map((condition) => [condition]);
}

function flagBits(seccomp: Seccomp, at: string): number {
  let bits = 0;
  for (const [i, flag] of (seccomp.flags ?? []).entries()) {
    // Without a listener the kernel refuses it (EINVAL), and there is nobody whose answer could be waited for.
    if (flag === "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") {
      throw new TsrunError("unsupported", `${at}/flags/${i}: ${flag} has a meaning for SCMP_ACT_NOTIFY only`);
    }
    bits |= seccompFlags[flag];
  }
  return bits;
}
