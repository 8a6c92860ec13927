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
import type { CompileInput, ConsoleSize, CreateOptions } from "./input.ts";
import type { Place } from "./kill.ts";
import { setsUpDev } from "./mounts.ts";
import { hasNamespace, isCreated, namespaceFlags, ownNamespaces, processShape } from "./namespaces.ts";
import { finishSteps, keyringSteps, oomSteps, type ProcessSpec } from "./process.ts";
import { joinSteps, type Resctrl } from "./resctrl.ts";
import { type Rlimit, rlimitSteps, stackLimitSync } from "./rlimits.ts";
import { affinitySteps, type CpuAffinity, type Scheduling, schedulingSteps, startsElsewhere } from "./scheduling.ts";
import { compileSeccomp } from "./seccomp.ts";

/** `process` of an exec: of `--process FILE`, or made by execProcess. */
export interface ExecProcess extends ProcessSpec, Scheduling {
  readonly execCPUAffinity?: CpuAffinity | undefined;
  readonly consoleSize?: ConsoleSize | undefined;
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
  /** The container's class, if it has one. */
  readonly resctrl?: Resctrl | undefined;
  /**
   * How the process gets into them. `born` is the fast way, without the kernel's grace period. `moved` is for a container
   * at its limit of processes, which stops only births, and for a frozen one, in which the clone itself would stop.
   */
  readonly entry: "born" | "moved";
  readonly options: CreateOptions;
}

/**
 * The cgroups of an exec'd process. `asked` is --cgroup, as runc takes it: one `PATH`, or any number of
 * `CONTROLLER[,CONTROLLER]:PATH` (v1). Paths are below the container's own cgroup and must be there; elsewhere the process
 * comes into the container's. `fallback`: where its init is now, by v2's account; "" when that is the container's.
 */
export function execCgroups(places: readonly Place[], asked: readonly string[], fallback: string): ExecCgroup[] {
  const sub = subCgroups(places, asked);
  return places.map((place) => {
    const { hierarchy, path, version } = place;
    const below = sub(place);
    return below === undefined
      ? { hierarchy, path, version, fallback: version === 2 ? fallback : "" }
      : { hierarchy, path: `${path === "/" ? "" : path}/${below}`, version, fallback: "" };
  });
}

/** Which cgroup below the container's a place is asked for; undefined for its own. */
function subCgroups(places: readonly Place[], asked: readonly string[]): (place: Place) => string | undefined {
  const [only, ...more] = asked;
  if (only === undefined) return () => undefined;
  if (!only.includes(":")) {
    if (more.length > 0) throw badCgroup(only, "only one is possible without CONTROLLER: before it");
    const below = subPath(only, only);
    return () => below;
  }
  const byController = new Map<string, string | undefined>();
  for (const each of asked) {
    const [controllers = "", path, ...rest] = each.split(":");
    if (path === undefined || rest.length > 0) throw badCgroup(each, "it is not CONTROLLER[,CONTROLLER]:PATH");
    for (const controller of controllers.split(",")) {
      if (byController.has(controller)) throw badCgroup(each, `${controller} is there twice`);
      if (!places.some((place) => place.version === 1 && place.controllers.includes(controller))) {
        throw badCgroup(each, `the container has no v1 cgroup of the controller ${JSON.stringify(controller)}`);
      }
      byController.set(controller, subPath(path, each));
    }
  }
  return (place) => {
    const paths = place.controllers.flatMap((controller) => byController.get(controller) ?? []);
    if (new Set(paths).size > 1) {
      throw badCgroup(
        asked.join(" "),
        `${place.controllers.join(" and ")} are one hierarchy, with one cgroup a process`,
      );
    }
    return paths[0];
  };
}

function subPath(path: string, option: string): string | undefined {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) throw badCgroup(option, 'a path below the container\'s cgroup has no ".."');
  if (path === "") throw badCgroup(option, "the path is missing");
  return names.length === 0 ? undefined : names.join("/");
}

function badCgroup(option: string, why: string): TsrunError {
  return new TsrunError("usage", `--cgroup ${JSON.stringify(option)}: ${why}`, {
    advice: "PATH, or CONTROLLER[,CONTROLLER]:PATH for v1 controllers; below the container's own cgroup",
  });
}

/** What `exec` without `--process` may say about the process. */
export interface ExecOverrides {
  readonly args: readonly string[];
  /** Added to the container's environment. */
  readonly env: readonly string[];
  readonly cwd: string | undefined;
  /** Without gid it stays the container's. */
  readonly user: { readonly uid: number; readonly gid: number | undefined } | undefined;
  readonly additionalGids: readonly number[];
  /** --cap: into the bounding, effective and permitted sets, never the inheritable one (CVE-2022-29162). */
  readonly capabilities: readonly string[];
  /** --no-new-privs; undefined: as the container's. */
  readonly noNewPrivileges: boolean | undefined;
  readonly terminal: boolean;
  /** --apparmor, --process-label; undefined: the container's. */
  readonly apparmorProfile: string | undefined;
  readonly selinuxLabel: string | undefined;
}

/**
 * What the process does not say of itself is as it is for the container's own, as in runc: a confinement is not left by
 * not being mentioned.
 */
