/** The facts of this host, read once for every create: about ten small files and a few stats. */
import { accessSync, constants, existsSync, readFileSync, readlinkSync, statfsSync, statSync } from "node:fs";
import { release } from "node:os";
import { errorCode } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { type CgroupProbe, readCgroupFacts } from "./cgroup-facts.ts";
import type { HostFacts } from "./facts.ts";
import { guessLaunch, LAUNCH_VARIABLE, parseLaunch, statusField } from "./launch-state.ts";
import { resctrlMountPoint } from "./resctrl.ts";
import { readSystemd } from "./systemd.ts";

const SELINUX_MAGIC = 0xf97cff8c;
/** Inode number of the initial user namespace (PROC_USER_INIT_INO, linux/proc_ns.h). */
const INITIAL_USER_NAMESPACE = "user:[4026531837]";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new TsrunError("unsupported", `cannot read ${path}: ${errorCode(error)}`, {
      advice: "tsrun needs /proc and /sys as the kernel gives them",
      cause: error,
    });
  }
}

/** What `get` finds, or undefined where there is nothing; other failures are failures. */
function unlessMissing<T>(path: string, get: (path: string) => T): T | undefined {
  try {
    return get(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return undefined;
    throw new TsrunError("unsupported", `cannot look at ${path}: ${errorCode(error)}`, { cause: error });
  }
}

const magic = (path: string): number | undefined => unlessMissing(path, (at) => statfsSync(at).type);

const probe: CgroupProbe = {
  magic,
  inode: (path) => statSync(path).ino,
  writable(path) {
    try {
      accessSync(path, constants.W_OK);
      return true;
    } catch {
      return false; // EACCES, EROFS, or not there: for a mere question the reason does not matter
    }
  },
  read,
};

export function kernelVersion(): HostFacts["kernel"] {
  const kernel = release();
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  return { release: kernel, major: Number(major), minor: Number(minor) };
}

/** Also on a kernel without user namespaces. */
export function inInitialUserNamespace(): boolean {
  const found = unlessMissing("/proc/self/ns/user", (path) => readlinkSync(path));
  return found === undefined || found === INITIAL_USER_NAMESPACE;
}

/** What is looked up only when somebody needs it. */
export interface WantedFacts {
  readonly resctrl?: boolean;
  readonly systemd?: boolean;
}

/** Throws `unsupported` when /proc or /sys cannot be read. */
export function readHostFacts(wanted: WantedFacts = {}): HostFacts {
  const status = read("/proc/self/status");
  const launch = process.env[LAUNCH_VARIABLE];
  const uid = process.geteuid?.() ?? 0;
  const inUserNamespace = !inInitialUserNamespace();
  return {
    kernel: kernelVersion(),
    uid,
    inUserNamespace,
    lastCapability: Number(read("/proc/sys/kernel/cap_last_cap")),
    permittedCapabilities: BigInt(`0x${statusField(status, "CapPrm")}`),
    cgroup: readCgroupFacts(probe),
    resctrl: wanted.resctrl === true ? resctrlMountPoint(probe) : undefined,
    systemd:
      wanted.systemd === true
        ? readSystemd(uid !== 0 || inUserNamespace, { exists: existsSync, read, environment: process.env, uid })
        : undefined,
    lsm: {
      apparmor:
        unlessMissing("/sys/module/apparmor/parameters/enabled", (path) => readFileSync(path, "utf8"))?.startsWith(
          "Y",
        ) ?? false,
      selinux: magic("/sys/fs/selinux") === SELINUX_MAGIC,
    },
    launch: launch === undefined ? guessLaunch(read("/proc/self/limits"), status) : parseLaunch(launch),
  };
}
