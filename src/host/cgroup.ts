/** What the cgroups of a container say now. */
import { readdirSync, readFileSync } from "node:fs";
import { errorCode } from "../core/errno.ts";
import type { CgroupPlace, PresentLimits } from "./facts.ts";

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

/** The text of a file of a cgroup, or undefined when it is not there. */
export function readCgroupFile(hierarchy: string, path: string, file: string): string | undefined {
  return read(`${hierarchy}${path}/${file}`);
}

/** What the limits of a running container are now, for update. */
export function readPresentLimits(cgroups: readonly CgroupPlace[]): PresentLimits {
  const text = (version: 1 | 2, controller: string, file: string): string | undefined => {
    const place = cgroups.find((each) => each.version === version && each.controllers.includes(controller));
    return place === undefined ? undefined : readCgroupFile(place.hierarchy, place.path, file)?.trim();
  };
  const number = (value: string | undefined): bigint | undefined =>
    value !== undefined && /^-?\d+$/.test(value) ? BigInt(value) : undefined;
  return {
    memoryLimit: number(text(1, "memory", "memory.limit_in_bytes")),
    memoryUsage: number(text(1, "memory", "memory.usage_in_bytes") ?? text(2, "memory", "memory.current")),
    cpuQuota: text(2, "cpu", "cpu.max")?.split(" ", 1)[0],
    realtimeRuntime: number(text(1, "cpu", "cpu.rt_runtime_us")),
  };
}
