/**
 * A container's unit of systemd: its name, the slice that it is in, and the calls that make, change and stop it
 * (org.freedesktop.systemd1(5)). linux.cgroupsPath is `slice:prefix:name` then, as callers write it for runc and crun.
 */
import { TsrunError } from "../core/errors.ts";
import type { SystemdManager } from "../host/facts.ts";
import { type DBusValue, type EncodedCall, encodeCall, join, LATER, type Variant } from "../plan/dbus.ts";
import type { HostStep } from "../plan/vocabulary.ts";

/** A unit, and how its manager is reached: enough to stop it later. */
export interface SystemdUnit extends Pick<SystemdManager, "managers" | "buses"> {
  readonly name: string;
}

/** A property of a unit: its D-Bus name, not always the one of unit files. */
export interface UnitProperty extends Variant {
  readonly name: string;
}

export interface UnitName {
  readonly slice: string;
  readonly unit: string;
}

/** The kernel's and systemd's bound for a file's name. */
const MAX_NAME = 255;
const AT = "/linux/cgroupsPath";

function badPath(path: string, why: string): TsrunError {
  return new TsrunError("config", `${AT}: ${JSON.stringify(path)}: ${why}`, {
    advice:
      'with systemd it is "SLICE:PREFIX:NAME", such as "system.slice:tsrun:web"; an empty SLICE or NAME has its default',
  });
}

/** Defaults as in runc: system.slice (for users user.slice), this runtime's name, the container's id. */
export function unitName(cgroupsPath: string | undefined, id: string, user: boolean): UnitName {
  const path = cgroupsPath === undefined || cgroupsPath === "" ? ":tsrun:" : cgroupsPath;
  const [asked = "", prefix, given, ...rest] = path.split(":");
  if (prefix === undefined || given === undefined || rest.length > 0) throw badPath(path, "not SLICE:PREFIX:NAME");
  const slice = asked !== "" ? asked : user ? "user.slice" : "system.slice";
  expandSlice(slice, path);
  // systemd.unit(5), "String Escaping": of what an id may have, only this is not for names of units.
  const name = given !== "" ? given : id.replaceAll("+", "\\x2b");
  // A slice has no processes of its own, and a container is one.
  if (name.endsWith(".slice")) throw badPath(path, `${name} would be a slice, in which systemd puts no process`);
  const unit = `${prefix === "" ? "" : `${prefix}-`}${name}.scope`;
  if (!/^[\w:.\\-]+$/.test(unit)) throw badPath(path, `${unit} is no name of a unit (letters, digits and ":_.\\-")`);
  if (unit.length > MAX_NAME) throw badPath(path, `${unit} is longer than ${MAX_NAME} characters`);
  return { slice, unit };
}

/**
 * The cgroup of a slice below its manager's: systemd.slice(5), "a-b.slice" is in "a.slice", "-.slice" the root. `path` is
 * for the message.
 */
export function expandSlice(slice: string, path: string = slice): string {
  if (slice === "-.slice") return "";
  const name = slice.endsWith(".slice") ? slice.slice(0, -".slice".length) : "";
  if (!/^[\w:.\\-]+$/.test(name) || slice.length > MAX_NAME) {
    throw badPath(path, `${JSON.stringify(slice)} is no name of a slice, such as "system.slice"`);
  }
  const parts = name.split("-");
  if (parts.includes("")) {
    throw badPath(path, `${slice}: "-" stands between the names of a slice and the one it is in`);
  }
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join("-")}.slice`).join("");
}

const SYSTEMD = { destination: "org.freedesktop.systemd1", path: "/org/freedesktop/systemd1" } as const;
const MANAGER = { ...SYSTEMD, interface: "org.freedesktop.systemd1.Manager" } as const;
const BUS = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
} as const;

/** What a message bus wants to hear first; then it passes on the signal that a job has ended. */
const greeting = (): Uint8Array =>
  join([
    encodeCall({ ...BUS, serial: 1, member: "Hello", signature: "", args: [] }).bytes,
    encodeCall({
      ...BUS,
      serial: 2,
      member: "AddMatch",
      signature: "s",
      args: [
        `type='signal',sender='${MANAGER.destination}',interface='${MANAGER.interface}',member='JobRemoved',path='${MANAGER.path}'`,
      ],
    }).bytes,
  ]);
const FIRST_SERIAL = 3;

function call(member: string, signature: string, args: readonly DBusValue[], serial = FIRST_SERIAL): EncodedCall {
  return encodeCall({ ...MANAGER, serial, member, signature, args });
}

const pairs = (properties: readonly UnitProperty[]): DBusValue =>
  properties.map(({ name, signature, value }) => [name, { signature, value }]);

/** In milliseconds: systemd has much to do when it is slow, and a caller wants to know in the end. */
const PATIENCE_MS = 30_000;

function reach({ managers, buses, name }: SystemdUnit) {
  return { managers, buses, greeting: greeting(), unit: name, timeoutMs: PATIENCE_MS };
}

const stop = ({ name }: SystemdUnit): Uint8Array => call("StopUnit", "ss", [name, "replace"]).bytes;

/** A transient unit with the container's process in it. */
export function startUnit(unit: SystemdUnit, properties: readonly UnitProperty[]): HostStep {
  const pids: UnitProperty = { name: "PIDs", signature: "au", value: [LATER] };
  const args: DBusValue[] = [unit.name, "replace", pairs([...properties, pids]), []];
  const { bytes, laterAt } = call("StartTransientUnit", "ssa(sv)a(sa(sv))", args);
  return { kind: "systemd.startUnit", ...reach(unit), call: bytes, pidAt: laterAt, stop: stop(unit) };
}

/** Until the next boot, as all of a transient unit. `before`: what the properties are so far. */
export function setProperties(
  unit: SystemdUnit,
  properties: readonly UnitProperty[],
  before: readonly UnitProperty[],
): HostStep {
  const change = (to: readonly UnitProperty[]): Uint8Array =>
    join([
      call("SetUnitProperties", "sba(sv)", [unit.name, true, pairs(to)]).bytes,
      // systemd answers before it writes to the cgroup, which it does before it answers anything else.
      call("GetUnit", "s", [unit.name], FIRST_SERIAL + 1).bytes,
    ]);
  return { kind: "systemd.setProperties", ...reach(unit), calls: change(properties), undo: change(before) };
}

export function stopUnit(unit: SystemdUnit): HostStep {
  return { kind: "systemd.stopUnit", ...reach(unit), call: stop(unit) };
}
