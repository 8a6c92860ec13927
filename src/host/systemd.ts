/** How the service manager that is to make a container's unit is reached, and where its units' cgroups are. */
import { TsrunError } from "../core/errors.ts";
import { parseMemberships } from "./cgroup-facts.ts";
import type { SystemdManager } from "./facts.ts";

export interface SystemdProbe {
  exists(path: string): boolean;
  read(path: string): string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Effective uid. */
  readonly uid: number;
}

/** sd_booted(3). */
const BOOTED = "/run/systemd/system";

/**
 * The system's manager, or with `user` the one of the user. Undefined where systemd does not run. Throws `unsupported` when
 * the user's cannot be found.
 */
export function readSystemd(user: boolean, probe: SystemdProbe): SystemdManager | undefined {
  if (!probe.exists(BOOTED)) return undefined;
  const root = cgroupOfManager(probe.read("/proc/1/cgroup"));
  if (!user) {
    return {
      user,
      // systemctl's own way; a message bus may not be there.
      managers: ["/run/systemd/private"],
      buses: ["/run/dbus/system_bus_socket"],
      cgroup: root,
    };
  }
  const { XDG_RUNTIME_DIR: runtime = "", DBUS_SESSION_BUS_ADDRESS: address = "" } = probe.environment;
  const own = runtime.startsWith("/") ? runtime : undefined;
  const session = unixPaths(address);
  if (own === undefined && session.length === 0) {
    throw new TsrunError("unsupported", "the user's systemd cannot be found: XDG_RUNTIME_DIR is not set", {
      advice: "it is set in a session of the user's (loginctl enable-linger keeps one): /run/user/UID",
    });
  }
  return {
    user,
    managers: own === undefined ? [] : [`${own}/systemd/private`],
    buses: [...new Set([...session, ...(own === undefined ? [] : [`${own}/bus`])])],
    cgroup: cgroupOfUserManager(root, probe),
  };
}

const path = (memberships: string): string =>
  parseMemberships(memberships).find(({ controllers }) => controllers.length === 0)?.path ?? "/";

/** systemd itself is in init.scope below what it manages. */
function cgroupOfManager(memberships: string): string {
  return path(memberships).replace(/\/(init\.scope)?$/, "");
}

/** We are mostly below it; otherwise it is where logind has it started. */
function cgroupOfUserManager(root: string, probe: SystemdProbe): string {
  const found = /^.*\/user@\d+\.service(?=\/|$)/.exec(path(probe.read("/proc/self/cgroup")));
  if (found !== null) return found[0];
  const uid = hostUid(probe.uid, probe.read("/proc/self/uid_map"));
  return `${root}/user.slice/user-${uid}.slice/user@${uid}.service`;
}

/** Our uid outside of our user namespace (user_namespaces(7)). */
function hostUid(uid: number, map: string): number {
  for (const line of map.split("\n")) {
    const [inside, outside, count] = line.trim().split(/\s+/).map(Number);
    if (inside === undefined || outside === undefined || count === undefined) continue;
    if (uid >= inside && uid < inside + count) return outside + (uid - inside);
  }
  return uid;
}

/** The paths in an address of a bus (D-Bus Specification, "Server Addresses"); other kinds of addresses are left out. */
export function unixPaths(address: string): string[] {
  return address.split(";").flatMap((each) => {
    const found = /^unix:(?:[^,]*,)*path=([^,]+)/.exec(each);
    if (found === null) return [];
    try {
      const text = decodeURIComponent(found[1] as string);
      return text.startsWith("/") && !text.includes("\0") ? [text] : [];
    } catch {
      return []; // no %XX
    }
  });
}
