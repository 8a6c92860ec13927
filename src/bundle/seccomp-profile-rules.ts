/** Rules between fields of an engine's seccomp profile that its schema cannot say. */
import { constants } from "node:os";
import type { SeccompProfile } from "../../spec-schemas/seccomp-profile.ts";
import { type Problem, show } from "./problems.ts";
import { checkSeccompRules } from "./rules.ts";

const isErrno = (name: string): boolean => Object.hasOwn(constants.errno, name);

/**
 * Of two ways to say a thing one is taken, as by docker and podman; an errno's name is one that there is; and the rules of
 * `linux.seccomp`, also for what is not for this host or container.
 */
export function checkSeccompProfileRules(profile: SeccompProfile): Problem[] {
  const problems: Problem[] = [];
  const error = (pointer: string, found: unknown, wanted: string): void => {
    problems.push({ pointer, found: show(found), wanted, severity: "error" });
  };
  const { architectures, archMap, defaultErrno } = profile;
  if (architectures?.length && archMap?.length) error("/archMap", archMap, "either architectures or archMap");
  if (defaultErrno && !isErrno(defaultErrno))
    error("/defaultErrno", defaultErrno, "the name of an errno such as EPERM");
  for (const [i, { name, names, errno }] of (profile.syscalls ?? []).entries()) {
    const at = `/syscalls/${i}`;
    if (name && names?.length) error(`${at}/name`, name, "either name or names");
    if (!name && !names?.length) error(at, profile.syscalls?.[i], "names of system calls");
    if (errno && !isErrno(errno)) error(`${at}/errno`, errno, "the name of an errno such as EPERM");
  }
  return [...problems, ...checkSeccompRules(unconditional(profile))];
}

/** All rules at their places, for whomever they are. */
function unconditional(profile: SeccompProfile): Parameters<typeof checkSeccompRules>[0] {
  return {
    defaultAction: profile.defaultAction,
    // By name or by number, which action has it counts.
    defaultErrnoRet: profile.defaultErrnoRet ?? (profile.defaultErrno ? 1 : undefined),
    listenerPath: profile.listenerPath ?? undefined,
    listenerMetadata: profile.listenerMetadata ?? undefined,
    syscalls: (profile.syscalls ?? []).map(({ names, action, errno, errnoRet, args }) => ({
      names: names ?? [],
      action,
      errnoRet: errnoRet ?? (errno ? 1 : undefined),
      args: args ?? undefined,
    })),
  };
}
