/** All bundles of the comparison. */
import type { Bundle } from "./bundle.ts";
import { callerBundles } from "./bundles/callers.ts";
import { deviceBundles } from "./bundles/devices.ts";
import { mountBundles } from "./bundles/mounts.ts";
import { namespaceBundles } from "./bundles/namespaces.ts";
import { processBundles } from "./bundles/process.ts";
import { refusedBundles } from "./bundles/refused.ts";
import { resourceBundles } from "./bundles/resources.ts";
import { seccompBundles } from "./bundles/seccomp.ts";

export const bundles: readonly Bundle[] = [
  ...processBundles,
  ...namespaceBundles,
  ...mountBundles,
  ...deviceBundles,
  ...resourceBundles,
  ...seccompBundles,
  ...callerBundles,
  ...refusedBundles,
];

export function findBundle(name: string): Bundle {
  const found = bundles.find((each) => each.name === name);
  if (found === undefined)
    throw new Error(`no bundle ${name}; there are ${bundles.map((each) => each.name).join(", ")}`);
  return found;
}
