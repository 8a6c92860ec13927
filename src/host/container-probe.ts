/** What explain asks of the host about one container: its process, and what the configuration names outside of it. */
import { realpathSync, statSync } from "node:fs";
import { posix } from "node:path";
import { errorCode } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import type { Observed } from "../core/observed.ts";
import { cgroupOf, readCgroupFile } from "./cgroup.ts";
import type { CgroupFacts, CgroupPlace } from "./facts.ts";
import type { MountTable } from "./mountinfo.ts";
import { ownIdentity } from "./process.ts";
import { openProcessView, ownMounts, type ProcessView } from "./process-view.ts";

/** Where a path of the host is, as a mount table would have it that it is mounted in. */
export interface SourcePlace {
  /** `major:minor` of the file system. */
  readonly device: string;
  /** Inside the file system. */
  readonly root: string;
}

export interface HostProbe extends ProcessView {
  /** A file of tsrun's own process, such as "status". */
  own(file: string): Observed<string>;
  /** A namespace of tsrun's. */
  ownNamespace(name: string): Observed<string>;
  /** The namespace that a path of the host names; `name` as in /proc/<pid>/ns. */
  namespaceAt(path: string, name: string): Observed<string>;
  /** Where a path of the host leads to; undefined when it is gone. */
  source(path: string): Observed<SourcePlace | undefined>;
  /** What is mounted at a path of the host, which is not looked at itself: it may be in what a container can change. */
  mountAt(path: string): Observed<SourcePlace | undefined>;
  /** A file of a cgroup; undefined when it is not there. */
  cgroupFile(place: Pick<CgroupPlace, "hierarchy" | "path">, file: string): Observed<string | undefined>;
  /** Init's cgroup in the hierarchy of a place, relative to its mount point. */
  cgroupOf(place: CgroupPlace): Observed<string>;
}

/** Undefined when the process is gone. */
export function openHostProbe(
  init: { readonly pid: number; readonly startTime: bigint },
  cgroup: CgroupFacts,
): HostProbe | undefined {
  const view = openProcessView(init);
  if (view === undefined) return undefined;
  const self = openProcessView(ownIdentity());
  if (self === undefined) throw new TsrunError("internal", "cannot look at our own process");
  let mounts: Observed<MountTable> | undefined;
  const table = (): Observed<MountTable> => {
    mounts ??= ownMounts();
    return mounts;
  };
  return {
    ...view,
    own: self.text,
    ownNamespace: self.namespace,
    // A namespace's inode number is its name (namespaces(7)).
    namespaceAt: (path, name) => observe(path, () => `${name}:[${statSync(path).ino}]`),
    mountAt(path) {
      const own = table();
      return "unreadable" in own ? own : { value: own.value.at(path) };
    },
    source(path) {
      const own = table();
      if ("unreadable" in own) return own;
      try {
        return { value: placeOf(realpathSync(path), own.value) };
      } catch (error) {
        if (errorCode(error) === "ENOENT") return { value: undefined };
        return { unreadable: `cannot look at ${path}: ${errorCode(error) ?? String(error)}` };
      }
    },
    cgroupFile: (place, file) => observe(file, () => readCgroupFile(place, file)),
    cgroupOf(place) {
      const hierarchy = cgroup.hierarchies.find(({ mountPoint }) => mountPoint === place.hierarchy);
      const path = hierarchy === undefined ? undefined : cgroupOf(init.pid, hierarchy);
      return path === undefined ? { unreadable: "it is outside of what is mounted here" } : { value: path };
    },
    close() {
      view.close();
      self.close();
    },
  };
}

function placeOf(path: string, table: MountTable): SourcePlace | undefined {
  const mount = table.covering(path);
  if (mount === undefined) return undefined;
  return {
    device: mount.device,
    root: posix.join(mount.root, path.slice(mount.point === "/" ? 0 : mount.point.length)),
  };
}

function observe<T>(what: string, get: () => T): Observed<T> {
  try {
    return { value: get() };
  } catch (error) {
    const cause = error instanceof TsrunError ? error.cause : error;
    return { unreadable: `cannot look at ${what}: ${errorCode(cause) ?? String(cause)}` };
  }
}
