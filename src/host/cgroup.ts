/**
 * What later verbs ask of a container's cgroups: is it frozen, which processes are in it, where does a process stand.
 * Reading only; changes are a plan's. A cgroup that has gone answers as an empty one.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { errorCode } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { below, parseMemberships, words } from "./cgroup-facts.ts";
import type { CgroupPlace, Hierarchy, PresentLimits } from "./facts.ts";

/** Where a cgroup is. */
type Directory = Pick<CgroupPlace, "hierarchy" | "path">;

/** The result, or undefined when the cgroup or process has gone. Throws `state-store` for other failures. */
function unlessGone<T>(path: string, get: () => T): T | undefined {
  try {
    return get();
  } catch (error) {
    const code = errorCode(error);
    // ENODEV: a cgroup, ESRCH: a process that went between open and read.
    if (code === "ENOENT" || code === "ENODEV" || code === "ESRCH") return undefined;
    throw new TsrunError("state-store", `cannot read ${path}: ${code ?? String(error)}`, { cause: error });
  }
}

function readIn(directory: string, file: string): string | undefined {
  const path = `${directory}/${file}`;
  return unlessGone(path, () => readFileSync(path, "utf8").trim());
}

const directoryOf = ({ hierarchy, path }: Directory): string => (path === "/" ? hierarchy : hierarchy + path);

/** Where the container is frozen: by the v1 freezer where there is one, otherwise in its v2 cgroup. */
export function freezerPlace(cgroups: readonly CgroupPlace[]): CgroupPlace | undefined {
  return (
    cgroups.find(({ version, controllers }) => version === 1 && controllers.includes("freezer")) ??
    cgroups.find(({ version }) => version === 2)
  );
}

/** Whether somebody has frozen the container, or is about to: it, not a parent of it. */
export function isFrozen(cgroups: readonly CgroupPlace[]): boolean {
  const place = freezerPlace(cgroups);
  if (place === undefined) return false;
  return readIn(directoryOf(place), place.version === 1 ? "freezer.self_freezing" : "cgroup.freeze") === "1";
}

/** The processes in a cgroup and in those below it, in ascending order. */
export function processesOf(cgroup: Directory): number[] {
  const found = new Set<number>();
  const rest = [directoryOf(cgroup)];
  for (let directory = rest.pop(); directory !== undefined; directory = rest.pop()) {
    for (const pid of processesIn(directory)) found.add(pid);
    const here = directory;
    const entries = unlessGone(here, () => readdirSync(here, { withFileTypes: true })) ?? [];
    for (const entry of entries) if (entry.isDirectory()) rest.push(`${here}/${entry.name}`);
  }
  return [...found].sort((a, b) => a - b);
}

function processesIn(directory: string): number[] {
  try {
    // 0 stands for a process of a pid namespace that we do not see into.
    return words(readIn(directory, "cgroup.procs") ?? "")
      .map(Number)
      .filter((pid) => pid > 0);
  } catch (error) {
    // EOPNOTSUPP, as libuv calls it: a threaded cgroup, whose processes the domain above it lists (cgroup-v2.rst).
    if (error instanceof TsrunError && errorCode(error.cause) === "ENOTSUP") return [];
    throw error;
  }
}

/** The cgroup in which a process stands, relative to the hierarchy's mount point; undefined when the process has gone. */
export function cgroupOf(pid: number, hierarchy: Hierarchy): string | undefined {
  const of = (who: number | "self"): string | undefined => {
    const memberships = parseMemberships(readIn(`/proc/${who}`, "cgroup") ?? "");
    return memberships.find(({ controllers }) =>
      hierarchy.version === 2
        ? controllers.length === 0
        : hierarchy.controllers.every((name) => controllers.includes(name)) && controllers.length > 0,
    )?.path;
  };
  const path = of(pid);
  if (path === undefined) return undefined;
  // What /proc says of ourselves and what the facts say differ by what is not mounted.
  const own = of("self") ?? "/";
  const tail = hierarchy.own === "/" ? "" : hierarchy.own;
  const root = own.endsWith(tail) ? own.slice(0, own.length - tail.length) : "";
  return below(root === "" ? "/" : root, path);
}

/**
 * With what create will make: the cgroups that are not there yet. What it did not make, delete must not remove
 * (runtime.md, Delete), nor may whoever finds a create that was killed. To be asked before the plan is carried out.
 */
export function withCreated(cgroups: readonly CgroupPlace[]): CgroupPlace[] {
  return cgroups.map((cgroup) => ({ ...cgroup, created: !existsSync(directoryOf(cgroup)) }));
}

/** Bytes of memory that the container uses, for checkBeforeUpdate; undefined without a memory controller. */
export function memoryUsage(cgroups: readonly CgroupPlace[]): bigint | undefined {
  const cgroup = cgroups.find(({ controllers }) => controllers.includes("memory"));
  if (cgroup === undefined) return undefined;
  const text = readIn(directoryOf(cgroup), cgroup.version === 1 ? "memory.usage_in_bytes" : "memory.current");
  return text === undefined || text === "" ? undefined : BigInt(text);
}

/** The text of a file of a cgroup, without the line end, or undefined when it is not there. */
export function readCgroupFile(cgroup: Directory, file: string): string | undefined {
  try {
    return readIn(directoryOf(cgroup), file);
  } catch (error) {
    // EOPNOTSUPP: a pressure file where the kernel does not measure pressure.
    if (error instanceof TsrunError && errorCode(error.cause) === "ENOTSUP") return undefined;
    throw error;
  }
}

/** What the limits of a running container are now, for update. */
export function readPresentLimits(cgroups: readonly CgroupPlace[]): PresentLimits {
  const text = (version: 1 | 2, controller: string, file: string): string | undefined => {
    const cgroup = cgroups.find((each) => each.version === version && each.controllers.includes(controller));
    return cgroup === undefined ? undefined : readCgroupFile(cgroup, file);
  };
  const number = (value: string | undefined): bigint | undefined =>
    value !== undefined && /^-?\d+$/.test(value) ? BigInt(value) : undefined;
  return {
    memoryLimit: number(text(1, "memory", "memory.limit_in_bytes")),
    memoryUsage: memoryUsage(cgroups),
    memorySwapUsage: number(text(1, "memory", "memory.memsw.usage_in_bytes")),
    cpuQuota: text(2, "cpu", "cpu.max")?.split(" ", 1)[0],
    realtimeRuntime: number(text(1, "cpu", "cpu.rt_runtime_us")),
  };
}
