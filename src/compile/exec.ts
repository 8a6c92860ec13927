/**
 * exec: a further process in a running container. One process of its own, no gate; it joins what init has.
 *
 * Attack rows 2 and 11: the process is not dumpable while it holds host descriptors inside the container's namespaces
 * (tsrun-init sees to it), and inheritable and ambient capabilities are empty unless asked for.
 */
import { TsrunError } from "../core/errors.ts";
import { point } from "../plan/encode.ts";
import type { ContainerStep, HostStep, Plan } from "../plan/vocabulary.ts";
import type { CapabilityNames } from "./capabilities.ts";
import { connectConsole, openConsole } from "./console.ts";
import { keepsOriginalGroups } from "./identity.ts";
import type { CompileInput, CreateOptions } from "./input.ts";
import { hasNamespace, isCreated, namespaceFlags, ownNamespaces, processShape } from "./namespaces.ts";
import { finishSteps, keyringSteps, oomSteps, type ProcessSpec } from "./process.ts";
import { type Rlimit, rlimitSteps, stackLimitSync } from "./rlimits.ts";
import { compileSeccomp } from "./seccomp.ts";
import { throwUnsupported, unsupportedOfProcess } from "./unsupported.ts";

/** `process` of an exec: of `--process FILE`, or made by execProcess. */
export interface ExecProcess extends ProcessSpec {
  readonly consoleSize?: { readonly height: number | bigint; readonly width: number | bigint } | undefined;
  readonly rlimits?: readonly Rlimit[] | undefined;
  readonly oomScoreAdj?: number | undefined;
}

/** A cgroup that the process is put into. */
export interface ExecCgroup {
  readonly hierarchy: string;
  readonly path: string;
  readonly version: 1 | 2;
  /** Init's present cgroup, tried when the kernel says EBUSY (v2: the container has made children); "" for none. */
  readonly fallback: string;
}

export interface ExecInput {
  /** The container as create saw it: its config.json copy, and the host's facts of now. */
  readonly container: Pick<CompileInput, "id" | "bundle" | "rootfs" | "config" | "facts">;
  readonly process: ExecProcess;
  /** The container's init. */
  readonly init: { readonly pid: number; readonly startTime: bigint };
  readonly cgroups: readonly ExecCgroup[];
  /**
   * How the process gets into them. `born` is the fast way, without the kernel's grace period. `moved` is for a container
   * at its limit of processes, which stops only births, and for a frozen one, in which the clone itself would stop.
   */
  readonly entry: "born" | "moved";
  readonly options: CreateOptions;
}

/** What `exec` without `--process` may say about the process. */
export interface ExecOverrides {
  readonly args: readonly string[];
  /** Added to the container's environment. */
  readonly env: readonly string[];
  readonly cwd: string | undefined;
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  readonly additionalGids: readonly number[];
  /** --cap: into the bounding, effective and permitted sets, never the inheritable one (CVE-2022-29162). */
  readonly capabilities: readonly string[];
  /** --no-new-privs; undefined: as the container's. */
  readonly noNewPrivileges: boolean | undefined;
  readonly terminal: boolean;
}

/** The process of an `exec` from the container's own and the command line. */
export function execProcess(own: ExecProcess | undefined, overrides: ExecOverrides): ExecProcess {
  const extra = overrides.capabilities;
  const { bounding = [], effective = [], permitted = [] } = own?.capabilities ?? {};
  const capabilities: CapabilityNames = {
    bounding: [...bounding, ...extra],
    effective: [...effective, ...extra],
    permitted: [...permitted, ...extra],
    inheritable: [],
    ambient: [],
  };
  const user = own?.user ?? {};
  return {
    args: overrides.args,
    env: [...(own?.env ?? []), ...overrides.env],
    cwd: overrides.cwd ?? own?.cwd ?? "/",
    user: {
      ...user,
      ...(overrides.user !== undefined && { uid: overrides.user.uid, gid: overrides.user.gid }),
      additionalGids: [...(user.additionalGids ?? []), ...overrides.additionalGids],
    },
    terminal: overrides.terminal,
    capabilities,
    noNewPrivileges: overrides.noNewPrivileges ?? own?.noNewPrivileges ?? false,
    ...(own?.rlimits !== undefined && { rlimits: own.rlimits }),
    ...(own?.oomScoreAdj !== undefined && { oomScoreAdj: own.oomScoreAdj }),
  };
}

