/**
 * create on one screen: both lists of the plan in the order in which they happen, with the reason where order binds.
 * Each phase's own file says more. docs/architecture.md has who makes and joins which namespace.
 */
import { rootRelPath } from "../core/brands.ts";
import { GATE_NAME } from "../core/names.ts";
import { point } from "../plan/encode.ts";
import type { ContainerStep, HostStep, Plan } from "../plan/vocabulary.ts";
import { compileManagedCgroups } from "./cgroup-managers.ts";
import { connectConsole, openConsole } from "./console.ts";
import { deviceSteps } from "./devices.ts";
import { hookOutputSteps, hookSteps } from "./hooks.ts";
import { keepsOriginalGroups } from "./identity.ts";
import type { CompileInput } from "./input.ts";
import type { Place } from "./kill.ts";
import { mountHostSteps, mountSteps } from "./mounts.ts";
import {
  enterCgroupNamespace,
  enterNamespaces,
  hasNamespace,
  isCreated,
  openNamespaces,
  processShape,
  serveNamespaces,
} from "./namespaces.ts";
import { announceNetwork, moveNetDevices } from "./net-devices.ts";
import { pathSteps } from "./paths.ts";
import { finishSteps, keyringSteps, oomSteps } from "./process.ts";
import { compileResctrl, type Resctrl } from "./resctrl.ts";
import { rlimitSteps, stackLimitSync } from "./rlimits.ts";
import { pivotSteps, rootFinishSteps, rootHostSteps, rootSteps, rootToDetach } from "./root.ts";
import { schedulingSteps } from "./scheduling.ts";
import { compileSeccomp } from "./seccomp.ts";
import { sysctlSteps } from "./sysctl.ts";
import type { SystemdUnit } from "./systemd-unit.ts";
import { loopbackSteps, utsSteps } from "./uts.ts";

const GATE_SLOT = "gate";
/** crun's way to say --pidfd-socket. */
export const PIDFD_ANNOTATION = "run.oci.pidfd_receiver";

/** What later verbs have to know of a container, beside its pid: it goes into state.json. */
export interface CreateRecord {
  readonly cgroups: readonly Place[];
  readonly systemd: SystemdUnit | undefined;
  readonly resctrl: Resctrl | undefined;
  readonly sharesPidNamespace: boolean;
  /** Whether there are hooks for which start and delete have to read config.json. */
  readonly hooks: { readonly poststart: boolean; readonly poststop: boolean };
  /** Where the container's mounts are on the host, for want of a mount namespace of its own: delete detaches them. */
  readonly detachRoot: string | undefined;
  /** Without `process` the container can be created, but not started. */
  readonly hasProcess: boolean;
  /** --no-new-keyring: exec makes no session keyring either. */
  readonly noNewKeyring: boolean;
}

export interface Compiled {
  readonly plan: Plan;
  readonly record: CreateRecord;
  /** For the log: what the spec wants ignored with a warning. */
  readonly warnings: readonly string[];
}

