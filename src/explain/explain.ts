/**
 * What a container was configured to be against what the kernel says it is. Pure: what is asked of the kernel goes through
 * ContainerProbe. The configuration is read as the compiler reads it: most of what is expected is taken from the steps of
 * the plan, so that both cannot come apart.
 */
import { explainCapabilities } from "./capabilities.ts";
import { explainCgroups } from "./cgroups.ts";
import { explainDevices } from "./devices.ts";
import type { ExplainInput } from "./input.ts";
import type { Item } from "./item.ts";
import { explainMounts } from "./mounts.ts";
import { explainNamespaces } from "./namespaces.ts";
import { explainProcess } from "./process.ts";

export function explain(input: ExplainInput): Item[] {
  return [
    ...explainProcess(input),
    ...explainCapabilities(input),
    ...explainNamespaces(input),
    ...explainMounts(input),
    ...explainDevices(input),
    ...explainCgroups(input),
  ];
}

/** How many items are not as configured. */
export function differences(items: readonly Item[]): number {
  return items.filter(({ verdict }) => verdict === "differs").length;
}
