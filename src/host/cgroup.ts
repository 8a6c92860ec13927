/** What the cgroups of a container say now. */
import { readFileSync } from "node:fs";
import { errorCode } from "../core/errno.ts";
import type { CgroupPlace } from "./facts.ts";

/** A file's text, or undefined when the cgroup or process is gone. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = errorCode(error);
    // ENODEV: the cgroup went between open and read.
    if (code === "ENOENT" || code === "ESRCH" || code === "ENODEV") return undefined;
    throw error;
  }
}

/** Where the container is frozen: by the v1 freezer where there is one, otherwise in its v2 cgroup. */
export function freezerPlace(cgroups: readonly CgroupPlace[]): CgroupPlace | undefined {
  return (
    cgroups.find(({ version, controllers }) => version === 1 && controllers.includes("freezer")) ??
    cgroups.find(({ version }) => version === 2)
  );
}

/** Whether somebody has frozen the container (cgroup-v2 "cgroup.freeze", cgroup-v1 "freezer.state"). */
export function isFrozen(cgroups: readonly CgroupPlace[]): boolean {
  const place = freezerPlace(cgroups);
  if (place === undefined) return false;
  const at = place.hierarchy + place.path;
  // FREEZING: on its way, or frozen by a parent that is not done.
  if (place.version === 1) return (read(`${at}/freezer.state`) ?? "THAWED").trim() !== "THAWED";
  return read(`${at}/cgroup.freeze`)?.trim() === "1";
}

/** The v2 cgroup of a process, relative to the hierarchy's mount point; undefined when the process is gone. */
export function unifiedCgroupOf(pid: number): string | undefined {
  const line = read(`/proc/${pid}/cgroup`)
    ?.split("\n")
    .find((each) => each.startsWith("0::"));
  return line?.slice("0::".length);
}