const INIT_SLOT = "init";
const CGROUP_SLOT = "cgroup";

export function compileExec(input: ExecInput): { readonly plan: Plan; readonly warnings: readonly string[] } {
  const { container, process, options } = input;
  const { id, config, facts } = container;
  throwUnsupported(unsupportedOfProcess(process, facts, true));
  const shape = processShape(config);
  if (!hasNamespace(shape, "mount")) {
    throw new TsrunError("unsupported", `exec ${id}: the container has no mount namespace whose root could be entered`);
  }
  const warnings: string[] = [];
  const userNamespace = hasNamespace(shape, "user");
  const seccomp = compileSeccomp({ ...container, options });
  const fork = hasNamespace(shape, "pid");
  const stackLimit = stackLimitSync(process.rlimits);

  const born = input.entry === "born" ? input.cgroups : [];
  const entered = born.filter(({ version }) => version === 1);
  // Only where init is: another cgroup of the container may have no room.
  const opened = born.find(({ version, fallback }) => version === 2 && fallback === "");
  const joined = input.cgroups.filter((cgroup) => !entered.includes(cgroup) && cgroup !== opened);

  const host: HostStep[] = [
    { kind: "ns.openProcess", pid: input.init.pid, startTime: input.init.startTime, slot: INIT_SLOT },
    ...connectConsole(process, options.console),
    ...seccomp.host,
    ...entered.map(({ hierarchy, path }) => ({ kind: "cgroup.enter", hierarchy, path }) as const),
    ...(opened === undefined
      ? []
      : [{ kind: "cgroup.open", hierarchy: opened.hierarchy, path: opened.path, slot: CGROUP_SLOT } as const]),
    {
      kind: "process.spawn",
      cloneFlags: 0,
      cgroup: opened === undefined ? null : CGROUP_SLOT,
      keepFds: options.preserveFds,
    },
    ...stackLimit.host,
    ...(fork ? [{ kind: "process.adopt" } as const] : []),
    ...joined.map(({ hierarchy, path, fallback }) => ({ kind: "cgroup.join", hierarchy, path, fallback }) as const),
    ...oomSteps(process.oomScoreAdj),
    ...rlimitSteps(process.rlimits, facts.launch.nofile),
    { kind: "sync.signal", point: point("host-ready") },
    ...(options.pidfdSocket === undefined ? [] : [{ kind: "pidfd.send", path: options.pidfdSocket } as const]),
    { kind: "process.waitExec" },
  ];
  const steps: ContainerStep[] = [
    ...stackLimit.container,
    { kind: "process.signals", ignored: facts.launch.ignoredSignals },
    // All at once: the kernel takes the user namespace first and checks the others by what it gives.
    { kind: "ns.join", slot: INIT_SLOT, types: ownNamespaces(shape) | namespaceFlags.mount },
    ...(userNamespace ? [{ kind: "identity.becomeRoot" } as const] : []),
    ...(fork ? [{ kind: "process.fork" } as const] : []),
    // Nothing that the program could use before it is limited and in its cgroup.
    { kind: "sync.wait", point: point("host-ready") },
    ...keyringSteps(id, userNamespace, options.noNewKeyring),
    { kind: "process.setsid" },
    ...openConsole(process, false),
    ...finishSteps(
      {
        process,
        facts,
        userNamespace,
        setgroupsDenied: isCreated(shape, "user") && facts.uid !== 0,
        keepGroups: keepsOriginalGroups(config.annotations),
        seccomp: seccomp.container,
        preserveFds: options.preserveFds,
        beforeExec: [],
      },
      warnings,
    ),
  ];
  return { plan: { title: `exec ${id}`, host, container: steps }, warnings: [...warnings, ...seccomp.warnings] };
}
