/**
 * config.json of a container of an image: a template (what `tsrun spec` writes), the image's conversion, the overlay of its
 * layers for a root, and what the caller asks for. Pure; docs/images.md has the defaults for people.
 */
import { posix } from "node:path";
import type { Config, IdMapping, Mount, Resources, Seccomp } from "../../spec-schemas/config.ts";
import type { AbsPath } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import type { Converted } from "./convert.ts";

/** Ids of the container's user namespace. */
export interface UserMappings {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}

export interface ContainerOptions {
  readonly hostname: string | undefined;
  readonly terminal: boolean;
  readonly readonly: boolean;
  readonly network: "none" | "host";
  /** Names, as src/image/capabilities.ts chooses them. */
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly seccomp: Seccomp | undefined;
  /** Of -v and --tmpfs, in their order. */
  readonly mounts: readonly Mount[];
  /** Of --memory, --cpus, --pids-limit. */
  readonly resources: Resources;
  readonly cgroupsPath: string | undefined;
  /** A new user namespace with these ids; undefined for the host's. */
  readonly mappings: UserMappings | undefined;
}

/** The overlay for a root. */
export interface OverlayRoot {
  /** Lowest first. */
  readonly layers: readonly AbsPath[];
  readonly upper: AbsPath;
  readonly work: AbsPath;
  /** The layers have the ids of the archive, to be mapped to those of the user namespace. */
  readonly idmap: boolean;
  /** The overlay's marks are `user.overlay.*`: mounted without root of the host. */
  readonly userxattr: boolean;
}

export interface ConfigInput {
  readonly template: Config;
  readonly image: Converted;
  /** Paths of Config.Volumes. */
  readonly volumes: readonly string[];
  readonly root: OverlayRoot;
  readonly options: ContainerOptions;
}

/** Throws `image` or `usage`. */
export function containerConfig(input: ConfigInput): Config {
  const { template, image, options } = input;
  const { user } = image.process;
  if (options.mappings !== undefined) checkMapped(user, options.mappings);
  // What a program of another user than root is not permitted, execve would take from it anyway (capabilities(7)).
  const permitted = user.uid === 0 ? options.capabilities : [];
  return {
    ociVersion: template.ociVersion,
    process: {
      terminal: options.terminal,
      user: { ...user, additionalGids: [...(user.additionalGids ?? [])] },
      args: [...image.process.args],
      env: environment(image.process.env, options.terminal),
      cwd: image.process.cwd,
      capabilities: { bounding: [...options.capabilities], effective: [...permitted], permitted: [...permitted] },
      noNewPrivileges: options.noNewPrivileges,
    },
    root: { path: "rootfs", readonly: options.readonly },
    ...(options.hostname !== undefined && { hostname: options.hostname }),
    mounts: mounts(input),
    annotations: { ...image.annotations },
    linux: linuxPart(template.linux ?? {}, options),
  };
}

const TTY_GID = 5;

const has = (ranges: readonly IdMapping[], id: number): boolean =>
  ranges.some(({ containerID, size }) => id >= containerID && id < containerID + size);

function checkMapped(user: Converted["process"]["user"], { uids, gids }: UserMappings): void {
  const missing = [
    ...(has(uids, user.uid) ? [] : [`user ${user.uid}`]),
    ...[user.gid, ...(user.additionalGids ?? [])].filter((gid) => !has(gids, gid)).map((gid) => `group ${gid}`),
  ];
  if (missing.length === 0) return;
  throw new TsrunError("usage", `${missing.join(", ")}: not among the ids of the container's user namespace`, {
    advice: "give --userns a larger range, or another --user; without root there is only 0",
  });
}

/** A terminal's programs want to know its kind; xterm is what docker and podman say. */
function environment(env: readonly string[], terminal: boolean): string[] {
  const hasTerm = env.some((entry) => entry.startsWith("TERM="));
  return [...env, ...(terminal && !hasTerm ? ["TERM=xterm"] : [])];
}

