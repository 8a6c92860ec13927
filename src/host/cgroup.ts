/** What the cgroups of a container say now. */
import { readdirSync, readFileSync } from "node:fs";
import { errorCode } from "../core/errno.ts";
import type { CgroupPlace } from "./facts.ts";

/** A file's text, or undefined when the cgroup or process is gone, or the cgroup has no such thing. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = errorCode(error);
    // ENODEV: the cgroup went between open and read. EOPNOTSUPP: cgroup.procs of a threaded cgroup, whose processes the
    // domain above it lists.
    if (code === "ENOENT" || code === "ESRCH" || code === "ENODEV" || code === "EOPNOTSUPP") return undefined;
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

/** The processes in a cgroup and in those below it, sorted; none when it is gone. */
export function processesBelow({ hierarchy, path }: CgroupPlace): number[] {
  const pids: number[] = [];
  const open = [hierarchy + path];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const line of (read(`${at}/cgroup.procs`) ?? "").split("\n")) if (line !== "") pids.push(Number(line));
    open.push(...childrenOf(at));
  }
  return pids.sort((a, b) => a - b);
}

function childrenOf(at: string): string[] {
  try {
    return readdirSync(at, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${at}/${name}`);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}
