/**
 * The mounts of config.json, in its order (config.md, Mounts).
 *
 * After: the root is opened (targets lie in it), the process stands in its final cgroups and in its cgroup namespace (cgroup
 * file systems show that namespace's root). Before: devices (they go into the /dev that is mounted here), pivot_root (sources
 * are host paths).
 *
 * Attack rows 3, 4 and 12: targets are resolved inside the root; what /proc and /sys are is checked on both sides; a
 * container without a cgroup namespace sees its own cgroups only.
 */
import { posix } from "node:path";
import { type RootRelPath, rootRelPath } from "../core/brands.ts";
import { deriveOnce } from "../core/derive-once.ts";
import { assertNever, TsrunError } from "../core/errors.ts";
import type { Hierarchy } from "../host/facts.ts";
import { type ContainerStep, type HostStep, limits, linkRules, type StepOf } from "../plan/vocabulary.ts";
import { type IdmapRequest, type IdmapUse, idmapOf, idmapSteps } from "./idmap.ts";
import type { CompileInput } from "./input.ts";
import type { Place } from "./kill.ts";
import { labelledOptions, type MountLabel, mountLabel } from "./lsm.ts";
import { type Attributes, MOUNT_ATTR, type MountOptions, parseMountOptions } from "./mount-options.ts";
import { hasNamespace, isCreated, processShape } from "./namespaces.ts";
import { isTooLong, overlayOptions, overlayStep } from "./overlay.ts";

type Config = CompileInput["config"];
type Input = Pick<CompileInput, "bundle" | "config" | "facts">;

/** File system types as statfs(2) has them (linux/magic.h): what must be there after the mount. */
const magicNumbers: Readonly<Record<string, number>> = {
  proc: 0x9fa0,
  sysfs: 0x6265_6572,
  tmpfs: 0x0102_1994,
  devpts: 0x1cd1,
  mqueue: 0x1980_0202,
  cgroup: 0x0027_e0eb,
  cgroup2: 0x6367_7270,
  overlay: 0x794c_7630,
};

/** Types whose super block is shared with others or filled by us: "ro" is said of the mount alone. */
const mountOnlyReadonly = new Set(["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"]);

/** Files of /proc that may be mounted over, as in runc: lxcfs shows a container's own numbers in them. */
const procFiles: ReadonlySet<string> = new Set(
  [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "net/dev",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
  ].map((name) => `proc/${name}`),
);

/** nosuid, nodev, noexec: of the tmpfs and the file systems that stand for a `cgroup` mount. */
const CGROUP_ATTRIBUTES = MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC;

/** One mount of config.json, normalised. */
interface Entry {
  readonly pointer: string;
  readonly target: RootRelPath;
  readonly type: string;
  readonly source: string;
  readonly options: MountOptions;
  readonly ids: IdmapRequest;
}

type Kind = "bind" | "remount" | "propagation" | "cgroup" | "filesystem";

function kindOf({ type, options, pointer }: Entry): Kind {
  // A bind is said by its option (any type beside it means nothing) or by the type alone.
  if (options.bind !== "no" || type === "bind") return "bind";
  if (options.remount) return "remount";
  if (type === "" || type === "none") {
    if (options.propagation.length > 0) return "propagation";
    throw new TsrunError("config", `${pointer}: neither a type nor the option bind says what is to be mounted`);
  }
  return type === "cgroup" || type === "cgroup2" ? "cgroup" : "filesystem";
}

const entries = deriveOnce((config: Config): readonly Entry[] =>
  (config.mounts ?? []).map((mount, i) => {
    const pointer = `/mounts/${i}`;
    const options = parseMountOptions(mount.options ?? []);
    const { uidMappings = [], gidMappings = [] } = mount;
    return {
      pointer,
      target: rootRelPath(mount.destination),
      type: mount.type ?? "",
      source: mount.source ?? "",
      options,
      ids: { pointer, option: options.idmap, uidMappings, gidMappings },
    };
  }),
);

const isReadonly = ({ attributes }: MountOptions): boolean => (attributes.set & MOUNT_ATTR.RDONLY) !== 0;

/** runc's rule: a /dev from the host has its devices, links and terminals already. */
export function setsUpDev(config: Config): boolean {
  return !entries(config).some((entry) => entry.target === "dev" && kindOf(entry) === "bind");
}

