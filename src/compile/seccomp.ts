/**
 * seccomp: the profile of `linux.seccomp` as codes of libseccomp and the kernel (config-linux.md, Seccomp).
 *
 * seccomp.compile comes before process.spawn: libseccomp allocates and stays out of tsrun-init, and a profile that cannot be
 * compiled leaves no trace. Where seccomp.load stands is process.ts's business.
 */
import type { Config } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";
import type { HostFacts } from "../host/facts.ts";
import { actions, architectures, operators } from "../plan/seccomp-codes.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import { STATE_OCI_VERSION } from "./hooks.ts";
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

/** Actions by name (linux/seccomp.h). */
export const seccompActions = actions satisfies Record<Seccomp["defaultAction"], Action>;

/** enum scmp_compare of seccomp.h. */
export const seccompOperators = operators satisfies Record<NonNullable<Rule["args"]>[number]["op"], number>;

/** SCMP_ARCH_* of seccomp.h. */
export const seccompArchitectures = architectures satisfies Record<
  NonNullable<Seccomp["architectures"]>[number],
  number
>;

/** Flags of seccomp(2). */
export const seccompFlags = {
  // For threads that run already. There is one when the filter is loaded, and all later ones inherit it.
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
} as const satisfies Record<NonNullable<Seccomp["flags"]>[number], number>;

/** crun's: a system call that libseccomp does not know is an error. */
export const FAIL_UNKNOWN_ANNOTATION = "run.oci.seccomp_fail_unknown_syscall";

/** crun's: where the listener goes when the profile does not say. */
export const RECEIVER_ANNOTATION = "run.oci.seccomp.receiver";

const SLOT = "seccomp";

export interface SeccompInput {
  readonly id: string;
  readonly bundle: string;
  readonly config: Pick<Config, "annotations" | "linux">;
  readonly facts: Pick<HostFacts, "uid" | "kernel">;
  readonly options: Pick<CompileInput["options"], "seccompCache">;
  /** exec: the init of the container that runs already. */
  readonly running?: { readonly pid: number };
}

export interface CompiledSeccomp {
  readonly host: HostStep[];
  readonly container: ContainerStep[];
  /** Host, while the container loads the filter: before whatever waits for the container after that. */
  readonly listener: HostStep[];
  readonly warnings: string[];
}

export function compileSeccomp(input: SeccompInput): CompiledSeccomp {
  const seccomp = input.config.linux?.seccomp;
  if (seccomp === undefined) return { host: [], container: [], listener: [], warnings: [] };
  const at = "/linux/seccomp";
  const warnings: string[] = [];
  const defaultAction = actionCode(seccomp.defaultAction, seccomp.defaultErrnoRet, at, "default");
  const names: string[] = [];
  const answers: number[] = [];
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
        answers.push(action);
      }
    }
  }
  const listener = listenerSteps(input, seccomp, at);
  const load: ContainerStep = {
    kind: "seccomp.load",
    slot: SLOT,
    flags: flagBits(seccomp, input.facts, listener.length > 0, at, warnings),
    listener: listener.length > 0,
    // Without privilege tsrun may take a descriptor of a dumpable process only (ptrace(2), access mode checks).
    dumpable: listener.length > 0 && input.facts.uid !== 0,
  };
  return {
    host: [
      {
        kind: "seccomp.compile",
        defaultAction,
        newerAction: seccompActions[seccomp.defaultAction].permits ? defaultAction : errnoCode(ENOSYS),
        architectures: (seccomp.architectures ?? []).map((name) => seccompArchitectures[name]),
        names,
        actions: answers,
        conditions,
        failUnknown: input.config.annotations?.[FAIL_UNKNOWN_ANNOTATION] !== undefined,
        cache: input.options.seccompCache ?? "",
        slot: SLOT,
      },
    ],
    container: [load],
    listener,
    warnings,
  };
}

/** An action with its errno, which is EPERM unless given (config-linux.md; so are runc's and crun's). */
function actionCode(
  name: Seccomp["defaultAction"],
  errno: number | undefined,
  pointer: string,
  which: "default" | "",
): number {
  const { code, largestErrno }: Action = seccompActions[name];
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

const usesNotify = ({ syscalls = [] }: Seccomp): boolean => syscalls.some(({ action }) => action === "SCMP_ACT_NOTIFY");

/**
 * Handing over the listener (config-linux.md, Seccomp, containerProcessState). In create the container is `creating` and
 * the process is its init; in exec it is `running`, and the pids differ.
 */
function listenerSteps(input: SeccompInput, seccomp: Seccomp, at: string): HostStep[] {
  // Without the action the path is ignored, as the specification wants it.
  if (!usesNotify(seccomp)) return [];
  const { id, bundle, config, running } = input;
  const path = seccomp.listenerPath || config.annotations?.[RECEIVER_ANNOTATION];
  if (path === undefined || path === "") {
    throw new TsrunError("config", `${at}: SCMP_ACT_NOTIFY needs a listenerPath`);
  }
  const { listenerMetadata } = seccomp;
  const head = { ociVersion: STATE_OCI_VERSION, fds: ["seccompFd"] };
  const state = { ociVersion: STATE_OCI_VERSION, id, status: running === undefined ? "creating" : "running" };
  const parts = [
    `${open(head)},"pid":`,
    `${listenerMetadata === undefined ? "" : `,"metadata":${JSON.stringify(listenerMetadata)}`},"state":${open(state)},"pid":`,
    `,"bundle":${JSON.stringify(bundle)},"annotations":${JSON.stringify(config.annotations ?? {})}}}`,
  ] as const;
  const [before, between, after] = parts;
  return [
    {
      kind: "seccomp.listener",
      path,
      state: running === undefined ? parts : [before, `${between}${running.pid}${after}`],
    },
  ];
}

/** An object's JSON without its closing brace, to be gone on with. */
const open = (value: object): string => JSON.stringify(value).slice(0, -1);

function flagBits(
  seccomp: Seccomp,
  { kernel }: Pick<HostFacts, "kernel">,
  listens: boolean,
  at: string,
  warnings: string[],
): number {
  let bits = 0;
  for (const [i, flag] of (seccomp.flags ?? []).entries()) {
    if (flag === "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV") {
      if (!listens) {
        // The kernel refuses it (EINVAL): there is nobody whose answer could be waited for.
        warnings.push(`${at}/flags/${i}: ignoring ${flag}, which has a meaning for SCMP_ACT_NOTIFY only`);
        continue;
      }
      if (!knowsWaitKillable(kernel)) {
        throw new TsrunError("unsupported", `${at}/flags/${i}: ${flag} needs Linux 5.19`);
      }
    }
    bits |= seccompFlags[flag];
  }
  return bits;
}

export function knowsWaitKillable({ major, minor }: { readonly major: number; readonly minor: number }): boolean {
  return major > 5 || (major === 5 && minor >= 19);
}
