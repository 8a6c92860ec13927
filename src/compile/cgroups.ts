/**
 * The container's cgroups, made and limited directly through the file system (runc's "cgroupfs" manager).
 *
 * Before process.spawn: they are made, limited and told their devices, so that the container's process is born into
 * them: on v1 by a thread that stands there (cgroup.enter), on v2 by CLONE_INTO_CGROUP. Neither waits for the kernel's
 * grace period, which moving a process does. After it: what counts processes (pids.max), since tsrun-init's own making
 * must not fail at a limit of 1, and v1 cgroups that tag sockets, which would tag tsrun's own, too.
 * After the mounts: device rules, if a block device is mounted (mounting it opens it).
 */
import type { Resources } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";
import type { Hierarchy, HostFacts } from "../host/facts.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import { deviceProgram } from "./device-program.ts";
import { deviceRules, deviceWrites } from "./device-rules.ts";
import type { CompileInput } from "./input.ts";
import type { Place } from "./kill.ts";
import { resourceSteps } from "./resources.ts";
import type { SystemdUnit } from "./systemd-unit.ts";

export interface Cgroups {
  /** Before process.spawn. */
  readonly before: readonly HostStep[];
  /** The slot with the v2 cgroup that process.spawn clones into. */
  readonly spawnSlot: string | null;
  /** Once the container's process is there. */
  readonly join: readonly HostStep[];
  /** Once its mounts are done; mostly nothing. */
  readonly afterMounts: readonly HostStep[];
  readonly places: readonly Place[];
  /** The unit of systemd that they are of. */
  readonly systemd?: SystemdUnit | undefined;
  readonly warnings: readonly string[];
}

const SLOT = "cgroup";