/** tmpfs mounts and /dev are filled by later mounts and by us, so they become read-only in the end (rootFinishSteps). */
const isLate = (entry: Entry): boolean =>
  isReadonly(entry.options) &&
  (kindOf(entry) === "filesystem" || kindOf(entry) === "bind") &&
  (entry.target === "dev" || (entry.type === "tmpfs" && kindOf(entry) === "filesystem"));

export function lateReadonly(config: Config): RootRelPath[] {
  return entries(config)
    .filter(isLate)
    .map(({ target }) => target);
}

/** Slots of the source trees that the host opens (mountHostSteps); others of the plan need room too. */
const MAX_TREES = limits.slots - 64;
const treeSlot = (entry: Entry): string => `mount-${entry.pointer.slice("/mounts/".length)}`;

/**
 * Whether the host opens the source of a bind: it has to map its ids, or root of a user namespace of the container's own may
 * be nobody on the way to it. The latter not from a mount namespace that is joined by path, whose paths are meant then; and
 * only root of the host can.
 */
function opensTree(entry: Entry, input: Input): boolean {
  const { config, facts } = input;
  const shape = processShape(config);
  return (
    (facts.uid === 0 && hasNamespace(shape, "user") && isCreated(shape, "mount")) ||
    idmapOf(entry.ids, input) !== undefined
  );
}

/** Whether a source that is a symbolic link is meant itself. */
const opensLink = ({ options }: Entry): boolean => (options.links & (linkRules.sourceNoFollow | linkRules.copy)) !== 0;

/** Whether the host makes the overlay: to map the ids of its layers, or for a list that is too long for the container's call. */
function makesOverlay(entry: Entry, input: Input): boolean {
  const { facts } = input;
  if (entry.type !== "overlay" || kindOf(entry) !== "filesystem") return false;
  return isMapped(entry) || (facts.uid === 0 && isTooLong(overlayTexts(entry, input), facts.kernel));
}

const isMapped = ({ ids }: Entry): boolean =>
  ids.option !== undefined || ids.uidMappings.length > 0 || ids.gidMappings.length > 0;

/** Host, before process.spawn, which passes the slots on. */
export function mountHostSteps(input: Input): HostStep[] {
  const all = entries(input.config);
  const binds = all.filter((entry) => kindOf(entry) === "bind" && opensTree(entry, input));
  const overlays = all.filter((entry) => makesOverlay(entry, input));
  if (binds.length + overlays.length > MAX_TREES) {
    throw new TsrunError(
      "unsupported",
      `/mounts: more than ${MAX_TREES} bind mounts with a user namespace or mapped ids`,
    );
  }
  const overlay = (entry: Entry, userns: string | null): StepOf<"mount.overlay"> =>
    overlayStep(
      overlayTexts(entry, input),
      { userns, slot: treeSlot(entry) },
      { kernel: input.facts.kernel, pointer: entry.pointer },
    );
  const mapped = [...binds, ...overlays.filter(isMapped)].flatMap((entry): IdmapUse[] => {
    const idmap = idmapOf(entry.ids, input);
    if (idmap === undefined) return [];
    const tree = treeSlot(entry);
    return [
      {
        idmap,
        step: (userns) =>
          kindOf(entry) === "bind"
            ? { kind: "mount.idmap", tree, userns, recursive: idmap.recursive }
            : overlay(entry, userns),
      },
    ];
  });
  return [
    ...binds.map(
      (entry) =>
        ({
          kind: "mount.openTree",
          source: bindSource(entry, input),
          recursive: entry.options.bind === "rbind",
          slot: treeSlot(entry),
          noFollow: opensLink(entry),
        }) as const,
    ),
    ...idmapSteps(mapped),
    ...overlays.filter((entry) => !isMapped(entry)).map((entry) => overlay(entry, null)),
  ];
}

/** Relative sources are relative to the bundle. */
const bindSource = ({ source }: Entry, { bundle }: Input): string => posix.resolve(bundle, source);

