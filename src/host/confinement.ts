/** What confines a process, as /proc says it. */
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { errorCode } from "../core/errno.ts";
import { cgroupOf } from "./cgroup.ts";
import type { Hierarchy, ProcessConfinement } from "./facts.ts";

/** By the names of the spec: the names in /proc/<pid>/ns. */
const namespaceFiles = {
  cgroup: "cgroup",
  ipc: "ipc",
  mount: "mnt",
  network: "net",
  pid: "pid",
  time: "time",
  user: "user",
  uts: "uts",
} as const;

/** Undefined when the process is gone. */
export function confinementOf(pid: number, hierarchies: readonly Hierarchy[]): ProcessConfinement | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const field = (name: string): string => new RegExp(`^${name}:\\t(.*)$`, "m").exec(status)?.[1] ?? "";
    const sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    return {
      pid,
      namespaces: Object.fromEntries(
        Object.entries(namespaceFiles).map(([type, file]) => [type, namespaceAt(`/proc/${pid}/ns/${file}`)]),
      ),
      capabilities: sets.reduce((all, name) => all | BigInt(`0x${field(name)}`), 0n),
      noNewPrivileges: field("NoNewPrivs") === "1",
      seccompFilter: field("Seccomp") === "2",
      uidMap: readMap(`/proc/${pid}/uid_map`),
      gidMap: readMap(`/proc/${pid}/gid_map`),
      label: readLabel(pid),
      cgroups: hierarchies.map((hierarchy) => ({
        hierarchy: hierarchy.mountPoint,
        path: cgroupOf(pid, hierarchy) ?? "",
      })),
    };
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(errorCode(error) ?? "")) return undefined;
    throw error;
  }
}

/** The number in that name. */
export function namespaceInode(pid: number, type: keyof typeof namespaceFiles): number {
  return statSync(`/proc/${pid}/ns/${namespaceFiles[type]}`).ino;
}

/** Whether a process is in the same namespace of this type as tsrun is, or the kernel has none. */
export function isInOurs(pid: number, type: keyof typeof namespaceFiles): boolean {
  const name = namespaceFiles[type];
  return namespaceAt(`/proc/${pid}/ns/${name}`) === namespaceAt(`/proc/self/ns/${name}`);
}

/** `net:[4026531840]`; "" where the kernel has no such namespaces. */
export function namespaceAt(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "";
    throw error;
  }
}

const readMap = (path: string): string => readFileSync(path, "utf8").trim().replace(/ +/g, " ").replace(/^ /gm, "");

function readLabel(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/attr/current`, "utf8").replace(/[\0\n]+$/, "");
  } catch (error) {
    // No security module has labels.
    if (["EINVAL", "ENOENT"].includes(errorCode(error) ?? "")) return "";
    throw error;
  }
}