function withInherited(process: ExecProcess, own: ExecProcess | undefined): ExecProcess {
  const inherited = {
    apparmorProfile: process.apparmorProfile || own?.apparmorProfile,
    selinuxLabel: process.selinuxLabel || own?.selinuxLabel,
    scheduler: process.scheduler ?? own?.scheduler,
    ioPriority: process.ioPriority ?? own?.ioPriority,
  };
  return { ...process, ...inherited };
}

/**
 * The process of an `exec` from the container's own and the command line. Inheritable and ambient capabilities are those
 * that config.json asks for: --cap adds to neither, except that one which is inheritable may be ambient, too (as runc).
 */
export function execProcess(own: ExecProcess | undefined, overrides: ExecOverrides): ExecProcess {
  const extra = overrides.capabilities;
  const { bounding = [], effective = [], permitted = [], inheritable = [], ambient = [] } = own?.capabilities ?? {};
  const capabilities: CapabilityNames = {
    bounding: [...bounding, ...extra],
    effective: [...effective, ...extra],
    permitted: [...permitted, ...extra],
    inheritable,
    ambient: [...ambient, ...extra.filter((name) => inheritable.includes(name))],
  };
  const { user = {} } = own ?? {};
  const { consoleSize: _, ...rest } = own ?? {};
  return {
    ...rest,
    args: overrides.args,
    env: [...(own?.env ?? []), ...overrides.env],
    cwd: overrides.cwd ?? own?.cwd ?? "/",
    user: {
      ...user,
      ...(overrides.user !== undefined && { uid: overrides.user.uid }),
      ...(overrides.user?.gid !== undefined && { gid: overrides.user.gid }),
      additionalGids: [...(user.additionalGids ?? []), ...overrides.additionalGids],
    },
    terminal: overrides.terminal,
    capabilities,
    noNewPrivileges: overrides.noNewPrivileges ?? own?.noNewPrivileges ?? false,
    ...(overrides.apparmorProfile !== undefined && { apparmorProfile: overrides.apparmorProfile }),
    ...(overrides.selinuxLabel !== undefined && { selinuxLabel: overrides.selinuxLabel }),
  };
}

/**
 * The process of --process FILE: what it leaves out of what limits it is the container's own (as runc); withInherited
 * does the same for both kinds.
 */
export function completeProcess(own: ExecProcess | undefined, given: ExecProcess): ExecProcess {
  const capabilities = given.capabilities ?? own?.capabilities;
  const oomScoreAdj = given.oomScoreAdj ?? own?.oomScoreAdj;
  return {
    ...given,
    user: { ...given.user, umask: given.user?.umask ?? own?.user?.umask },
    ...(capabilities !== undefined && { capabilities }),
    ...(oomScoreAdj !== undefined && { oomScoreAdj }),
  };
}

/**
 * A /dev/null of the caller's on a standard stream is the host's file, and the container's root could change its mode; in
 * its place comes the container's, as in create. Root of a user namespace can change neither, and has the host's in its /dev.
 */
function ownNull(process: ExecProcess, config: CompileInput["config"], userNamespace: boolean): ContainerStep[] {
  if (process.terminal === true || userNamespace || !setsUpDev(config)) return [];
  return [{ kind: "device.reopenNull" }];
}

const INIT_SLOT = "init";
const CGROUP_SLOT = "cgroup";

export function compileExec(input: ExecInput): { readonly plan: Plan; readonly warnings: readonly string[] } {
  const { container, options } = input;
  const process = withInherited(input.process, container.config.process);
  const { id, config, facts } = container;
  const shape = processShape(config);
  if (!hasNamespace(shape, "mount")) {
    throw new TsrunError("unsupported", `exec ${id}: the container has no mount namespace whose root could be entered`);
  }
  const warnings: string[] = [];
  const userNamespace = hasNamespace(shape, "user");
  const seccomp = compileSeccomp({ ...container, options, running: input.init });
  const affinity = affinitySteps(process.execCPUAffinity);
  const fork = hasNamespace(shape, "pid");
  const stackLimit = stackLimitSync(process.rlimits);

  const born = input.entry === "born" && !startsElsewhere(process.execCPUAffinity) ? input.cgroups : [];
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
    ...affinity.initial,
    {
      kind: "process.spawn",
      cloneFlags: 0,
      cgroup: opened === undefined ? null : CGROUP_SLOT,
      keepFds: options.preserveFds,
    },
    ...stackLimit.host,
    ...(fork ? [{ kind: "process.adopt" } as const] : []),
    ...joined.map(({ hierarchy, path, fallback }) => ({ kind: "cgroup.join", hierarchy, path, fallback }) as const),
    ...affinity.final,
    // The administrator may have removed it meanwhile.
    ...(input.resctrl === undefined ? [] : joinSteps(input.resctrl, true)),
    ...oomSteps(process.oomScoreAdj),
    ...rlimitSteps(process.rlimits, facts.launch.nofile),
    ...schedulingSteps(process),
    { kind: "sync.signal", point: point("host-ready") },
    ...(options.pidfdSocket === undefined ? [] : [{ kind: "pidfd.send", path: options.pidfdSocket } as const]),
    ...seccomp.listener,
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
    ...keyringSteps(id, userNamespace, options.noNewKeyring, process, facts),
    { kind: "process.setsid" },
    ...openConsole(process, options.console, false),
    ...ownNull(process, config, userNamespace),
    ...finishSteps(
      {
        process,
        linux: config.linux,
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
