/** resctrl: where it is mounted, and which directories of it there are. Reading only. */
import { existsSync } from "node:fs";
import type { AbsPath } from "../core/brands.ts";

/** RDTGROUP_SUPER_MAGIC (linux/magic.h). */
const RESCTRL_MAGIC = 0x0765_5821;
const USUAL = "/sys/fs/resctrl";

export interface ResctrlProbe {
  /** File system type of a path (statfs), or undefined when there is nothing. */
  magic(path: string): number | undefined;
  read(path: string): string;
}

/** The mount point, or undefined. /proc/self/mountinfo, long on busy hosts, is read only when it is at no usual place. */
export function resctrlMountPoint(probe: ResctrlProbe): AbsPath | undefined {
  if (probe.magic(USUAL) === RESCTRL_MAGIC) return USUAL as AbsPath;
  for (const line of probe.read("/proc/self/mountinfo").split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    if (!after.startsWith("resctrl ")) continue;
    // proc(5): spaces and the like are octal escapes. Another mount may cover it.
    const point = (before.split(" ")[4] ?? "").replace(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    if (probe.magic(point) === RESCTRL_MAGIC) return point as AbsPath;
  }
  return undefined;
}

interface Groups {
  readonly root: string;
  readonly groups: readonly { readonly path: string; readonly created: boolean; readonly kept: boolean }[];
}

/** With what create will make: the directories that are missing. To be asked before the plan is carried out. */
export function withMissing<T extends Groups>(resctrl: T | undefined): T | undefined {
  if (resctrl === undefined) return undefined;
  const groups = resctrl.groups.map((group) => ({
    ...group,
    created: group.created && !existsSync(resctrl.root + group.path),
  }));
  return { ...resctrl, groups };
}
