/**
 * What config.json can ask for and this version does not do: refused by name, all at once, before anything is made.
 * Nothing that protects or limits is ever left out in silence. Empty and neutral values pass.
 */
import { TsrunError } from "../core/errors.ts";
import type { CompileInput } from "./input.ts";

type Values = Readonly<Record<string, unknown>>;

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === "object" && Object.keys(value).length === 0);

/** `process` properties; the same for create and exec. */
export function unsupportedOfProcess(
  process: object | undefined,
  facts: CompileInput["facts"],
  exec: boolean,
): string[] {
  const values = (process ?? {}) as Values;
  const found: string[] = [];
  const add = (name: string, neutral = false): void => {
    if (!neutral && !isEmpty(values[name])) found.push(`/process/${name}`);
  };
  // "unconfined" is what a host without AppArmor gives anyway.
  add("apparmorProfile", values.apparmorProfile === "unconfined" && !facts.lsm.apparmor);
  add("selinuxLabel");
  add("scheduler");
  add("ioPriority");
  // It is for exec'd processes only (config.md); for the container's init it means nothing.
  add("execCPUAffinity", !exec);
  return found;
}

/** Throws `unsupported` naming every such property by its JSON pointer. */
export function refuseUnsupported(input: Pick<CompileInput, "config" | "facts">): void {
  const { config } = input;
  const found = unsupportedOfProcess(config.process, input.facts, false);
  const linux = (config.linux ?? {}) as Values;
  for (const name of ["mountLabel", "memoryPolicy"]) {
    if (!isEmpty(linux[name])) found.push(`/linux/${name}`);
  }
  // LINUX without flags is what a process has unless its caller changed it.
  const personality = linux.personality as { domain?: string; flags?: unknown } | undefined;
  if (personality !== undefined && (personality.domain !== "LINUX" || !isEmpty(personality.flags))) {
    found.push("/linux/personality");
  }
  const seccomp = (linux.seccomp ?? {}) as Values;
  const syscalls = (seccomp.syscalls ?? []) as readonly { action?: string }[];
  if (
    seccomp.defaultAction === "SCMP_ACT_NOTIFY" ||
    syscalls.some(({ action }) => action === "SCMP_ACT_NOTIFY") ||
    !isEmpty(seccomp.listenerPath)
  ) {
    found.push("/linux/seccomp (SCMP_ACT_NOTIFY)");
  }
  throwUnsupported(found);
}

export function throwUnsupported(found: readonly string[]): void {
  if (found.length === 0) return;
  throw new TsrunError("unsupported", `this version of tsrun does not do: ${found.join(", ")}`, {
    advice: "remove these properties from config.json, or use a runtime that has them",
  });
}
