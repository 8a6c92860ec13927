/**
 * A seccomp profile of an engine as linux.seccomp of one container: what depends on the host's architecture and kernel and on the
 * container's capabilities is decided, by the rules of docker and podman. Pure.
 */
import { constants } from "node:os";
import type { Seccomp } from "../../spec-schemas/config.ts";
import type { SeccompCondition, SeccompProfile, SeccompProfileRule } from "../../spec-schemas/seccomp-profile.ts";

/** Where podman looks for the profile of containers that are given none, in this order: the administrator's, the distribution's. */
export const defaultProfiles: readonly string[] = [
  "/etc/containers/seccomp.json",
  "/usr/share/containers/seccomp.json",
];

/** What a profile may ask about. */
export interface SeccompSubject {
  /** Node's name, as of `process.arch`. */
  readonly architecture: string;
  readonly kernel: { readonly major: number; readonly minor: number };
  /** The container's bounding set. */
  readonly capabilities: readonly string[];
}

type Architecture = NonNullable<Seccomp["architectures"]>[number];
type Rule = NonNullable<Seccomp["syscalls"]>[number];

/** By Node's names: libseccomp's name, which conditions have, and its constant, which archMap has. */
const architectures: Readonly<Record<string, readonly [string, Architecture]>> = {
  x64: ["amd64", "SCMP_ARCH_X86_64"],
  ia32: ["x86", "SCMP_ARCH_X86"],
  arm: ["arm", "SCMP_ARCH_ARM"],
  arm64: ["arm64", "SCMP_ARCH_AARCH64"],
  loong64: ["loongarch64", "SCMP_ARCH_LOONGARCH64"],
  mips: ["mips", "SCMP_ARCH_MIPS"],
  mipsel: ["mipsel", "SCMP_ARCH_MIPSEL"],
  // Node runs on little-endian ones only.
  ppc64: ["ppc64le", "SCMP_ARCH_PPC64LE"],
  riscv64: ["riscv64", "SCMP_ARCH_RISCV64"],
  s390x: ["s390x", "SCMP_ARCH_S390X"],
};

/** `profile` without contradictions, as `loadSeccompProfile` of src/bundle/load.ts has it. */
export function convertSeccomp(profile: SeccompProfile, subject: SeccompSubject): Seccomp {
  const { flags, listenerPath, listenerMetadata } = profile;
  const errnoRet = errnoOf(profile.defaultErrno, profile.defaultErrnoRet);
  const archs = architecturesOf(profile, subject);
  const rules = (profile.syscalls ?? []).filter((rule) => applies(rule, subject)).map(ruleOf);
  return {
    defaultAction: profile.defaultAction,
    ...(errnoRet !== undefined && { defaultErrnoRet: errnoRet }),
    ...(archs.length > 0 && { architectures: archs }),
    ...(flags && { flags: [...flags] }),
    ...(listenerPath && { listenerPath }),
    ...(listenerMetadata && { listenerMetadata }),
    // A rule for no system call says nothing; config.json has none.
    syscalls: rules.filter(({ names }) => names.length > 0),
  };
}

/** None: the host's own, as libseccomp then has it. */
function architecturesOf({ architectures: given, archMap }: SeccompProfile, subject: SeccompSubject): Architecture[] {
  if (given && given.length > 0) return [...given];
  const own = architectures[subject.architecture]?.[1];
  const entry = (archMap ?? []).find(({ architecture }) => architecture === own);
  return entry === undefined ? [] : [entry.architecture, ...(entry.subArchitectures ?? [])];
}

/**
 * A rule is for containers that have *all* the capabilities that it includes and *none* of those that it excludes; on hosts of
 * *one* of the architectures included and *none* of those excluded; from minKernel on, or before it if that is excluded.
 */
function applies({ includes, excludes }: SeccompProfileRule, subject: SeccompSubject): boolean {
  const has = (name: string): boolean => subject.capabilities.includes(name);
  const isHosts = (name: string): boolean => name === architectures[subject.architecture]?.[0];
  const { caps, arches, minKernel } = conditionOf(includes);
  const not = conditionOf(excludes);
  return (
    caps.every(has) &&
    !not.caps.some(has) &&
    (arches.length === 0 || arches.some(isHosts)) &&
    !not.arches.some(isHosts) &&
    (minKernel === "" || isFrom(minKernel, subject.kernel)) &&
    !(not.minKernel !== "" && isFrom(not.minKernel, subject.kernel))
  );
}

const conditionOf = (condition: SeccompCondition | null | undefined) => ({
  caps: condition?.caps ?? [],
  arches: condition?.arches ?? [],
  minKernel: condition?.minKernel ?? "",
});

function isFrom(version: string, { major, minor }: SeccompSubject["kernel"]): boolean {
  const [first = 0, second = 0] = version.split(".", 2).map((part) => Number.parseInt(part, 10));
  return major > first || (major === first && minor >= second);
}

function ruleOf({ name, names, action, args, ...rule }: SeccompProfileRule): Rule {
  const errnoRet = errnoOf(rule.errno, rule.errnoRet);
  return {
    names: name ? [name] : [...(names ?? [])],
    action,
    ...(errnoRet !== undefined && { errnoRet }),
    ...(args && args.length > 0 && { args: [...args] }),
  };
}

/** A name says the same on every architecture; numbers differ on some, and stand beside it for older readers. */
function errnoOf(name: string | null | undefined, number: number | null | undefined): number | undefined {
  return name ? constants.errno[name as keyof typeof constants.errno] : (number ?? undefined);
}
