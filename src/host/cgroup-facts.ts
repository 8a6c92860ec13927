/**
 * Which cgroup hierarchies there are, where they are mounted, and where tsrun stands in each. Pure: what it asks the
 * kernel goes through CgroupProbe, so that every layout can be tested.
 *
 * It is on the way of every create: /proc/self/mountinfo, long on busy hosts, is read only when a hierarchy is not at its
 * conventional place, or is mounted from somewhere else than the root that /proc/self/cgroup counts from.
 */
import type { AbsPath } from "../core/brands.ts";
import type { CgroupFacts, Hierarchy } from "./facts.ts";

export interface CgroupProbe {
  /** File system type of a path (statfs), or undefined when there is nothing. */
  magic(path: string): number | undefined;
  /** Inode number of a directory. */
  inode(path: string): number;
  /** Whether this process may make entries in a directory; false when it does not exist. */
  writable(path: string): boolean;
  /** Content of a file. */
  read(path: string): string;
}

const CGROUP_SUPER_MAGIC = 0x27e0eb;
const CGROUP2_SUPER_MAGIC = 0x63677270;
const ROOT = "/sys/fs/cgroup";
/** The root of a hierarchy has this inode number (kernfs gives its root the first), a cgroup below it never. */
const HIERARCHY_ROOT_INODE = 1;

interface Mount {
  /** What of the hierarchy is mounted, as the reader's cgroup namespace sees it. */
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** One line of /proc/<pid>/cgroup. */
export interface Membership {
  /** v1: controllers or `name=…`; empty for v2. */
  readonly controllers: readonly string[];
  readonly path: string;
}

/** Lines of /proc/<pid>/cgroup, `id:controllers:path`; a path may contain colons. */
export function parseMemberships(text: string): Membership[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const first = line.indexOf(":");
      const second = line.indexOf(":", first + 1);
      const names = line.slice(first + 1, second);
      // cgroups(7): a cgroup that was removed while its process is a zombie.
      return {
        controllers: names === "" ? [] : names.split(","),
        path: line.slice(second + 1).replace(/ \(deleted\)$/, ""),
      };
    });
}

/** The cgroup mounts of /proc/self/mountinfo; spaces and the like are octal escapes there (proc(5)). */
export function parseCgroupMounts(text: string): Mount[] {
  const unescapeField = (field: string | undefined): string =>
    (field ?? "").replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const separator = line.indexOf(" - cgroup");
    if (separator < 0) continue;
    const [, , , root, point] = line.slice(0, separator).split(" ");
    const [type = "", , options = ""] = line.slice(separator + 3).split(" ");
    mounts.push({ root: unescapeField(root), point: unescapeField(point), type, options: options.split(",") });
  }
  return mounts;
}

/** `path` as seen from a mount of `root`, or undefined when it is not below it. */
export function below(root: string, path: string): string | undefined {
  if (root === "/" || root === path) return root === path ? "/" : path;
  return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}

export function readCgroupFacts(probe: CgroupProbe): CgroupFacts {
  const memberships = parseMemberships(probe.read("/proc/self/cgroup"));
  let parsed: Mount[] | undefined;
  const mounts = (): Mount[] => {
    parsed ??= parseCgroupMounts(probe.read("/proc/self/mountinfo"));
    return parsed;
  };

  const hierarchy = (version: 1 | 2, point: string, controllers: readonly string[], path: string): Hierarchy => {
    let own = path;
    // cgroup_namespaces(7): ".." when this process stands outside the root of its own cgroup namespace.
    if (path.split("/").includes("..")) own = "/";
    else if (path !== "/" && probe.inode(point) !== HIERARCHY_ROOT_INODE) {
      // A cgroup namespace's own mount, or a part of the hierarchy bound here (a container without such a namespace). The
      // last mount at a place is the one that is seen.
      const mount = mounts().findLast((each) => each.point === point);
      // Not below the mount at all: what is mounted is the nearest thing to our own cgroup that we can reach.
      own = mount === undefined ? "/" : (below(mount.root, path) ?? "/");
    }
    // Where containers go by default: src/compile/cgroups.ts, cgroupPath.
    const parent = version === 1 ? own : own.slice(0, Math.max(own.lastIndexOf("/"), 0));
    return { version, mountPoint: point as AbsPath, controllers, own, writable: probe.writable(point + parent) };
  };
  const unified = (point: string): Hierarchy => {
    const path = memberships.find(({ controllers }) => controllers.length === 0)?.path ?? "/";
    return hierarchy(2, point, words(probe.read(`${point}/cgroup.controllers`)), path);
  };

  if (probe.magic(ROOT) === CGROUP2_SUPER_MAGIC) return { mode: "v2", hierarchies: [unified(ROOT)] };

  const hierarchies: Hierarchy[] = [];
  for (const { controllers, path } of memberships) {
    if (controllers.length === 0) continue;
    const point = v1MountPoint(controllers, probe, mounts);
    if (point !== undefined) hierarchies.push(hierarchy(1, point, controllers, path));
  }
  const v1 = hierarchies.length > 0;
  const v2 = probe.magic(`${ROOT}/unified`) === CGROUP2_SUPER_MAGIC;
  if (v2) hierarchies.push(unified(`${ROOT}/unified`));
  return { mode: v1 ? (v2 ? "hybrid" : "v1") : v2 ? "v2" : "none", hierarchies };
}

/** Where a v1 hierarchy is mounted: /sys/fs/cgroup/cpu,cpuacct, or wherever mountinfo says. */
function v1MountPoint(
  controllers: readonly string[],
  probe: CgroupProbe,
  mounts: () => readonly Mount[],
): string | undefined {
  const named = controllers.find((name) => name.startsWith("name="));
  const conventional = `${ROOT}/${named === undefined ? controllers.join(",") : named.slice("name=".length)}`;
  if (probe.magic(conventional) === CGROUP_SUPER_MAGIC) return conventional;
  return mounts().find(
    ({ type, options, point }) =>
      type === "cgroup" &&
      controllers.every((name) => options.includes(name)) &&
      // mountinfo also lists mounts that another one covers.
      probe.magic(point) === CGROUP_SUPER_MAGIC,
  )?.point;
}

/** The words of a file such as cgroup.controllers. */
export function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
