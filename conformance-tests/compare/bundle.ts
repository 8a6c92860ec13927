/** What a bundle of the comparison is: the spec's own configuration with a small change, and what the change must show. */
import type { Config } from "../harness.ts";

export type { Config };

export type Peer = "runc" | "crun";
export type Engine = "docker" | "podman";

/** Where a bundle is while it is run. Every runtime gets the same paths, one after another, each with a fresh root. */
export interface Place {
  /** The bundle's folder: config.json and rootfs. */
  readonly bundle: string;
  readonly rootfs: string;
  /** For what the bundle binds: emptied between two runtimes; mounts made in it are undone. */
  readonly work: string;
  readonly id: string;
  /** An engine's own seccomp profile, for a container with these capabilities. */
  readonly profile: (engine: Engine, capabilities: readonly string[]) => object;
  /** The init of `sandbox`'s container, for paths of namespaces. */
  readonly sandboxPid: number;
}

/** The parts of the host that decide whether a bundle can run on it. */
export interface Host {
  readonly cgroups: "v1" | "v2";
  readonly kernel: readonly [major: number, minor: number];
  /** Of the cgroup hierarchies that the bundle will see, v1 or v2. */
  readonly controllers: ReadonlySet<string>;
  readonly appArmor: boolean;
  readonly selinux: boolean;
  /** Capabilities by number that this process has. */
  readonly capabilities: bigint;
}

export interface Bundle {
  readonly name: string;
  /** What it is for, in a few words. */
  readonly about: string;
  /** The root file system; the comparison's own, with busybox and the probe, unless given. */
  readonly image?: string;
  /** Changes the configuration of `tsrun spec`, whose program is the probe already. */
  readonly edit: (config: Config, place: Place) => void;
  /** Makes what `edit` refers to, below `work`. */
  readonly prepare?: (place: Place) => void;
  /** Another container, started first, whose namespaces this one shares. */
  readonly sandbox?: (config: Config, place: Place) => void;
  /** Undoes of `prepare` what does not lie in `work`. */
  readonly cleanUp?: (place: Place) => void;
  /** More of the probe: what device rules allow, what system calls answer, files of the container. */
  readonly probe?: readonly string[];
  /** Flags of create. */
  readonly flags?: readonly string[];
  /** Flags of exec; none: nothing is executed in the container. */
  readonly exec?: readonly string[] | "none";
  /** Facts of tsrun's container that must be so, whatever the others show: keys as in the comparison. */
  readonly shows?: Readonly<Record<string, string | RegExp>>;
  /** Files of `work` that hooks write what they are told to. */
  readonly hookLogs?: readonly string[];
  /** `state` is compared in every state, not only while it runs. */
  readonly thorough?: boolean;
  /** No console socket for its terminal. */
  readonly noConsole?: boolean;
  /** create must refuse it. */
  readonly refused?: boolean;
  /** Runtimes that do not have what the bundle asks for, and why they are not compared. */
  readonly without?: Readonly<Partial<Record<Peer, string | ((host: Host, version: string) => string | undefined)>>>;
  /** Seen with cgroup v2 alone, also on a hybrid host (where v2 has no controllers). */
  readonly unified?: boolean;
  /** tsrun does not have it yet: that it says so is no failure. */
  readonly pending?: true;
  /** Why it cannot run on this host, or undefined. */
  readonly needs?: (host: Host) => string | undefined;
}

/** Removes a namespace from the list, or puts one there. */
export function namespace(config: Config, type: string, path?: string | null): void {
  const others = config.linux.namespaces.filter((each: { type: string }) => each.type !== type);
  config.linux.namespaces = path === null ? others : [...others, { type, ...(path === undefined ? {} : { path }) }];
}

/** The mount at this destination, to be changed. */
export function mountAt(config: Config, destination: string): Config {
  const found = config.mounts.find((mount: Config) => mount.destination === destination);
  if (found === undefined) throw new Error(`no mount at ${destination}`);
  return found;
}

export const needsController =
  (...names: readonly string[]) =>
  ({ controllers }: Host): string | undefined => {
    const missing = names.filter((name) => !controllers.has(name));
    return missing.length === 0 ? undefined : `this host has no cgroup controller ${missing.join(", ")}`;
  };

/** crun raises its limit of locked memory for the device program, whatever it is. */
export const crunDevices = ({ capabilities }: Host): string | undefined =>
  (capabilities & (1n << 24n)) === 0n ? "without CAP_SYS_RESOURCE crun cannot load device programs" : undefined;

/** Whether a version such as 1.8.1 is before another. */
export function isBefore(version: string, other: string): boolean {
  const [a, b] = [version, other].map((each) => each.split(".").map((part) => Number.parseInt(part, 10)));
  for (const [i, part] of (b ?? []).entries()) if ((a?.[i] ?? 0) !== part) return (a?.[i] ?? 0) < part;
  return false;
}

/** What peers before this version have instead, or nothing of it. */
export const since =
  (wanted: string, before = "not there") =>
  (_: Host, version: string): string | undefined =>
    isBefore(version, wanted) ? `${before} before ${wanted}` : undefined;

export const needsKernel =
  (major: number, minor: number) =>
  ({ kernel }: Host): string | undefined =>
    kernel[0] > major || (kernel[0] === major && kernel[1] >= minor) ? undefined : `Linux before ${major}.${minor}`;
