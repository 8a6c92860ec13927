/**
 * Who the program runs as. After everything that needs root's rights (mounts, devices, console, bounding set); before
 * caps.apply, which sets what identity.set keeps.
 */
import { TsrunError } from "../core/errors.ts";
import type { ContainerStep } from "../plan/vocabulary.ts";

/** umask without process.user.umask, as runc. */
const DEFAULT_UMASK = 0o022;
/** 0xffffffff means "leave as it is" to setresuid(2): as an id it would quietly stay root (CVE-2016-3697 and others). */
const MAX_ID = 0xffff_fffe;

export interface User {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly umask?: number | undefined;
  readonly additionalGids?: readonly number[] | undefined;
}

/** A mapping of ids as in config.json. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** Text of uid_map or gid_map (user_namespaces(7)). */
export function idMap(mappings: readonly IdMapping[]): string {
  return mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
}

/** Checks one id of config.json or of the command line. */
export function checkId(value: number, what: string): number {
  if (!Number.isInteger(value) || value < 0 || value > MAX_ID) {
    throw new TsrunError("config", `${what}: ${value} is not an id (0 to ${MAX_ID})`);
  }
  return value;
}

/**
 * `setgroupsDenied`: the maps were written without privilege, so the kernel refuses setgroups(2).
 * `keepGroups`: KEEP_GROUPS_ANNOTATION.
 */
export function identityStep(
  user: User | undefined,
  options: { readonly setgroupsDenied: boolean; readonly keepGroups: boolean },
): ContainerStep {
  const groups = (user?.additionalGids ?? []).map((gid, i) => checkId(gid, `/process/user/additionalGids/${i}`));
  if (options.setgroupsDenied && groups.length > 0 && !options.keepGroups) {
    throw new TsrunError("unsupported", "/process/user/additionalGids: not possible without root on the host", {
      advice: "a user namespace made without privilege may not call setgroups (user_namespaces(7))",
    });
  }
  return {
    kind: "identity.set",
    uid: checkId(user?.uid ?? 0, "/process/user/uid"),
    gid: checkId(user?.gid ?? 0, "/process/user/gid"),
    groups: options.keepGroups ? [] : groups,
    setGroups: !options.setgroupsDenied && !options.keepGroups,
    umask: user?.umask ?? DEFAULT_UMASK,
  };
}

export const KEEP_GROUPS_ANNOTATION = "run.oci.keep_original_groups";

/** Whether the container keeps the groups of tsrun's caller (crun's annotation; any value but "0" and "false"). */
export function keepsOriginalGroups(annotations: Readonly<Record<string, string>> | undefined): boolean {
  const value = annotations?.[KEEP_GROUPS_ANNOTATION];
  return value !== undefined && value !== "" && value !== "0" && value !== "false";
}
