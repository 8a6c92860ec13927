/**
 * The last part of the container's list: from a finished root to execve. Order and reasons:
 *
 *     process.memoryPolicy, process.personality, lsm.attribute
 *                               before seccomp.load, whose filter may forbid them
 *     process.noNewPrivileges   before seccomp.load, which may do without CAP_SYS_ADMIN then
 *     process.stdioOwner        needs CAP_CHOWN: before the identity changes
 *     process.cwd               as root first: the user may not be able to look into it (as runc). After path.mask, or
 *                               the process would stand below a mask
 *     caps.bounding             needs CAP_SETPCAP: before the identity changes
 *     fds.closeOnExec           CVE-2024-21626; what is opened after it is close-on-exec of itself
 *     seccomp.load              here without no_new_privs: it needs CAP_SYS_ADMIN, which caps.apply takes away. From here
 *                               on every system call of ours must be one that the container's own filter allows
 *     identity.set              keeps the permitted set
 *     process.cwd (asUser)      when root was denied (NFS, FUSE)
 *     caps.apply                last use of the kept capabilities
 *     process.lookup            as the user, so that create fails early
 *     seccomp.load              here with no_new_privs: as late as possible, yet in create
 *     sync.signal ready, gate.wait, hook.run startContainer        (create only)
 *     process.exec
 */

import type { Config } from "../../spec-schemas/config.ts";
import { rootRelPath } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import type { HostFacts } from "../host/facts.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import { type CapabilityNames, capabilityMasks } from "./capabilities.ts";
import { identityStep, type User } from "./identity.ts";
import { labelSteps, type SecurityLabels, withKeyLabel } from "./lsm.ts";
import { ownSteps } from "./scheduling.ts";

/** Search path when the environment has no PATH: confstr(_CS_PATH), as execvp(3). */
const DEFAULT_PATH = "/bin:/usr/bin";

/** `process` of config.json or of `exec --process`, as far as this file reads it. */
export interface ProcessSpec extends SecurityLabels {
  readonly args?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  readonly cwd: string;
  readonly user?: User | undefined;
  readonly terminal?: boolean | undefined;
  readonly capabilities?: CapabilityNames | undefined;
  readonly noNewPrivileges?: boolean | undefined;
}

export interface FinishInput {
  readonly process: ProcessSpec;
  readonly linux: Config["linux"];
  readonly facts: Pick<HostFacts, "lastCapability" | "permittedCapabilities" | "lsm">;
  /** The container has a user namespace, in which it has every capability. */
  readonly userNamespace: boolean;
  readonly setgroupsDenied: boolean;
  readonly keepGroups: boolean;
  /** seccomp.load of the profile, or nothing. */
  readonly seccomp: readonly ContainerStep[];
  /** Descriptors from 3 on that the program keeps. */
  readonly preserveFds: number;
  /** Steps between "all is done" and execve: the gate and its hooks. */
  readonly beforeExec: readonly ContainerStep[];
}

export function finishSteps(input: FinishInput, warnings: string[]): ContainerStep[] {
  const { process } = input;
  const [program] = process.args ?? [];
  if (program === undefined || program === "") throw new TsrunError("config", "/process/args: no program is named");
  const { env, home } = environment(process.env);
  const path = env.find((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? DEFAULT_PATH;
  const masks = capabilityMasks(
    process.capabilities,
    {
      lastCapability: input.facts.lastCapability,
      grantable: input.userNamespace ? ~0n : input.facts.permittedCapabilities,
    },
    warnings,
  );
  const noNewPrivileges = process.noNewPrivileges === true;
  const steps: ContainerStep[] = [...ownSteps(input.linux, warnings), ...labelSteps(process, input.facts)];
  if (noNewPrivileges) steps.push({ kind: "process.noNewPrivileges" });
  const identity = identityStep(process.user, input);
  if (process.terminal !== true) steps.push({ kind: "process.stdioOwner", uid: process.user?.uid ?? 0 });
  const cwd = `/${rootRelPath(process.cwd)}`;
  steps.push(
    { kind: "process.cwd", path: cwd, asUser: false },
    { kind: "caps.bounding", keep: masks.bounding },
    { kind: "fds.closeOnExec", first: 3 + input.preserveFds },
    ...(noNewPrivileges ? [] : input.seccomp),
    identity,
    { kind: "process.cwd", path: cwd, asUser: true },
    {
      kind: "caps.apply",
      effective: masks.effective,
      permitted: masks.permitted,
      inheritable: masks.inheritable,
      ambient: masks.ambient,
    },
    { kind: "process.lookup", program, path },
  );
  if (noNewPrivileges) steps.push(...input.seccomp);
  steps.push(...input.beforeExec, { kind: "process.exec", program, path, args: process.args ?? [], env, home });
  return steps;
}

/** A session keyring of the container's own; a user namespace's root needs "other" search, as runc. */
export function keyringSteps(
  id: string,
  userNamespace: boolean,
  noNewKeyring: boolean,
  process: SecurityLabels,
  facts: Pick<HostFacts, "lsm">,
): ContainerStep[] {
  if (noNewKeyring) return [];
  const permissions = userNamespace ? 0x8 : 0x8_0000;
  return withKeyLabel(process, facts, [{ kind: "keyring.join", name: `_ses.${id}`, permissions }]);
}

/** oom_score_adj: written by the host, as lowering it needs privilege there. */
export function oomSteps(oomScoreAdj: number | undefined): HostStep[] {
  return oomScoreAdj === undefined ? [] : [{ kind: "process.oomScoreAdj", value: oomScoreAdj }];
}

/** The environment without repeated names (the last one counts), and whether HOME has to be looked up (as runc). */
function environment(entries: readonly string[] | undefined): { env: string[]; home: boolean } {
  const byName = new Map<string, string>();
  for (const [i, entry] of (entries ?? []).entries()) {
    const end = entry.indexOf("=");
    if (end < 1) throw new TsrunError("config", `/process/env/${i}: ${JSON.stringify(entry)} is not NAME=VALUE`);
    byName.set(entry.slice(0, end), entry);
  }
  const home = (byName.get("HOME") ?? "HOME=") === "HOME=";
  if (home) byName.delete("HOME");
  return { env: [...byName.values()], home };
}
