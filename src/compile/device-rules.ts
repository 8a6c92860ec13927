/**
 * Which devices the container may open and make: from linux.resources.devices to rules without abbreviations.
 *
 * Everything is denied unless a rule allows it (GHSA-g54h-m393-cpwq: a list without a rule for everything must not mean
 * that everything is allowed). The rules of config.json come first, in their order, then those that every container
 * gets: each right of an access (read, write, mknod) is decided by the last rule that speaks of it.
 */
import { TsrunError } from "../core/errors.ts";

/** One rule for one kind of device. Access is a mask of `access`. */
export interface DeviceRule {
  readonly allow: boolean;
  readonly type: "b" | "c";
  /** undefined: all. */
  readonly major: number | undefined;
  readonly minor: number | undefined;
  readonly access: number;
}

/** Bits as the kernel gives them to a device program (BPF_DEVCG_ACC_*, linux/bpf.h). */
export const access = { m: 1, r: 2, w: 4 } as const;
const ALL = access.r | access.w | access.m;

/** `devices` of config.json's resources. */
export interface DeviceConfig {
  readonly allow: boolean;
  readonly type?: string | undefined;
  readonly major?: number | bigint | undefined;
  readonly minor?: number | bigint | undefined;
  readonly access?: string | undefined;
}

const allow = (type: "b" | "c", major: number | undefined, minor: number | undefined, mask: number): DeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access: mask,
});

/**
 * What every container may do besides (config-linux.md, Default Devices; as runc): make any node, since making is not
 * opening, and use the devices that it finds in /dev.
 */
const defaultRules: readonly DeviceRule[] = [
  allow("c", undefined, undefined, access.m),
  allow("b", undefined, undefined, access.m),
  allow("c", 1, 3, ALL), // null
  allow("c", 1, 8, ALL), // random
  allow("c", 1, 7, ALL), // full
  allow("c", 5, 0, ALL), // tty
  allow("c", 1, 5, ALL), // zero
  allow("c", 1, 9, ALL), // urandom
  allow("c", 136, undefined, ALL), // /dev/pts/*, console
  allow("c", 5, 2, ALL), // ptmx
];

/**
 * All rules that hold for the container, in order, over a ground of "everything is denied". The kernel asks nobody about
 * 0:0, which no driver has: overlayfs marks deleted files with it.
 */
export function deviceRules(devices: readonly DeviceConfig[] | undefined): DeviceRule[] {
  const rules: DeviceRule[] = [];
  for (const [i, device] of (devices ?? []).entries()) {
    const where = `/linux/resources/devices/${i}`;
    const types = typesOf(device.type, `${where}/type`);
    const major = deviceNumber(device.major, `${where}/major`);
    const minor = deviceNumber(device.minor, `${where}/minor`);
    const mask = accessMask(device, where);
    for (const each of types) rules.push({ allow: device.allow, type: each, major, minor, access: mask });
  }
  return [...rules, ...defaultRules];
}

function typesOf(type: string | undefined, where: string): readonly DeviceRule["type"][] {
  if (type === undefined || type === "" || type === "a") return ["b", "c"];
  if (type === "b" || type === "c") return [type];
  throw new TsrunError("config", `${where}: ${JSON.stringify(type)} is none of a, b, c`);
}

/** -1 is how callers written in Go say "all"; so does the kernel, with all 32 bits, which must not come in that way. */
function deviceNumber(value: number | bigint | undefined, where: string): number | undefined {
  if (value === undefined || Number(value) === -1) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number >= 0xffff_ffff) {
    throw new TsrunError("config", `${where}: ${value} is not a device number`, {
      advice: "leave it out, or give -1, for all",
    });
  }
  return number;
}

/** A denying rule without `access` denies all of it; an allowing one would be a guess at how much. */
function accessMask({ allow, access: text }: DeviceConfig, where: string): number {
  if (text === undefined || text === "") {
    if (!allow) return ALL;
    throw new TsrunError("config", `${where}/access: a rule that allows must say what: letters of r, w and m`);
  }
  let mask = 0;
  for (const letter of text) {
    if (letter !== "r" && letter !== "w" && letter !== "m") {
      throw new TsrunError("config", `${where}/access: ${JSON.stringify(text)} has letters other than r, w and m`);
    }
    mask |= access[letter];
  }
  return mask;
}

/** One write to a v1 devices cgroup. */
export interface DeviceWrite {
  readonly file: "devices.allow" | "devices.deny";
  readonly value: string;
}

type Devices = Pick<DeviceRule, "type" | "major" | "minor">;

const nameOf = ({ type, major, minor }: Devices): string => `${type} ${major ?? "*"}:${minor ?? "*"}`;
const letters = (mask: number): string =>
  `${mask & access.r ? "r" : ""}${mask & access.w ? "w" : ""}${mask & access.m ? "m" : ""}`;
/** Whether all of `b` are among `a`. */
const covers = (a: Devices, b: Devices): boolean =>
  a.type === b.type && (a.major === undefined || a.major === b.major) && (a.minor === undefined || a.minor === b.minor);
/** Whether a device could be among both. */
const overlap = (a: Devices, b: Devices): boolean =>
  a.type === b.type &&
  (a.major === undefined || b.major === undefined || a.major === b.major) &&
  (a.minor === undefined || b.minor === undefined || a.minor === b.minor);
const isEverything = (rule: DeviceRule | undefined, type: DeviceRule["type"]): boolean =>
  rule?.type === type && rule.major === undefined && rule.minor === undefined && rule.access === ALL;

/**
 * The writes that give a v1 devices cgroup these rules. It knows one ground (all allowed or all denied) and exceptions to
 * it; an exception can only be taken back as it was given. So the rules are worked out here, and only what is left of
 * them is written, in the order in which it came. Throws `unsupported` when a rule would take a part out of an
 * exception: the kernel passes over that in silence.
 */
export function deviceWrites(rules: readonly DeviceRule[]): DeviceWrite[] {
  let allowed = false;
  let exceptions: DeviceRule[] = [];
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i] as DeviceRule;
    const next = rules[i + 1];
    // Both types at once: a new ground.
    if (isEverything(rule, "b") && isEverything(next, "c") && next?.allow === rule.allow) {
      allowed = rule.allow;
      exceptions = [];
      i++;
      continue;
    }
    if (rule.allow !== allowed) {
      const same = exceptions.findIndex((each) => nameOf(each) === nameOf(rule));
      if (same < 0) exceptions.push(rule);
      else exceptions[same] = { ...rule, access: rule.access | (exceptions[same] as DeviceRule).access };
      continue;
    }
    exceptions = exceptions.flatMap((each) => {
      if (!overlap(rule, each) || (rule.access & each.access) === 0) return [each];
      if (covers(rule, each))
        return (each.access & ~rule.access) === 0 ? [] : [{ ...each, access: each.access & ~rule.access }];
      const [does, did] = rule.allow ? ["allow", "denied"] : ["deny", "allowed"];
      throw new TsrunError(
        "unsupported",
        `/linux/resources/devices: cgroup v1 cannot ${does} ${nameOf(rule)} ${letters(rule.access)} after ${nameOf(each)} ${letters(each.access)} was ${did}`,
        { advice: "put no narrower rule after a wider one of the other kind, or use a host with cgroup v2" },
      );
    });
  }
  return [
    { file: allowed ? "devices.allow" : "devices.deny", value: "a" },
    ...exceptions.map((each) => ({
      file: allowed ? ("devices.deny" as const) : ("devices.allow" as const),
      value: `${nameOf(each)} ${letters(each.access)}`,
    })),
  ];
}
