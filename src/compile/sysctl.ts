/**
 * linux.sysctl: after the namespaces that they belong to, before /proc/sys is made read-only.
 *
 * Only sysctls that belong to a namespace of the container may be written: any other would change the host.
 */
import { TsrunError } from "../core/errors.ts";
import { sysctlKey, sysctlNamespace } from "../core/sysctl.ts";
import type { ContainerStep } from "../plan/vocabulary.ts";
import type { CompileInput } from "./input.ts";
import { hasNamespace, type ProcessShape } from "./namespaces.ts";

export function sysctlSteps(input: CompileInput, shape: ProcessShape): ContainerStep[] {
  return Object.entries(input.config.linux?.sysctl ?? {}).map(([name, value]) => {
    const key = sysctlKey(name);
    const type = sysctlNamespace(key);
    // The bundle's rules say it with its place; no plan may be made without it.
    if (type === undefined || !hasNamespace(shape, type))
      throw new TsrunError("config", `/linux/sysctl: ${name} belongs to no namespace of the container's own`);
    return { kind: "sysctl.write", key, value };
  });
}
