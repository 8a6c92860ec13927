/**
 * Which process makes or joins which namespace: the process shapes (docs/architecture.md has the table).
 *
 * Before: nothing; the shape is decided first. After: everything else, since all other container steps run in what is made here.
 */
import { deriveOnce } from "../core/derive-once.ts";
import { TsrunError } from "../core/errors.ts";
import { sysctlKey, sysctlNamespace } from "../core/sysctl.ts";
import { point } from "../plan/encode.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import { idMap } from "./identity.ts";
import type { CompileInput } from "./input.ts";

/** CLONE_NEW* of each namespace type of the spec (linux/sched.h). */
export const namespaceFlags = {
  time: 0x80,
  mount: 0x2_0000,
  cgroup: 0x200_0000,
  uts: 0x400_0000,
  ipc: 0x800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  network: 0x4000_0000,
} as const;
export type NamespaceType = keyof typeof namespaceFlags;

/**
 * `direct`: one clone with the namespace flags; tsrun-init is the container's init, and pid 1 of a new pid namespace.
 * `staged`: the clone has no namespace flags; tsrun-init makes and joins the namespaces itself and, if `fork`, goes on in
 * a second process with the same parent.
 */
export interface ProcessShape {
  readonly kind: "direct" | "staged";
  /** CLONE_NEW* flags of process.spawn: never cgroup, user or time. */
  readonly spawnFlags: number;
  /** All that is new, as CLONE_NEW* flags. */
  readonly created: number;
  /** Joined by path, each in a slot `ns-<type>`. */
  readonly joined: readonly { readonly type: NamespaceType; readonly path: string }[];
  /** Whether a second process is needed: a pid namespace that is new or joined, or a new time namespace. */
  readonly fork: boolean;
}

/** Whether the container has a namespace of this type other than the host's, new or joined. */
export function hasNamespace(shape: ProcessShape, type: NamespaceType): boolean {
  return isCreated(shape, type) || shape.joined.some((each) => each.type === type);
}

export function isCreated(shape: ProcessShape, type: NamespaceType): boolean {
  return (shape.created & namespaceFlags[type]) !== 0;
}

/** All namespaces that differ from the host's, as CLONE_NEW* flags: what an exec has to join. */
export function ownNamespaces(shape: ProcessShape): number {
  return shape.joined.reduce((flags, { type }) => flags | namespaceFlags[type], shape.created);
}

/** Decides the process shape. Throws `config` when a type is named twice. */
export const processShape = deriveOnce((config: CompileInput["config"]): ProcessShape => {
  let created = 0;
  const joined: { type: NamespaceType; path: string }[] = [];
  const seen = new Set<string>();
  for (const { type, path } of config.linux?.namespaces ?? []) {
    // config-linux.md, Namespaces: a type named twice is an error.
    if (seen.has(type)) throw new TsrunError("config", `/linux/namespaces: ${type} is there twice`);
    seen.add(type);
    if (path === undefined || path === "") created |= namespaceFlags[type];
    else joined.push({ type, path });
  }
  const joins = (type: NamespaceType): boolean => joined.some((each) => each.type === type);
  const creates = (type: NamespaceType): boolean => (created & namespaceFlags[type]) !== 0;
  const staged = creates("user") || joins("user") || creates("time") || joins("pid");
  return {
    kind: staged ? "staged" : "direct",
    spawnFlags: staged ? 0 : created & ~namespaceFlags.cgroup,
    created,
    joined,
    fork: staged && (creates("pid") || joins("pid") || creates("time")),
  };
});

/** The slot of a namespace that is joined by path. */
export const namespaceSlot = (type: NamespaceType): string => `ns-${type}`;

/**
 * Host, before process.spawn: opens every namespace that is joined by path, checked for its type; and for not being the host's
 * own under another name, where something is set in it for the container: names, sysctls (as runc), the root.
 */
export function openNamespaces(shape: ProcessShape, config: CompileInput["config"]): HostStep[] {
  const set = new Set<NamespaceType>(["mount"]);
  if ((config.hostname ?? "") !== "" || (config.domainname ?? "") !== "") set.add("uts");
  for (const name of Object.keys(config.linux?.sysctl ?? {})) {
    const type = sysctlNamespace(sysctlKey(name));
    if (type !== undefined) set.add(type);
  }
  return shape.joined.map(({ type, path }) => ({
    kind: "ns.open",
    path,
    type: namespaceFlags[type],
    foreign: set.has(type),
    slot: namespaceSlot(type),
  }));
}