/** `places`: the container's cgroups, for `cgroup` mounts without a cgroup namespace. */
export function mountSteps(input: Input, places: readonly Place[]): ContainerStep[] {
  const label = mountLabel(input);
  return entries(input.config).flatMap((entry) => {
    checkKernel(entry, input);
    const kind = kindOf(entry);
    checkBindOptions(entry, kind);
    const noSymlinks = checkProc(entry, kind);
    switch (kind) {
      case "bind":
        return bindSteps(entry, input, noSymlinks);
      case "filesystem":
        return makesOverlay(entry, input) ? attachOverlay(entry) : filesystemSteps(entry, input, noSymlinks, label);
      case "cgroup":
        return cgroupSteps(entry, input, places, label);
      case "remount":
      case "propagation":
        return changeSteps(entry);
      default:
        return assertNever(kind, "kind of mount");
    }
  });
}

/** What would otherwise be an EINVAL or ENOSYS in the middle. */
function checkKernel({ pointer, options }: Entry, { facts }: Input): void {
  const { major, minor } = facts.kernel;
  const before = (wanted: number): boolean => major < 5 || (major === 5 && minor < wanted);
  const { attributes, recursive } = options;
  if ((recursive.set | recursive.clear) !== 0 && before(12)) {
    throw new TsrunError("unsupported", `${pointer}/options: recursive attributes such as rro need Linux 5.12`);
  }
  const all = attributes.set | attributes.clear | recursive.set | recursive.clear;
  if ((all & MOUNT_ATTR.NOSYMFOLLOW) !== 0 && before(14)) {
    throw new TsrunError("unsupported", `${pointer}/options: nosymfollow and symfollow need Linux 5.14`);
  }
}

/** What only a bind can have. */
function checkBindOptions(entry: Entry, kind: Kind): void {
  const { pointer, options, type } = entry;
  const { links } = options;
  if (kind === "bind") {
    if ((links & linkRules.copy) !== 0 && links !== linkRules.copy) {
      throw new TsrunError(
        "config",
        `${pointer}/options: copy-symlink goes with neither src-nofollow nor dest-nofollow`,
      );
    }
    return;
  }
  if (links !== 0) {
    throw new TsrunError("config", `${pointer}/options: src-nofollow, dest-nofollow and copy-symlink are for a bind`);
  }
  // A file system that the container mounts belongs to the container's user namespace, which cannot map it; runc's rule.
  // Of an overlay it is the layers that are mapped.
  if (isMapped(entry) && type !== "overlay") {
    throw new TsrunError("unsupported", `${pointer}: only a bind mount or the layers of an overlay can be id-mapped`);
  }
}

/**
 * Only a procfs goes to /proc, and inside it only to the files of the list (CVE-2019-16884, CVE-2019-19921: a program
 * that trusts /proc could be told lies). Returns whether a symbolic link on the way to the target is refused: the image
 * must not turn /proc or /sys into another place.
 */
function checkProc({ pointer, target, type }: Entry, kind: Kind): boolean {
  const changes = kind === "remount" || kind === "propagation";
  if (target === "proc" && !changes) {
    if (kind !== "bind" && type !== "proc") {
      throw new TsrunError("config", `${pointer}: only a procfs may be mounted on /proc, not ${type}`);
    }
    return true;
  }
  if (target.startsWith("proc/") && !changes) {
    if (!procFiles.has(target)) {
      throw new TsrunError("config", `${pointer}: /${target} is inside /proc and may not be mounted over`, {
        advice: `of /proc only these can be: ${[...procFiles].map((file) => file.slice("proc/".length)).join(", ")}`,
      });
    }
    return true;
  }
  return target === "sys" || (kind === "filesystem" && (type === "proc" || type === "sysfs"));
}

/** A change of attributes or propagation; nothing if there is none. */
function attributesStep(
  target: RootRelPath,
  { set, clear }: Attributes,
  recursive: boolean,
  propagation = 0,
): StepOf<"mount.attributes">[] {
  if ((set | clear | propagation) === 0) return [];
  return [{ kind: "mount.attributes", target, set, clear, recursive, propagation }];
}

const NONE: Attributes = { set: 0, clear: 0 };

/** What does not fit into the mount's own step: recursive attributes beside others, all propagations but the first. */
function furtherSteps({ target, options }: Entry, recursive: Attributes): ContainerStep[] {
  return [
    ...attributesStep(target, recursive, true),
    ...options.propagation.slice(1).flatMap((flags) => attributesStep(target, NONE, false, flags)),
  ];
}

