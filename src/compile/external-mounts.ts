/**
 * What of a container's mounts is the host's, as CRIU has to know it: an image does not hold what is bound from outside, it
 * only names it. The name (CRIU's key) is the mount's path in config.json, so that dump and restore agree on it whatever
 * links the image has.
 */
import type { Config } from "../../spec-schemas/config.ts";
import type { RootRelPath } from "../core/brands.ts";
import { rootRelPath } from "../core/brands.ts";
import { type ContainerStep, linkRules, type StepOf } from "../plan/vocabulary.ts";
import { deviceSteps } from "./devices.ts";
import type { CompileInput } from "./input.ts";
import type { Place } from "./kill.ts";
import { mountSteps, setsUpDev } from "./mounts.ts";

type Input = Pick<CompileInput, "bundle" | "config" | "facts">;

export interface ExternalMount {
  readonly target: RootRelPath;
  /** Host path. */
  readonly source: string;
}

/** Every bind of create, in its order. */
export function externalMounts(input: Input, places: readonly Place[]): ExternalMount[] {
  const binds = mountSteps(input, places).filter((step) => step.kind === "mount.bind");
  const devices = deviceSteps(input).filter((step) => step.kind === "device.bind");
  return [
    ...binds.map(({ target, source }) => ({ target: target as RootRelPath, source })),
    ...devices.map(({ path, source }) => ({ target: path as RootRelPath, source })),
    ...maskedByHost(input.config),
  ];
}

/** A masked file is the container's own /dev/null, which is the host's where /dev is. */
function maskedByHost(config: Config): ExternalMount[] {
  if (setsUpDev(config)) return [];
  return (config.linux?.maskedPaths ?? []).map((path) => ({ target: rootRelPath(path), source: "/dev/null" }));
}

/** `external` of a dump: the mount at this path of the container has this name. */
export const dumpedMount = (mountPoint: string, { target }: ExternalMount): string => `mnt[${mountPoint}]:/${target}`;

/** `external` of a restore: what has this name is this path of the host. */
export const restoredMount = ({ target, source }: ExternalMount): string => `mnt[/${target}]:${source}`;

/**
 * Container, after root.bind: the places of the mounts, which a new root file system may not have. Below another mount
 * there is nothing to be made: what a tmpfs had is in the image, what is bound has it.
 */
export function mountPlaces(input: Input, places: readonly Place[]): ContainerStep[] {
  const covered: string[] = [];
  const steps: ContainerStep[] = [];
  for (const step of mountSteps(input, places)) {
    if (step.kind !== "mount.bind" && step.kind !== "mount.filesystem") continue;
    const { target } = step;
    if (target === "" || covered.some((path) => target.startsWith(`${path}/`))) continue;
    if (step.kind === "mount.filesystem") steps.push({ kind: "fs.mkdir", path: target, mode: 0o755 });
    // A link that is copied is no mount.
    else if ((Number(step.links) & linkRules.copy) === 0) steps.push(bindPlace(step));
    covered.push(target);
  }
  return steps;
}

function bindPlace({ source, target, noSymlinks, links }: StepOf<"mount.bind">): ContainerStep {
  return { kind: "mount.target", source, target, noSymlinks, links };
}