/** Container, first of all (after process.signals): all namespaces but the cgroup's. */
export function enterNamespaces(shape: ProcessShape, input: Pick<CompileInput, "config" | "facts">): ContainerStep[] {
  const join = (type: NamespaceType): ContainerStep => ({
    kind: "ns.join",
    slot: namespaceSlot(type),
    types: namespaceFlags[type],
  });
  // user_namespaces(7): the types other than user go in any order; mount last, so that its root does not change what
  // the other steps see of /proc.
  const others = shape.joined
    .map(({ type }) => type)
    .filter((type) => type !== "user")
    .sort((a, b) => Number(a === "mount") - Number(b === "mount"))
    .map(join);
  if (shape.kind === "direct") return others;

  const steps: ContainerStep[] = [];
  // Root of the initial user namespace may join any namespace; root of a child only those that the child owns. So the
  // privileged joins first, the unprivileged ones after the user namespace gave the rights.
  const joinFirst = input.facts.uid === 0;
  if (joinFirst) steps.push(...others);
  if (isCreated(shape, "user")) {
    steps.push(
      { kind: "ns.unshare", types: namespaceFlags.user },
      { kind: "sync.signal", point: point("userns-made") },
      { kind: "sync.wait", point: point("userns-mapped") },
    );
  } else if (hasNamespace(shape, "user")) {
    steps.push(join("user"));
  }
  // An unmapped uid may make nothing that belongs to the namespace's root.
  if (hasNamespace(shape, "user")) steps.push({ kind: "identity.becomeRoot" });
  if (!joinFirst) steps.push(...others);
  if (isCreated(shape, "time")) {
    steps.push({ kind: "ns.unshare", types: namespaceFlags.time });
    const offsets = timeOffsets(input.config);
    // Only writable while nobody is inside (time_namespaces(7)): before the fork.
    if (offsets !== "") steps.push({ kind: "ns.timeOffsets", offsets });
  }
  const rest = shape.created & ~(namespaceFlags.user | namespaceFlags.time | namespaceFlags.cgroup);
  if (rest !== 0) steps.push({ kind: "ns.unshare", types: rest });
  if (shape.fork) steps.push({ kind: "process.fork" });
  return steps;
}

/** Host, right after process.spawn: the id maps, and taking over the second process. */
export function serveNamespaces(shape: ProcessShape, input: Pick<CompileInput, "config" | "facts">): HostStep[] {
  const steps: HostStep[] = [];
  if (isCreated(shape, "user")) {
    const { uidMappings = [], gidMappings = [] } = input.config.linux ?? {};
    if (uidMappings.length === 0 || gidMappings.length === 0) {
      throw new TsrunError("config", "/linux: a new user namespace needs uidMappings and gidMappings");
    }
    steps.push(
      { kind: "sync.wait", point: point("userns-made") },
      {
        kind: "userns.map",
        uidMap: idMap(uidMappings),
        gidMap: idMap(gidMappings),
        denySetgroups: input.facts.uid !== 0,
      },
      { kind: "sync.signal", point: point("userns-mapped") },
    );
  }
  if (shape.fork) steps.push({ kind: "process.adopt" });
  return steps;
}

/**
 * Container, after sync point host-ready: the cgroup namespace, new ones only.
 *
 * Its root is the cgroup in which the unsharing process stands, so it must stand in its final one. Not in the flags of
 * clone3 either: with CLONE_INTO_CGROUP the kernel takes the *parent's* cgroup as the namespace's root.
 */
export function enterCgroupNamespace(shape: ProcessShape): ContainerStep[] {
  return isCreated(shape, "cgroup") ? [{ kind: "ns.unshare", types: namespaceFlags.cgroup }] : [];
}

/** Lines of /proc/self/timens_offsets: "<clock> <seconds> <nanoseconds>" (time_namespaces(7)). */
function timeOffsets(config: CompileInput["config"]): string {
  let lines = "";
  for (const [clock, offset] of Object.entries(config.linux?.timeOffsets ?? {})) {
    if (clock !== "monotonic" && clock !== "boottime") {
      throw new TsrunError("config", `/linux/timeOffsets: unknown clock ${JSON.stringify(clock)}`);
    }
    lines += `${clock} ${offset?.secs ?? 0} ${offset?.nanosecs ?? 0}\n`;
  }
  return lines;
}
