/**
 * linux.resources as properties of a unit (systemd.resource-control(5)). tsrun writes them to the files of the cgroup as
 * well, exactly and with what systemd has no property for; systemd must know them, or it puts its own back (daemon-reload).
 */
import type { Resources } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";
import { MAX_CPU, MAX_NODE, numberSet } from "../core/number-set.ts";
import { amount } from "./resource-writes.ts";
import { cpuWeight, DEFAULT_PERIOD, ioWeight, swapLimit } from "./resources-v2.ts";
import type { UnitProperty } from "./systemd-unit.ts";

/** systemd's "infinity"; of weights and periods "not set". */
const INFINITY = 0xffff_ffff_ffff_ffffn;
/** systemd keeps the quota in whole percents of a CPU: of microseconds in a second. */
const PERCENT = 10_000n;

const number = (name: string, value: bigint): UnitProperty => ({ name, signature: "t", value });

/** "max", -1 and what is beyond 64 bits are no limit. */
function limit(value: string | number | bigint): bigint {
  if (value === "max" || Number(value) < 0) return INFINITY;
  const exact = BigInt(value);
  return exact < INFINITY ? exact : INFINITY;
}

function cpuBudget(quota: bigint | undefined, period: bigint | undefined): UnitProperty[] {
  if (quota === undefined && period === undefined) return [];
  const bounded = quota !== undefined && quota !== INFINITY;
  const perSecond = bounded ? (quota * 1_000_000n) / (period ?? BigInt(DEFAULT_PERIOD)) : INFINITY;
  return [
    ...(period === undefined ? [] : [number("CPUQuotaPeriodUSec", period)]),
    number("CPUQuotaPerSecUSec", bounded ? ((perSecond + PERCENT - 1n) / PERCENT) * PERCENT : INFINITY),
  ];
}

/** A list of CPUs or memory nodes: bit n of the bytes is number n. */
function mask(name: string, list: string, highest: number, pointer: string): UnitProperty {
  const words = numberSet(list, highest);
  if (words === undefined) {
    throw new TsrunError("config", `${pointer}: ${JSON.stringify(list)} is no list such as "0-3,7"`);
  }
  const bytes = words.flatMap((word) => Array.from({ length: 8 }, (_, i) => Number((word >> BigInt(8 * i)) & 0xffn)));
  return { name, signature: "ay", value: bytes.slice(0, bytes.findLastIndex((byte) => byte !== 0) + 1) };
}

const cpus = (list: string, at: string): UnitProperty => mask("AllowedCPUs", list, MAX_CPU, at);
const mems = (list: string, at: string): UnitProperty => mask("AllowedMemoryNodes", list, MAX_NODE, at);

/** systemd takes no limit of 0, which the file gets. */
const tasks = (value: bigint): UnitProperty => number("TasksMax", value === 0n ? 1n : value);

/** Files of cgroup v2 that are one property of a unit, as `unified` names them. */
const plainFiles: Readonly<Record<string, string>> = {
  "memory.max": "MemoryMax",
  "memory.high": "MemoryHigh",
  "memory.low": "MemoryLow",
  "memory.min": "MemoryMin",
  "memory.swap.max": "MemorySwapMax",
  "cpu.weight": "CPUWeight",
  "pids.max": "TasksMax",
};

/** What is none of these, or not written so plainly, goes to its file alone. */
function unifiedProperty(file: string, value: string): UnitProperty[] {
  const text = value.trim();
  const pointer = `/linux/resources/unified/${file}`;
  if (file === "cpuset.cpus") return text === "" ? [] : [cpus(text, pointer)];
  if (file === "cpuset.mems") return text === "" ? [] : [mems(text, pointer)];
  if (file === "cpu.max") {
    const [, quota, period] = /^(max|\d{1,15})(?: (\d{1,15}))?$/.exec(text) ?? [];
    if (quota === undefined) return [];
    return cpuBudget(limit(quota), period === undefined || period === "0" ? undefined : BigInt(period));
  }
  const name = plainFiles[file];
  if (name === undefined || !/^(max|\d{1,20})$/.test(text)) return [];
  return name === "TasksMax" ? [tasks(limit(text))] : [number(name, limit(text))];
}

/** Of cgroup v2. Later ones of the same name count, as when the files are written. */
export function resourceProperties(resources: Resources): UnitProperty[] {
  const { memory = {}, cpu = {}, blockIO = {}, pids = {}, unified = {} } = resources;
  const at = "/linux/resources/cpu";
  const properties: UnitProperty[] = [];
  const value = amount(memory.limit);
  if (value !== undefined) properties.push(number("MemoryMax", limit(value)));
  const swap = swapLimit(memory);
  if (swap !== undefined) properties.push(number("MemorySwapMax", limit(swap)));
  const reservation = amount(memory.reservation);
  if (reservation !== undefined) properties.push(number("MemoryLow", limit(reservation)));
  if (amount(cpu.shares) !== undefined) {
    properties.push(number("CPUWeight", BigInt(cpuWeight(cpu.shares as number | bigint))));
  }
  const [quota, period] = [amount(cpu.quota), amount(cpu.period)];
  properties.push(
    ...cpuBudget(quota === undefined ? undefined : limit(quota), period === undefined ? undefined : BigInt(period)),
  );
  if ((cpu.cpus ?? "") !== "") properties.push(cpus(cpu.cpus as string, `${at}/cpus`));
  if ((cpu.mems ?? "") !== "") properties.push(mems(cpu.mems as string, `${at}/mems`));
  if (blockIO.weight !== undefined && blockIO.weight !== 0) {
    properties.push(number("IOWeight", BigInt(ioWeight(blockIO.weight))));
  }
  if (pids.limit !== undefined) properties.push(tasks(limit(pids.limit)));
  for (const [file, text] of Object.entries(unified)) properties.push(...unifiedProperty(file, text));
  return [...new Map(properties.map((property) => [property.name, property])).values()];
}

/** What systemd has where nothing was set. */
function unset({ name, signature }: UnitProperty): UnitProperty {
  if (signature === "ay") return { name, signature, value: [] };
  return number(name, name === "MemoryLow" || name === "MemoryMin" ? 0n : INFINITY);
}

const same = (a: UnitProperty, b: UnitProperty | undefined): boolean => a.value.toString() === b?.value.toString();

/** What an update of a container's resources changes, and what it was before. */
export function changedProperties(
  own: Resources,
  now: Resources,
): { readonly changed: readonly UnitProperty[]; readonly before: readonly UnitProperty[] } {
  const was = new Map(resourceProperties(own).map((property) => [property.name, property]));
  const changed = resourceProperties(now).filter((property) => !same(property, was.get(property.name)));
  return { changed, before: changed.map((property) => was.get(property.name) ?? unset(property)) };
}
