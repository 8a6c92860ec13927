/**
 * restore: what create makes of a container outside of its processes (cgroups with limits and device rules, console, hooks)
 * is made of config.json, as create does; its processes are CRIU's to make, from an image.
 *
 *     cgroups, limits, device rules       CRIU is born in them, and with it all that it restores: what the image says of
 *                                         devices or limits counts for nothing
 *     a mount namespace for CRIU          the root is a mount of its own there, as CRIU wants it; it ends with CRIU
 *     setup-namespaces                    the container's process is there: prestart and createRuntime hooks
 *     pre-resume                          everything is restored, and still stopped: it is checked and recorded
 *     the end                             limits that count processes; it runs
 */
import { point } from "../plan/encode.ts";
import type { ContainerStep, HostStep, Plan } from "../plan/vocabulary.ts";
import { compileManagedCgroups } from "./cgroup-managers.ts";
import { connectConsole } from "./console.ts";
import type { CreateRecord } from "./create.ts";
import {
  CRIU_SLOT,
  checkShape,
  criuSteps,
  externalNamespaces,
  inheritedNamespaces,
  joinedNamespaces,
  requestSteps,
} from "./criu.ts";
import { type CriuOptions, encodeCriuRequest, type InheritedFd } from "./criu-request.ts";
import { externalMounts, mountPlaces, restoredMount } from "./external-mounts.ts";
import { hookOutputSteps, hookSteps } from "./hooks.ts";
import type { CompileInput } from "./input.ts";
import type { Place } from "./kill.ts";
import { MS } from "./mount-options.ts";
import { isCreated, namespaceFlags, openNamespaces, processShape } from "./namespaces.ts";
import { compileResctrl } from "./resctrl.ts";

export const RESTORE_LOG = "restore.log";

export interface RestoreOptions extends CriuOptions {
  /** TYPE:NAME. */
  readonly lsmProfile: string | undefined;
  readonly lsmMountContext: string | undefined;
}

export interface RestoreInput extends CompileInput {
  readonly restore: RestoreOptions;
  readonly criu: { readonly program: string; readonly configFile: string };
  /** Directory of the image as a descriptor of tsrun. */
  readonly imagesFd: number;
  /** Pipes and files of the host that the standard streams were, and which of ours take their places. */
  readonly streams: readonly InheritedFd[];
}

export interface CompiledRestore {
  /** Until everything is restored, and stopped. */
  readonly plan: Plan;
  /** In the same session, when it is recorded. */
  readonly finish: Plan;
  readonly record: CreateRecord;
  readonly warnings: readonly string[];
}

/** Throws `config`, `unsupported` or `usage` before anything is done. */
export function compileRestore(input: RestoreInput): CompiledRestore {
  const { id, bundle, config, options, restore, criu } = input;
  const { process, hooks } = config;
  const shape = processShape(config);
  checkShape(config, shape);
  const cgroups = compileManagedCgroups(input);
  const resctrl = compileResctrl(input);
  const container = { id, bundle, annotations: config.annotations };
  const console = connectConsole(process, options.console);
  const consoleSlot = console.flatMap((step) => ("slot" in step ? [step.slot] : []))[0] ?? null;
  const wait = (script: string, adopt = false): HostStep => ({
    kind: "criu.wait",
    script,
    adopt,
    console: consoleSlot,
    statusFd: 0,
  });
  const request = encodeCriuRequest({
    kind: "restore",
    imagesFd: input.imagesFd,
    options: restore,
    logFile: RESTORE_LOG,
    root: input.rootfs,
    configFile: criu.configFile,
    external: externalMounts(input, cgroups.places).map(restoredMount),
    cgroupRoots: cgroupRoots(cgroups.places),
    inherit: [...input.streams, ...inheritedNamespaces(shape)],
    joinNamespaces: joinedNamespaces(shape),
    lsmProfile: restore.lsmProfile,
    lsmMountContext: restore.lsmMountContext,
  });
  // What tags sockets must be entered before one is made; what counts processes would count CRIU's own. All of a scope of
  // systemd, which is made of CRIU's process, so that CRIU counts there.
  const early =
    cgroups.systemd === undefined ? cgroups.join.filter(({ kind }) => kind === "cgroup.join") : cgroups.join;
  const host: HostStep[] = [
    ...hookOutputSteps(["prestart", "createRuntime"], hooks, container),
    ...openNamespaces(shape, config),
    ...console,
    { kind: "criu.connect", slot: CRIU_SLOT },
    ...resctrl.before,
    ...cgroups.before,
    { kind: "process.spawn", cloneFlags: namespaceFlags.mount, cgroup: cgroups.spawnSlot, keepFds: 0 },
    ...early,
    ...resctrl.join,
    { kind: "sync.signal", point: point("host-ready") },
    ...requestSteps(request),
    wait("setup-namespaces", true),
    ...hookSteps("prestart", hooks, container, "live"),
    ...hookSteps("createRuntime", hooks, container, "live"),
    wait("pre-resume"),
  ];
  const steps: ContainerStep[] = [
    { kind: "process.signals", ignored: input.facts.launch.ignoredSignals },
    { kind: "mount.propagation", flags: MS.SLAVE | MS.REC },
    { kind: "root.bind", path: input.rootfs, isolate: true },
    ...mountPlaces(input, cgroups.places),
    // CRIU binds from it, and does not make the root read-only itself.
    ...(config.root?.readonly === true ? [{ kind: "root.readonly" } as const] : []),
    { kind: "sync.wait", point: point("host-ready") },
    ...criuSteps(criu.program, externalNamespaces(shape)),
  ];
  const title = `restore ${id}`;
  return {
    plan: { title, host, container: steps },
    finish: {
      title,
      host: [...cgroups.join.filter((step) => !early.includes(step)), ...cgroups.afterMounts, wait("")],
      container: [],
    },
    record: {
      cgroups: cgroups.places,
      systemd: cgroups.systemd,
      resctrl: resctrl.record,
      sharesPidNamespace: !isCreated(shape, "pid"),
      hooks: { poststart: (hooks?.poststart ?? []).length > 0, poststop: (hooks?.poststop ?? []).length > 0 },
      detachRoot: undefined,
      hasProcess: process !== undefined,
      noNewKeyring: options.noNewKeyring,
    },
    warnings: cgroups.warnings,
  };
}

/** Where the cgroups of the image go: by controller, the unified hierarchy's name is empty. */
function cgroupRoots(places: readonly Place[]): { readonly controller: string; readonly path: string }[] {
  return places.flatMap(({ version, controllers, path }) =>
    (version === 2 ? [""] : controllers).map((controller) => ({ controller, path })),
  );
}