/** Throws `config` or `unsupported`, naming the property. */
export function compileCgroups(input: Pick<CompileInput, "id" | "config" | "facts">): Cgroups {
  const { id, config, facts } = input;
  const linux = config.linux ?? {};
  const resources: Resources = linux.resources ?? {};
  const warnings: string[] = [];
  const rootless = facts.uid !== 0 || facts.inUserNamespace;

  const places: Place[] = [];
  const closed: string[] = [];
  for (const hierarchy of facts.cgroup.hierarchies) {
    const { version, mountPoint, controllers, writable } = hierarchy;
    // Where nothing is asked for and the user may make no cgroup, the container stays in tsrun's own (as runc).
    if (rootless && !writable && (linux.cgroupsPath ?? "") === "") {
      closed.push(mountPoint);
      continue;
    }
    const path = cgroupPath(linux.cgroupsPath, id, hierarchy);
    places.push({ hierarchy: mountPoint, path, version, controllers, created: true });
  }
  if (closed.length > 0) {
    warnings.push(`no cgroup of the container's own in ${closed.join(", ")}: this user may not make one there`);
  }
  if (facts.cgroup.mode === "none" && !rootless) {
    throw new TsrunError("unsupported", "no cgroup file system is mounted at /sys/fs/cgroup", {
      advice: "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    });
  }

  const { limits, processLimits, needed } = resourceSteps(resources, places);
  const devices = deviceSteps(resources, places, rootless, warnings);
  const lateDevices = mountsBlockDevice(config);
  const unified = places.find(({ version }) => version === 2);
  const enabled = controllersToEnable(facts, needed);
  const tagged = places.filter((place) => tagsSockets(place, resources));
  const entered = places.filter((place) => place.version === 1 && !tagged.includes(place));
  return {
    before: [
      ...places.map(
        ({ hierarchy, path, version, controllers }) =>
          ({
            kind: "cgroup.create",
            hierarchy,
            path,
            cpuset: version === 1 && controllers.includes("cpuset"),
            controllers: version === 2 ? enabled : [],
            needed: version === 2 ? needed : [],
          }) as const,
      ),
      ...limits,
      ...(lateDevices ? [] : devices),
      ...delegateSteps(input, unified),
      ...entered.map(({ hierarchy, path }) => ({ kind: "cgroup.enter", hierarchy, path }) as const),
      ...(unified === undefined
        ? []
        : [{ kind: "cgroup.open", hierarchy: unified.hierarchy, path: unified.path, slot: SLOT } as const]),
    ],
    spawnSlot: unified === undefined ? null : SLOT,
    join: [
      ...tagged.map(({ hierarchy, path }) => ({ kind: "cgroup.join", hierarchy, path, fallback: "" }) as const),
      ...processLimits,
    ],
    afterMounts: lateDevices ? devices : [],
    places,
    warnings,
  };
}

/**
 * `--cgroup-manager disabled` (crun's): no cgroup of the container's own, it stays where tsrun is. What would limit it is
 * refused; device rules, which every caller writes, are not in force, as it has been asked for.
 */
export function withoutCgroups({ config }: Pick<CompileInput, "config">): Cgroups {
  const { devices = [], ...limits } = config.linux?.resources ?? {};
  const asked = Object.entries(limits).filter(([, value]) => value !== undefined && Object.keys(value).length > 0);
  if (asked.length > 0) {
    throw new TsrunError(
      "unsupported",
      `${asked.map(([name]) => `/linux/resources/${name}`).join(", ")}: without cgroups nothing can be limited`,
      { advice: "leave --cgroup-manager disabled away, or these properties" },
    );
  }
  const warnings = devices.length === 0 ? [] : ["/linux/resources/devices: without cgroups these do nothing"];
  return { before: [], spawnSlot: null, join: [], afterMounts: [], places: [], warnings };
}

/**
 * The container's cgroup in a hierarchy, relative to its mount point, by runc's rule: an absolute path counts from the
 * mount point, a relative one (`<id>` without any) from tsrun's own cgroup; on v2 from that one's parent, since a cgroup
 * with processes cannot give its children controllers.
 */
export function cgroupPath(cgroupsPath: string | undefined, id: string, { version, own }: Hierarchy): string {
  const asked = cgroupsPath === undefined || cgroupsPath === "" ? id : cgroupsPath;
  const names = (path: string): string[] => path.split("/").filter((name) => name !== "" && name !== ".");
  const base = names(asked.startsWith("/") ? "/" : own);
  if (!asked.startsWith("/") && version === 2) base.pop();
  const wanted = names(asked);
  if (wanted.length === 0 || wanted.includes("..")) {
    throw new TsrunError(
      "config",
      `/linux/cgroupsPath: ${JSON.stringify(asked)} names no cgroup of the container's own`,
      {
        advice: 'give a path below the root, without ".."',
      },
    );
  }
  return `/${[...base, ...wanted].join("/")}`;
}

/** On pure v2 all of them, for statistics and for what the container's own cgroups may want; on hybrid hosts what is needed. */
function controllersToEnable({ cgroup }: HostFacts, needed: readonly string[]): readonly string[] {
  if (cgroup.mode !== "v2") return needed;
  return cgroup.hierarchies.find(({ version }) => version === 2)?.controllers ?? needed;
}

/** v1's net_cls and net_prio tag every socket of a process that comes in: of the container's only, not of tsrun's. */
function tagsSockets({ version, controllers }: Place, { network }: Resources): boolean {
  return (
    version === 1 &&
    ((controllers.includes("net_cls") && (network?.classID ?? 0) !== 0) ||
      (controllers.includes("net_prio") && (network?.priorities ?? []).length > 0))
  );
}

export function deviceSteps(
  { devices }: Resources,
  places: readonly Place[],
  rootless: boolean,
  warnings: string[],
): HostStep[] {
  // Without the host's root nobody can make device nodes or load device programs, and the nodes that there are have
  // their own permissions.
  if (rootless) {
    if ((devices ?? []).length > 0) warnings.push("/linux/resources/devices: without the host's root these do nothing");
    return [];
  }
  const rules = deviceRules(devices);
  const v1 = places.find(({ version, controllers }) => version === 1 && controllers.includes("devices"));
  if (v1 !== undefined) {
    const { hierarchy, path } = v1;
    return deviceWrites(rules).map(({ file, value }) => ({ kind: "cgroup.write", hierarchy, path, file, value }));
  }
  const v2 = places.find(({ version }) => version === 2);
  if (v2 !== undefined) {
    return [{ kind: "cgroup.devices", hierarchy: v2.hierarchy, path: v2.path, program: deviceProgram(rules) }];
  }
  throw new TsrunError(
    "unsupported",
    "/linux/resources/devices: neither a v1 devices controller nor cgroup v2 is mounted",
    {
      advice: "without either the container could use every device of the host",
    },
  );
}

/** Whether a block device is mounted: opening it would be up to the container's rules. */
export function mountsBlockDevice({ mounts }: CompileInput["config"]): boolean {
  return (mounts ?? []).some(
    ({ type, source, options }) =>
      source?.startsWith("/dev/") === true &&
      type !== "bind" &&
      !(options ?? []).some((option) => option === "bind" || option === "rbind"),
  );
}

/**
 * config-linux.md, Cgroup ownership: on v2, with a cgroup namespace of its own and a writable cgroup mount, the container's
 * user gets the cgroup.
 */
export function delegateSteps(
  { config, facts }: Pick<CompileInput, "config" | "facts">,
  place: Place | undefined,
): HostStep[] {
  if (place === undefined || facts.cgroup.mode !== "v2") return [];
  const namespaces = config.linux?.namespaces ?? [];
  const isNew = (type: string): boolean =>
    namespaces.some((each) => each.type === type && (each.path === undefined || each.path === ""));
  const writable = (config.mounts ?? []).some(
    ({ source, destination, options }) =>
      source === "cgroup" && destination === "/sys/fs/cgroup" && !(options ?? []).includes("ro"),
  );
  if (!writable || !isNew("cgroup")) return [];
  const uid = config.process?.user?.uid ?? 0;
  if (!namespaces.some(({ type }) => type === "user")) {
    return uid === 0 ? [] : [{ kind: "cgroup.delegate", hierarchy: place.hierarchy, path: place.path, uid }];
  }
  // The maps of a user namespace that is joined are not known here.
  const mapping = isNew("user")
    ? config.linux?.uidMappings?.find(({ containerID, size }) => uid >= containerID && uid < containerID + size)
    : undefined;
  if (mapping === undefined) return [];
  const hostUid = mapping.hostID + (uid - mapping.containerID);
  return [{ kind: "cgroup.delegate", hierarchy: place.hierarchy, path: place.path, uid: hostUid }];
}