/** Attributes of a tree that is bound: what the source has stays unless it is named (locked flags included). */
function bindSteps(entry: Entry, input: Input, noSymlinks: boolean): ContainerStep[] {
  const { target, options } = entry;
  const late = isLate(entry) ? MOUNT_ATTR.RDONLY : 0;
  const own = { set: options.attributes.set & ~late, clear: options.attributes.clear };
  const hasOwn = (own.set | own.clear) !== 0;
  const attributes = hasOwn ? own : options.recursive;
  const slot = opensTree(entry, input) ? treeSlot(entry) : null;
  return [
    {
      kind: "mount.bind",
      source: bindSource(entry, input),
      slot,
      target,
      recursive: options.bind === "rbind",
      attrSet: attributes.set,
      attrClear: attributes.clear,
      attrRecursive: !hasOwn && (attributes.set | attributes.clear) !== 0,
      propagation: options.propagation[0] ?? 0,
      noSymlinks,
      magic: target === "proc" ? (magicNumbers.proc as number) : 0,
      links: options.links,
    },
    ...furtherSteps(entry, hasOwn ? options.recursive : NONE),
  ];
}

function filesystemSteps(
  entry: Entry,
  { facts }: Input,
  noSymlinks: boolean,
  label: MountLabel | undefined,
): ContainerStep[] {
  const { type, source, target, options } = entry;
  if (options.copyUp && type !== "tmpfs") {
    throw new TsrunError("config", `${entry.pointer}/options: tmpcopyup is for a tmpfs`);
  }
  const late = isLate(entry) ? MOUNT_ATTR.RDONLY : 0;
  const readonly = isReadonly(options) && !mountOnlyReadonly.has(type) && late === 0;
  const texts = [...(readonly ? ["ro"] : []), ...options.superblock, ...labelledOptions(type, options.data, label)];
  return [
    {
      kind: "mount.filesystem",
      fsType: type,
      source,
      target,
      options: type === "overlay" ? overlayOptions(texts, facts.kernel, entry.pointer) : texts,
      attr: options.attributes.set & ~late,
      propagation: options.propagation[0] ?? 0,
      noSymlinks,
      magic: magicNumbers[type] ?? 0,
      copyUp: options.copyUp,
      // runc: a tmpfs looks like the directory that it covers, unless its mode is given.
      keepMode: type === "tmpfs" && !options.data.some((option) => option.startsWith("mode=")),
      mountFlags: options.mountFlags,
    },
    ...(type === "mqueue" ? rootLabel(entry, label) : []),
    ...furtherSteps(entry, options.recursive),
  ];
}

/** The options of an overlay that the host makes; read-only is said of the mount. */
function overlayTexts({ options }: Entry, input: Input): string[] {
  return [...options.superblock, ...labelledOptions("overlay", options.data, mountLabel(input))];
}

/** An overlay that the host has made (mount.overlay). */
function attachOverlay(entry: Entry): ContainerStep[] {
  const { target, options, source } = entry;
  return [
    {
      kind: "mount.bind",
      source,
      slot: treeSlot(entry),
      target,
      recursive: false,
      attrSet: options.attributes.set,
      attrClear: 0,
      attrRecursive: false,
      propagation: options.propagation[0] ?? 0,
      noSymlinks: false,
      magic: magicNumbers.overlay as number,
      links: 0,
    },
    ...furtherSteps(entry, options.recursive),
  ];
}

/** A message queue file system takes its label by an attribute of its root, as runc and crun give it. */
function rootLabel({ target, type }: Entry, label: MountLabel | undefined): ContainerStep[] {
  if (label === undefined) return [];
  const magic = magicNumbers[type] as number;
  return [{ kind: "fs.label", path: target, magic, lsm: "selinux", label: label.label }];
}

/** remount and propagation alone change what is mounted there already. */
function changeSteps({ pointer, target, options }: Entry): ContainerStep[] {
  const data = [...options.superblock, ...options.data];
  if (data.length > 0) {
    throw new TsrunError("unsupported", `${pointer}/options: remount cannot change ${data.join(",")}`, {
      advice: "give the options of the file system to the mount itself",
    });
  }
  return [
    ...attributesStep(target, options.attributes, false),
    ...attributesStep(target, options.recursive, true),
    ...options.propagation.flatMap((flags) => attributesStep(target, NONE, false, flags)),
  ];
}