function mounts({ template, volumes, root, options }: ConfigInput): Mount[] {
  const own = (template.mounts ?? []).map((mount) => {
    if (mount.type === "devpts") return devptsMount(mount, options);
    return mount.destination === "/sys" ? sysMount(options) : mount;
  });
  const asked = [...(options.network === "host" ? hostNames : []), ...options.mounts];
  const taken = new Set(["/", ...asked.map(({ destination }) => placeOf(destination))]);
  // In a read-only root the image's volumes are still to be written.
  const open = (options.readonly ? volumes : []).map(placeOf).filter((path) => !taken.has(path));
  return [overlayMount(root), ...own, ...byDepth([...open.map(volumeMount), ...asked])];
}

/** One path of the ways to write it. */
const placeOf = (path: string): string => posix.resolve("/", path);

/** Parents first, otherwise in the order given. */
function byDepth(list: readonly Mount[]): Mount[] {
  const depth = ({ destination }: Mount): number => placeOf(destination).split("/").filter(Boolean).length;
  return [...list].sort((a, b) => depth(a) - depth(b));
}

/** Names are looked up as on the host, whose network it is. */
const hostNames: readonly Mount[] = ["/etc/hosts", "/etc/resolv.conf"].map((path) => ({
  destination: path,
  type: "bind",
  source: path,
  options: ["bind", "ro", "rprivate", "nosuid", "nodev", "noexec"],
}));

const volumeMount = (path: string): Mount => ({
  destination: path,
  type: "tmpfs",
  source: "tmpfs",
  options: ["nosuid", "nodev", "tmpcopyup"],
});

/** Terminals belong to the group tty, if the user namespace has its id. */
function devptsMount(mount: Mount, { mappings }: ContainerOptions): Mount {
  if (mappings === undefined || has(mappings.gids, TTY_GID)) return mount;
  return { ...mount, options: (mount.options ?? []).filter((option) => !option.startsWith("gid=")) };
}

/** A new sysfs belongs to a network namespace, which must be the user namespace's own. */
function sysMount({ network, mappings }: ContainerOptions): Mount {
  const attributes = ["nosuid", "noexec", "nodev", "ro"];
  return mappings !== undefined && network === "host"
    ? { destination: "/sys", type: "none", source: "/sys", options: ["rbind", ...attributes] }
    : { destination: "/sys", type: "sysfs", source: "sysfs", options: attributes };
}

/** docs/decisions/0013-overlay-rootfs.md. */
function overlayMount({ layers, upper, work, idmap, userxattr }: OverlayRoot): Mount {
  if (layers.length === 0) throw new TsrunError("image", "the image has no layers, so there is nothing to run");
  for (const path of [...layers, upper, work]) {
    if (/[,:\\"]/.test(path)) {
      throw new TsrunError(
        "usage",
        `${JSON.stringify(path)}: comma, colon, quote and backslash cannot be in a layer's path`,
        {
          advice: "choose another place: --store for the layers, another directory for the bundle",
        },
      );
    }
  }
  return {
    destination: "/",
    type: "overlay",
    source: "overlay",
    options: [
      `lowerdir=${[...layers].reverse().join(":")}`,
      `upperdir=${upper}`,
      `workdir=${work}`,
      ...(userxattr ? ["userxattr"] : []),
      ...(idmap ? ["idmap"] : []),
    ],
  };
}

function linuxPart(template: NonNullable<Config["linux"]>, options: ContainerOptions): NonNullable<Config["linux"]> {
  const { mappings, network, seccomp, cgroupsPath } = options;
  const others = (template.namespaces ?? []).filter(({ type }) => type !== "network" && type !== "user");
  return {
    ...template,
    namespaces: [
      ...others,
      ...(network === "none" ? [{ type: "network" as const }] : []),
      ...(mappings === undefined ? [] : [{ type: "user" as const }]),
    ],
    ...(mappings !== undefined && { uidMappings: [...mappings.uids], gidMappings: [...mappings.gids] }),
    ...((template.resources !== undefined || Object.keys(options.resources).length > 0) && {
      resources: { ...template.resources, ...options.resources },
    }),
    ...(cgroupsPath !== undefined && { cgroupsPath }),
    ...(seccomp !== undefined && { seccomp }),
  };
}
