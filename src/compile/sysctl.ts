/**
 * linux.sysctl: after the namespaces that they belong to, before /proc/sys is made read-only.
 *
 * Only sysctls that belong to a namespace of the container may be written: any other would change the host.
 */
import { TsrunError } from "../core/errors.ts";
import type { ContainerStep } from "../plan/vocabulary.ts";
import type { CompileInput } from "./input.ts";
import { hasNamespace, type NamespaceType, type ProcessShape } from "./namespaces.ts";

const ipcKeys = new Set([
  "kernel.msgmax",
  "kernel.msgmnb",
  "kernel.msgmni",
  "kernel.sem",
  "kernel.shmall",
  "kernel.shmmax",
  "kernel.shmmni",
  "kernel.shm_rmid_forced",
]);

/** The namespace that a sysctl belongs to, or undefined for one of the whole host. */
export function sysctlNamespace(key: string): NamespaceType | undefined {
  if (ipcKeys.has(key) || key.startsWith("fs.mqueue.")) return "ipc";
  if (key.startsWith("net.")) return "network";
  if (key === "kernel.domainname" || key === "kernel.hostname") return "uts";
  if (key.startsWith("user.")) return "user";
  return undefined;
}

/** `a.b/c` names a component with a dot, as in sysctl(8): the first of the two that occurs is the separator. */
export function sysctlKey(key: string): string {
  const separator = /[./]/.exec(key)?.[0];
  return separator === "/" ? key.replace(/[./]/g, (found) => (found === "/" ? "." : "/")) : key;
}

export function sysctlSteps(input: CompileInput, shape: ProcessShape): ContainerStep[] {
  return Object.entries(input.config.linux?.sysctl ?? {}).map(([name, value]) => {
    const key = sysctlKey(name);
    const what = `/linux/sysctl/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (key.split(/[./]/).some((part) => part === "")) throw new TsrunError("config", `${what}: not a sysctl name`);
    const type = sysctlNamespace(key);
    if (type === undefined) {
      throw new TsrunError("config", `${what}: it is not in a separate kernel namespace, so it would change the host`);
    }
    if (!hasNamespace(shape, type)) {
      throw new TsrunError("config", `${what}: it needs a ${type} namespace of the container's own`);
    }
    if (key === "kernel.hostname" && (input.config.hostname ?? "") !== "") {
      throw new TsrunError("config", `${what}: contradicts /hostname`);
    }
    return { kind: "sysctl.write", key, value };
  });
}
