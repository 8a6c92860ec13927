/**
 * intelRdt: the container's class of cache and memory bandwidth (config-linux.md, IntelRdt), as a directory of resctrl.
 *
 * Before process.spawn: the directories and their schemata, which fail without a trace or are undone. Once the process is
 * the final one: it joins, before anything of the container's runs; what it forks and executes stays in its class.
 */
import { TsrunError } from "../core/errors.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import type { CompileInput } from "./input.ts";

/** RDTGROUP_SUPER_MAGIC (linux/magic.h). */
const RESCTRL_MAGIC = 0x0765_5821;
/** Directories of resctrl that are no classes. */
const reserved = new Set(["info", "mon_groups", "mon_data"]);

/** A directory that the container's processes are in. */
export interface ResctrlGroup {
  /** Relative to the mount point, with a leading slash. */
  readonly path: string;
  /** Create makes it where it is missing; after it has looked: it was missing, so whoever undoes create removes it. */
  readonly created: boolean;
  /** It stays when the container is deleted (a class that closID names). */
  readonly kept: boolean;
}

export interface Resctrl {
  /** Where resctrl is mounted. */
  readonly root: string;
  /** The class, then the monitoring group in it. */
  readonly groups: readonly ResctrlGroup[];
}

export interface CompiledResctrl {
  readonly before: readonly HostStep[];
  readonly join: readonly HostStep[];
  readonly record: Resctrl | undefined;
}

/** Throws `config` or `unsupported`, naming the property. */
export function compileResctrl(input: Pick<CompileInput, "id" | "config" | "facts">): CompiledResctrl {
  const rdt = input.config.linux?.intelRdt;
  if (rdt === undefined) return { before: [], join: [], record: undefined };
  const { facts, id } = input;
  if (facts.resctrl === undefined) {
    throw new TsrunError("unsupported", "/linux/intelRdt: no resctrl file system is mounted", {
      advice:
        "mount -t resctrl resctrl /sys/fs/resctrl; the processor must have Intel RDT, AMD QoS or the like, and the kernel support for it",
    });
  }
  const { closID = "", l3CacheSchema = "", memBwSchema = "", schemata = [], enableMonitoring = false } = rdt;
  const at = { root: facts.resctrl, magic: RESCTRL_MAGIC };
  const path = classPath(closID, id);
  const texts = [l3CacheSchema, memBwSchema, schemata.map(checkLine).join("\n")].filter((text) => text !== "");
  // The default class is always there; one that is only named must be.
  const make = path !== "/" && (closID === "" || texts.length > 0);
  const monitor = `${path === "/" ? "" : path}/mon_groups/${id}`;
  const groups: ResctrlGroup[] = [
    { path, created: make, kept: closID !== "" },
    ...(enableMonitoring ? [{ path: monitor, created: true, kept: false }] : []),
  ];
  return {
    before: [
      { kind: "resctrl.create", ...at, path, make, existing: true },
      // One after another: a later text may say something else about the same resource.
      ...texts.map((text) => ({ kind: "resctrl.write", ...at, path, value: `${text}\n` }) as const),
      ...(enableMonitoring
        ? [{ kind: "resctrl.create", ...at, path: monitor, make: true, existing: false } as const]
        : []),
    ],
    join: joinSteps({ root: facts.resctrl, groups }, false),
    record: { root: facts.resctrl, groups },
  };
}

function classPath(closID: string, id: string): string {
  if (closID === "/") return "/";
  const name = closID === "" ? id : closID;
  if (reserved.has(name) || name === "." || name === ".." || /[/\n]/.test(name)) {
    throw new TsrunError("config", `/linux/intelRdt/closID: ${JSON.stringify(name)} is no name of a class`, {
      advice: 'give a name without a slash, other than info, mon_groups and mon_data; or "/" for the default class',
    });
  }
  return `/${name}`;
}

function checkLine(line: string, i: number): string {
  if (line.includes("\n")) throw new TsrunError("config", `/linux/intelRdt/schemata/${i}: more than one line`);
  return line;
}

/** The container's process joins; a class before the monitoring group in it. `gone`: one that is missing is no error. */
export function joinSteps({ root, groups }: Resctrl, gone: boolean): HostStep[] {
  return groups.map(({ path }) => ({ kind: "resctrl.join", root, magic: RESCTRL_MAGIC, path, gone }));
}

/**
 * Removes what create made. `undo`: also what would stay after a deletion, because there never was a container
 * (runtime.md, Errors).
 */
export function removeResctrl(resctrl: Resctrl | undefined, undo: boolean): HostStep[] {
  return (resctrl?.groups ?? [])
    .filter(({ created, kept }) => created && (undo || !kept))
    .reverse()
    .map(({ path }) => ({ kind: "resctrl.remove", root: resctrl?.root ?? "", magic: RESCTRL_MAGIC, path }));
}
