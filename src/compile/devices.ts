/**
 * Devices and the links of /dev (config-linux.md, Devices; runtime-linux.md, Dev symbolic links).
 *
 * After mounts, since /dev usually is one of them; before pivot_root, since devices that cannot be made are bound from the
 * host; before /dev becomes read-only.
 */
import { rootRelPath } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import type { ContainerStep } from "../plan/vocabulary.ts";
import { checkId } from "./identity.ts";
import type { CompileInput } from "./input.ts";
import { setsUpDev } from "./mounts.ts";
import { hasNamespace, processShape } from "./namespaces.ts";

/** File types of mknod(2). */
const deviceTypes = { c: 0o020000, b: 0o060000, p: 0o010000 } as const;
export type DeviceType = keyof typeof deviceTypes;

export interface Device {
  readonly path: string;
  readonly type: DeviceType;
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const DEFAULT_MODE = 0o666;
const character = (path: string, major: number, minor: number): Device => ({
  path,
  type: "c",
  major,
  minor,
  mode: DEFAULT_MODE,
  uid: 0,
  gid: 0,
});

/** What every container has (config-linux.md, Default Devices), but for /dev/console and /dev/ptmx, which are no nodes. */
export const defaultDevices: readonly Device[] = [
  character("/dev/null", 1, 3),
  character("/dev/zero", 1, 5),
  character("/dev/full", 1, 7),
  character("/dev/random", 1, 8),
  character("/dev/urandom", 1, 9),
  character("/dev/tty", 5, 0),
];

/** runtime-linux.md: made if what they point at exists; /proc/kcore does wherever /proc is whole. */
const links: readonly (readonly [path: string, target: string])[] = [
  ["/dev/fd", "/proc/self/fd"],
  ["/dev/stdin", "/proc/self/fd/0"],
  ["/dev/stdout", "/proc/self/fd/1"],
  ["/dev/stderr", "/proc/self/fd/2"],
  ["/dev/core", "/proc/kcore"],
];

/** The kernel's dev_t has 12 bits of major and 20 of minor number. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

function configDevice(
  device: NonNullable<NonNullable<CompileInput["config"]["linux"]>["devices"]>[number],
  pointer: string,
): Device {
  // mknod(1): u is an unbuffered character device.
  const type = device.type === "u" ? "c" : device.type;
  if (type !== "c" && type !== "b" && type !== "p") {
    throw new TsrunError("config", `${pointer}/type: ${JSON.stringify(device.type)} is none of c, b, u, p`);
  }
  const number = (name: "major" | "minor", max: number): number => {
    // A fifo has no number; one that is given means nothing.
    if (type === "p") return 0;
    const value = Number(device[name] ?? -1);
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new TsrunError("config", `${pointer}/${name}: ${device[name]} is not a device number (0 to ${max})`);
    }
    return value;
  };
  return {
    path: device.path,
    type,
    major: number("major", MAX_MAJOR),
    minor: number("minor", MAX_MINOR),
    // Without the type of file that callers leave in it: `type` says it.
    mode: (device.fileMode ?? DEFAULT_MODE) & 0o7777,
    uid: checkId(device.uid ?? 0, `${pointer}/uid`),
    gid: checkId(device.gid ?? 0, `${pointer}/gid`),
  };
}

/** The devices of a container: the default ones, unless config.json lists one of the same path, then its own. */
export function containerDevices(config: CompileInput["config"]): Device[] {
  const own = (config.linux?.devices ?? []).map((device, i) => configDevice(device, `/linux/devices/${i}`));
  const paths = new Set(own.map(({ path }) => rootRelPath(path)));
  return [...defaultDevices.filter(({ path }) => !paths.has(rootRelPath(path))), ...own];
}

function deviceStep(device: Device, bind: boolean): ContainerStep {
  const { major, minor, mode, uid, gid } = device;
  const path = rootRelPath(device.path);
  const type = deviceTypes[device.type];
  const source = `/${path}`;
  if (bind && device.type !== "p") return { kind: "device.bind", source, path, type, major, minor };
  return { kind: "device.create", path, type, major, minor, mode, uid, gid, bindFrom: source };
}

export function deviceSteps(input: Pick<CompileInput, "config">): ContainerStep[] {
  const { config } = input;
  if (!setsUpDev(config)) return [];
  // A user namespace may not make device nodes (mknod(2)).
  const bind = hasNamespace(processShape(config), "user");
  return [
    // /dev/ptmx is the link below, whatever is listed.
    ...containerDevices(config)
      .filter(({ path }) => rootRelPath(path) !== "dev/ptmx")
      .map((device) => deviceStep(device, bind)),
    // Of the container's own devpts; an image's /dev/ptmx would open the host's.
    { kind: "fs.symlink", target: "pts/ptmx", path: "dev/ptmx", replace: true },
    ...links.map(
      ([path, target]) => ({ kind: "fs.symlink", target, path: rootRelPath(path), replace: false }) as const,
    ),
  ];
}
