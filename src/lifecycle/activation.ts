/**
 * What a service manager hands to tsrun by the environment, and tsrun to the container: listening sockets
 * (sd_listen_fds(3)) and the socket to say on that the service is ready (sd_notify(3)).
 */
import type { Config } from "../../spec-schemas/config.ts";
import { NOTIFY_DIRECTORY, NOTIFY_NAME } from "../core/names.ts";
import type { Log } from "../log/log.ts";

export interface Activation {
  /** So many descriptors, from 3 on, are for the container. */
  readonly listenFds: number;
  /** LISTEN_FDNAMES. */
  readonly listenNames: string | undefined;
  /** Where to say that the container is ready: a path, or @name. */
  readonly notifyAddress: string | undefined;
}

/** Most sockets of LISTEN_FDS that are believed. */
const MAX_LISTEN_FDS = 1024;

export function readActivation(env: Readonly<Record<string, string | undefined>>, pid: number, log: Log): Activation {
  return { ...listening(env, pid), notifyAddress: notifyAddressOf(env, log) };
}

/** LISTEN_FDS counts only for the process that LISTEN_PID names: it may have come down from a parent. */
function listening(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): Pick<Activation, "listenFds" | "listenNames"> {
  const { LISTEN_FDS: count, LISTEN_PID: owner, LISTEN_FDNAMES: names } = env;
  if (owner !== String(pid) || count === undefined || !/^\d{1,4}$/.test(count) || Number(count) > MAX_LISTEN_FDS) {
    return { listenFds: 0, listenNames: undefined };
  }
  return { listenFds: Number(count), listenNames: names };
}

/** NOTIFY_SOCKET, if it is an address that there is; another one is a warning, as the container would wait in vain. */
export function notifyAddressOf(env: Readonly<Record<string, string | undefined>>, log: Log): string | undefined {
  const { NOTIFY_SOCKET: address } = env;
  if (address === undefined || address === "") return undefined;
  if (/^[/@]./.test(address)) return address;
  log.warn(`NOTIFY_SOCKET=${address} is passed over: it is neither a path nor an abstract socket`);
  return undefined;
}

/** Where a container finds its notify socket, as with runc. */
const INSIDE = "/run/notify";

/** The configuration with what the container is handed. */
export function withActivation(config: Config, activation: Activation, stateDirectory: string): Config {
  const { process } = config;
  if (process === undefined) return config;
  const { listenFds, listenNames, notifyAddress } = activation;
  const env: string[] = [];
  // The program is pid 1, unless its pid namespace is shared: as runc, which says 1 then, too.
  if (listenFds > 0) env.push(`LISTEN_FDS=${listenFds}`, "LISTEN_PID=1");
  if (listenFds > 0 && listenNames !== undefined) env.push(`LISTEN_FDNAMES=${listenNames}`);
  if (notifyAddress !== undefined) env.push(`NOTIFY_SOCKET=${INSIDE}/${NOTIFY_NAME}`);
  if (env.length === 0) return config;
  const handed = { ...config, process: { ...process, env: [...(process.env ?? []), ...env] } };
  return notifyAddress === undefined ? handed : withNotifyMount(handed, stateDirectory);
}

/** The configuration with the mount that shows a container its notify socket. */
export function withNotifyMount(config: Config, stateDirectory: string): Config {
  const mount = {
    destination: INSIDE,
    source: `${stateDirectory}/${NOTIFY_DIRECTORY}`,
    type: "bind",
    options: ["bind", "nosuid", "noexec", "nodev", "ro"],
  };
  return { ...config, mounts: [...(config.mounts ?? []), mount] };
}
