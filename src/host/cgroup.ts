/**
 * What later verbs ask of a container's cgroups: is it frozen, which processes are in it, where does a process stand.
 * Reading only; changes are a plan's. A cgroup that has gone answers as an empty one.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { TsrunError } from "../core/errors.ts";
import { below, parseMemberships, words } from "./cgroup-facts.ts";
import type { Hierarchy } from "./facts.ts";

/** One cgroup, as the container's record has it. */
export interface CgroupDirectory {
  /** Mount point of the hierarchy. */
  readonly hierarchy: string;
  /** Relative to it, with a leading slash. */
  readonly path: string;
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
}

const codeOf = (error: unknown): string | undefined =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : undefined;

/** The result, or undefined when the cgroup or process has gone. Throws `state-store` for other failures. */
function unlessGone<T>(path: string, get: () => T): T | undefined {
  try {
    return get();
  } catch (error) {
    const code = codeOf(error);
    // ENODEV: a cgroup, ESRCH: a process that went between open and read.
    if (code === "ENOENT" || code === "ENODEV" || code === "ESRCH") return undefined;
    throw new TsrunError("state-store", `cannot read ${path}: ${code ?? String(error)}`, { cause: error });
  }
}

function readIn(directory: string, file: string): string | undefined {
  const path = `${directory}/${file}`;
  return unlessGone(path, () => readFileSync(path, "utf8").trim());
}

const directoryOf = ({ hierarchy, path }: Pick<CgroupDirectory, "hierarchy" | "path">): string =>
  path === "/" ? hierarchy : hierarchy + path;

/**
 * The cgroup by which a container is frozen: v1's freezer, where that is mounted, else v2's. undefined: it cannot be
 * frozen.
 */
export function freezerOf<P extends CgroupDirectory>(cgroups: readonly P[]): P | undefined {
  return (
    cgroups.find(({ version, controllers }) => version === 1 && controllers.includes("freezer")) ??
    cgroups.find(({ version }) => version === 2)
  );
}

/** Whether the container is paused, or about to be. */
export function isFrozen(cgroups: readonly CgroupDirectory[]): boolean {
  const freezer = freezerOf(cgroups);
  if (freezer === undefined) return false;
  const directory = directoryOf(freezer);
  if (freezer.version === 2) return readIn(directory, "cgroup.freeze") === "1";
  // FREEZING or FROZEN; by itself, not because of a parent of it.
  return readIn(directory, "freezer.self_freezing") === "1";
}

/** The processes in a cgroup and in those below it, in ascending order. */
export function processesOf(cgroup: Pick<CgroupDirectory, "hierarchy" | "path">): number[] {
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
    if (error instanceof TsrunError && codeOf(error.cause) === "ENOTSUP") return [];
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
 * Which of the cgroups create will make: those that are not there yet. What create did not make, delete must not remove
 * (runtime.md, Delete). To be asked before the plan is carried out.
 */
export function withCreated<P extends CgroupDirectory>(cgroups: readonly P[]): (P & { readonly created: boolean })[] {
  return cgroups.map((cgroup) => ({ ...cgroup, created: !existsSync(directoryOf(cgroup)) }));
}

/** Bytes of memory that the container uses, for checkBeforeUpdate; undefined without a memory controller. */
export function memoryUsage(cgroups: readonly CgroupDirectory[]): bigint | undefined {
  const cgroup = cgroups.find(({ controllers }) => controllers.includes("memory"));
  if (cgroup === undefined) return undefined;
  const text = readIn(directoryOf(cgroup), cgroup.version === 1 ? "memory.usage_in_bytes" : "memory.current");
  return text === undefined || text === "" ? undefined : BigInt(text);
}