/** A mount of type `cgroup` means whatever the host has; `cgroup2` is the unified hierarchy. */
function cgroupSteps(
  entry: Entry,
  input: Input,
  places: readonly Place[],
  label: MountLabel | undefined,
): ContainerStep[] {
  const { mode, hierarchies } = input.facts.cgroup;
  const hasCgroupNamespace = hasNamespace(processShape(input.config), "cgroup");
  if (mode === "v2" || entry.type === "cgroup2") {
    if (hasCgroupNamespace) return filesystemSteps({ ...entry, type: "cgroup2" }, input, false, label);
    const place = places.find(({ version }) => version === 2);
    return place === undefined ? [emptyTmpfs(entry, true, label)] : [ownCgroup(entry, entry.target, place)];
  }
  const v1 = hierarchies.filter(({ version }) => version === 1);
  const shown: ContainerStep[] = [];
  for (const hierarchy of v1) {
    const target = rootRelPath(`${entry.target}/${posix.basename(hierarchy.mountPoint)}`);
    const place = places.find(({ hierarchy: mountPoint }) => mountPoint === hierarchy.mountPoint);
    if (hasCgroupNamespace) shown.push(controllersMount(entry, target, hierarchy));
    else if (place !== undefined) shown.push(ownCgroup(entry, target, place));
    else continue;
    shown.push(...controllerLinks(entry.target, hierarchy));
  }
  if (shown.length === 0) return [emptyTmpfs(entry, true, label)];
  return [
    emptyTmpfs(entry, false, label),
    ...shown,
    ...furtherSteps(entry, entry.options.recursive),
    // Only now: mount points and links had to be made in it.
    ...attributesStep(entry.target, { set: entry.options.attributes.set & MOUNT_ATTR.RDONLY, clear: 0 }, false),
  ];
}

function emptyTmpfs(
  { target, options }: Entry,
  readonly: boolean,
  label: MountLabel | undefined,
): StepOf<"mount.filesystem"> {
  return {
    kind: "mount.filesystem",
    fsType: "tmpfs",
    source: "tmpfs",
    target,
    options: labelledOptions("tmpfs", ["mode=755"], label),
    attr: CGROUP_ATTRIBUTES | (readonly ? MOUNT_ATTR.RDONLY : 0),
    propagation: options.propagation[0] ?? 0,
    noSymlinks: false,
    magic: magicNumbers.tmpfs as number,
    copyUp: false,
    keepMode: false,
    mountFlags: 0,
  };
}

/** One v1 hierarchy as the cgroup namespace shows it. */
function controllersMount(
  { options }: Entry,
  target: RootRelPath,
  { controllers }: Hierarchy,
): StepOf<"mount.filesystem"> {
  return {
    kind: "mount.filesystem",
    fsType: "cgroup",
    source: "cgroup",
    target,
    options: controllers,
    attr: CGROUP_ATTRIBUTES | options.attributes.set,
    propagation: options.propagation[0] ?? 0,
    noSymlinks: false,
    magic: magicNumbers.cgroup as number,
    copyUp: false,
    keepMode: false,
    mountFlags: 0,
  };
}

/**
 * The container's own cgroup, for want of a cgroup namespace. Where that is the root of the hierarchy it is everybody's, so
 * never to be written (CVE-2023-25809).
 */
function ownCgroup({ options }: Entry, target: RootRelPath, { hierarchy, path }: Place): StepOf<"mount.bind"> {
  const everybodys = path === "" || path === "/";
  return {
    kind: "mount.bind",
    source: everybodys ? hierarchy : `${hierarchy}${path}`,
    slot: null,
    target,
    recursive: false,
    attrSet: CGROUP_ATTRIBUTES | options.attributes.set | (everybodys ? MOUNT_ATTR.RDONLY : 0),
    attrClear: options.attributes.clear & MOUNT_ATTR.ATIME,
    attrRecursive: false,
    propagation: options.propagation[0] ?? 0,
    noSymlinks: false,
    magic: 0,
    links: 0,
  };
}

/** Programs look for `cpu`, where the host has both in `cpu,cpuacct`. */
function controllerLinks(directory: RootRelPath, { mountPoint }: Hierarchy): ContainerStep[] {
  const name = posix.basename(mountPoint);
  if (!name.includes(",")) return [];
  return name.split(",").map((controller) => ({
    kind: "fs.symlink",
    target: name,
    path: rootRelPath(`${directory}/${controller}`),
    replace: false,
  }));
}