/** Throws `config`, `unsupported` or `usage` before anything is done. */
export function compileCreate(input: CompileInput): Compiled {
  const { id, config, facts, options } = input;
  const { process, hooks } = config;
  const warnings: string[] = [];
  const container = { id, bundle: input.bundle, annotations: config.annotations };
  const shape = processShape(config);
  const userNamespace = hasNamespace(shape, "user");
  const cgroups = compileManagedCgroups(input);
  const resctrl = compileResctrl(input);
  const seccomp = compileSeccomp(input);
  const stackLimit = stackLimitSync(process?.rlimits);
  const [prestart, createRuntime] = (["prestart", "createRuntime"] as const).map((name) =>
    hookSteps(name, hooks, container, "live"),
  ) as [HostStep[], HostStep[]];
  const pidfdSocket = options.pidfdSocket ?? config.annotations?.[PIDFD_ANNOTATION];
  const atMounts = [...cgroups.afterMounts, ...prestart, ...createRuntime];

  const host: HostStep[] = [
    // All that can fail without a trace comes first.
    ...hookOutputSteps(["prestart", "createRuntime", "createContainer", "startContainer"], hooks, container),
    ...openNamespaces(shape, config),
    ...connectConsole(process, options.console),
    ...seccomp.host,
    ...mountHostSteps(input),
    ...rootHostSteps(input),
    { kind: "gate.listen", directory: options.stateDirectory, name: GATE_NAME, slot: GATE_SLOT },
    ...resctrl.before,
    ...cgroups.before,
    {
      kind: "process.spawn",
      cloneFlags: shape.spawnFlags,
      cgroup: cgroups.spawnSlot,
      keepFds: options.preserveFds,
    },
    ...stackLimit.host,
    ...serveNamespaces(shape, input),
    // While the container waits at host-ready: hooks and sysctls find the devices there.
    ...moveNetDevices(input, shape),
    // The process is final now: a second stage would have left its limits and cgroups behind with the first.
    ...cgroups.join,
    ...resctrl.join,
    ...oomSteps(process?.oomScoreAdj),
    ...rlimitSteps(process?.rlimits, facts.launch.nofile),
    ...schedulingSteps(process),
    { kind: "sync.signal", point: point("host-ready") },
    ...(atMounts.length === 0
      ? []
      : ([
          { kind: "sync.wait", point: point("mounts-done") },
          ...atMounts,
          { kind: "sync.signal", point: point("hooks-done") },
        ] as const)),
    // Its first notified system call waits for this.
    ...seccomp.listener,
    { kind: "sync.wait", point: point("ready") },
    ...(pidfdSocket === undefined ? [] : [{ kind: "pidfd.send", path: pidfdSocket } as const]),
  ];

  const gate: ContainerStep[] = [
    { kind: "sync.signal", point: point("ready") },
    { kind: "gate.wait", slot: GATE_SLOT },
  ];
  const steps: ContainerStep[] = [
    ...stackLimit.container,
    // A clean process: Node ignores signals that the program must not inherit as ignored.
    { kind: "process.signals", ignored: facts.launch.ignoredSignals },
    ...enterNamespaces(shape, input),
    // Nothing of these needs the host; meanwhile it waits for the kernel to move us (v1).
    ...keyringSteps(id, userNamespace, options.noNewKeyring, process ?? {}, facts),
    { kind: "process.setsid" },
    ...utsSteps(input, shape),
    ...loopbackSteps(shape),
    ...rootSteps(input),
    // Nothing that can fail comes between this and the wait: the host needs the process while it moves devices.
    ...announceNetwork(input),
    { kind: "sync.wait", point: point("host-ready") },
    // Before cgroup file systems are mounted: they show the namespace's root.
    ...enterCgroupNamespace(shape),
    ...mountSteps(input, cgroups.places),
    ...deviceSteps(input),
    ...(atMounts.length === 0
      ? []
      : ([
          { kind: "sync.signal", point: point("mounts-done") },
          { kind: "sync.wait", point: point("hooks-done") },
        ] as const)),
    ...hookSteps("createContainer", hooks, container, "live"),
    ...pivotSteps(input),
    // While the root is writable.
    ...(process === undefined || rootRelPath(process.cwd) === ""
      ? []
      : [{ kind: "fs.mkdir", path: rootRelPath(process.cwd), mode: 0o755 } as const]),
    ...openConsole(process, options.console, hasNamespace(shape, "mount")),
    ...rootFinishSteps(input),
    // Before /proc/sys is made read-only.
    ...sysctlSteps(input, shape),
    ...pathSteps(input),
    ...(process === undefined
      ? [{ kind: "fds.closeOnExec", first: 3 } as const, ...gate]
      : finishSteps(
          {
            process,
            linux: config.linux,
            facts,
            userNamespace,
            setgroupsDenied: isCreated(shape, "user") && facts.uid !== 0,
            keepGroups: keepsOriginalGroups(config.annotations),
            seccomp: seccomp.container,
            preserveFds: options.preserveFds,
            beforeExec: [...gate, ...hookSteps("startContainer", hooks, container, "live")],
          },
          warnings,
        )),
  ];

  return {
    plan: { title: `create ${id}`, host, container: steps },
    record: {
      cgroups: cgroups.places,
      systemd: cgroups.systemd,
      resctrl: resctrl.record,
      sharesPidNamespace: !isCreated(shape, "pid"),
      hooks: { poststart: (hooks?.poststart ?? []).length > 0, poststop: (hooks?.poststop ?? []).length > 0 },
      detachRoot: rootToDetach(input),
      hasProcess: process !== undefined,
      noNewKeyring: options.noNewKeyring,
    },
    warnings: [...warnings, ...cgroups.warnings, ...seccomp.warnings],
  };
}
