/** Names of sysctls, and which namespace makes one private (config-linux.md, Sysctl; kernel: Documentation/admin-guide/sysctl). */

/** Those of System V IPC; kernel/… holds sysctls of the whole host beside them. */
const ipcKeys: ReadonlySet<string> = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/** The namespace that a key belongs to, or undefined for a sysctl of the whole host. */
export function sysctlNamespace(key: string): "ipc" | "network" | "uts" | "user" | undefined {
  if (ipcKeys.has(key) || key.startsWith("fs.mqueue.")) return "ipc";
  if (key.startsWith("net.")) return "network";
  if (key === "kernel.domainname" || key === "kernel.hostname") return "uts";
  if (key.startsWith("user.")) return "user";
  return undefined;
}

/**
 * A name with dots between its components. As in sysctl(8) the first of `.` and `/` that occurs is the separator, and the
 * other is then part of a component: `net/ipv4/conf/eth0.5/forwarding` is `net.ipv4.conf.eth0/5.forwarding`.
 */
export function sysctlKey(name: string): string {
  return /[./]/.exec(name)?.[0] === "/" ? name.replaceAll(/[./]/g, (found) => (found === "/" ? "." : "/")) : name;
}

/** Whether every component of a key is the name of a file: neither empty nor `.` nor `..`. */
export const isSysctlKey = (key: string): boolean => key.split(".").every((part) => !["", "/", "//"].includes(part));
