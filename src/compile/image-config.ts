/**
 * What of config.json an image decides, so that a restore with another config.json does not make it so: processes, mounts
 * and what is in namespaces. Cgroups, resources, device rules, hooks, annotations and where binds come from are config.json's.
 */
import type { Config } from "../../spec-schemas/config.ts";

/** Podman restores with another order, and says `private` where it said `rprivate`. */
function comparableMount({ source: _, options, ...mount }: NonNullable<Config["mounts"]>[number]) {
  const word = (option: string): string => option.replace(/^r(?=(?:private|slave|shared|unbindable)$)/, "");
  return { ...mount, options: options?.map(word).sort() };
}

/** By JSON pointer; what is not there, is empty or says its default is one and the same. */
function decidedByImage({ hostname, domainname, root, mounts, process, linux }: Config): Record<string, unknown> {
  const { user, consoleSize: _, ...others } = process ?? {};
  return {
    "/hostname": hostname,
    "/domainname": domainname,
    "/root/readonly": root?.readonly,
    "/mounts": mounts?.map(comparableMount).sort((a, b) => (a.destination < b.destination ? -1 : 1)),
    ...Object.fromEntries(Object.entries(user ?? {}).map(([name, value]) => [`/process/user/${name}`, value])),
    ...Object.fromEntries(Object.entries(others).map(([name, value]) => [`/process/${name}`, value])),
    // CRIU makes a time namespace of its own.
    "/linux/namespaces": linux?.namespaces
      ?.map(({ type }) => type)
      .filter((type) => type !== "time")
      .sort(),
    "/linux/uidMappings": linux?.uidMappings,
    "/linux/gidMappings": linux?.gidMappings,
    "/linux/timeOffsets": linux?.timeOffsets,
    "/linux/devices": linux?.devices,
    "/linux/sysctl": linux?.sysctl,
    "/linux/seccomp": linux?.seccomp,
    "/linux/rootfsPropagation": linux?.rootfsPropagation,
    "/linux/maskedPaths": linux?.maskedPaths,
    "/linux/readonlyPaths": linux?.readonlyPaths,
    "/linux/mountLabel": linux?.mountLabel,
    "/linux/personality": linux?.personality,
    "/linux/memoryPolicy": linux?.memoryPolicy,
    "/linux/netDevices": linux?.netDevices,
  };
}

/** JSON pointers to what the image has otherwise. `before`: config.json as the image was made with it. */
export function changedSinceDump(before: Config, now: Config): string[] {
  const [then, today] = [decidedByImage(before), decidedByImage(now)];
  return [...new Set([...Object.keys(then), ...Object.keys(today)])].filter(
    (pointer) => canonical(then[pointer]) !== canonical(today[pointer]),
  );
}

/** Whatever the order of names; without what says nothing. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, each: unknown) => {
      if (typeof each === "bigint") return each.toString();
      if (isNothing(each)) return undefined;
      if (typeof each !== "object" || Array.isArray(each)) return each;
      return Object.fromEntries(
        Object.entries(each as object)
          .filter(([, inner]) => !isNothing(inner))
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      );
    }) ?? ""
  );
}

const isNothing = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  value === "" ||
  (typeof value === "object" && Object.keys(value).length === 0);
