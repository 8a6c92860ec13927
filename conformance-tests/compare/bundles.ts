/** All bundles of the comparison. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Bundle, Config } from "./bundle.ts";
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

/** By name; a path is a bundle of the caller's, whose program the probe takes the place of. */
export function findBundle(name: string): Bundle {
  if (name.includes("/")) return bundleAt(resolve(name));
  const found = bundles.find((each) => each.name === name);
  if (found === undefined)
    throw new Error(`no bundle ${name}; there are ${bundles.map((each) => each.name).join(", ")}`);
  return found;
}

function bundleAt(folder: string): Bundle {
  const own: Config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  return {
    name: folder,
    about: "a bundle of yours",
    image: resolve(folder, own.root.path),
    thorough: true,
    edit: (config) => {
      // Where it runs and what it runs are the comparison's; the rest is the bundle's.
      const { ociVersion, process, root, linux } = config;
      for (const name of Object.keys(config)) delete config[name];
      Object.assign(config, own, {
        ociVersion,
        process: { ...own.process, args: process.args },
        root: { ...own.root, path: root.path },
        linux: { ...own.linux, cgroupsPath: linux.cgroupsPath },
      });
      for (const mount of config.mounts ?? []) if (isBind(mount)) mount.source = resolve(folder, mount.source);
    },
  };
}

const isBind = (mount: Config): boolean =>
  mount.type === "bind" || (mount.options ?? []).some((option: string) => option === "bind" || option === "rbind");
