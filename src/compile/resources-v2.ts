/**
 * linux.resources as writes to the files of v2 controllers (Documentation/admin-guide/cgroup-v2.rst). The properties are
 * v1's, so most values are converted, by the formulas of runc and crun; what v2 has no notion of is an error
 * (config-linux.md, Unified).
 */
import type { Resources } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";
import type { PresentLimits } from "../host/facts.ts";
import { amount, checkSwap, checkUsage, type Write, write } from "./resource-writes.ts";

function refuse(pointer: string, why: string): never {
  throw new TsrunError("unsupported", `${pointer}: cgroup v2 ${why}`);
}

/** -1 is "max". */
const bytes = (value: string): string => (value === "-1" ? "max" : value);

export function memoryV2({ memory = {} }: Resources, present: PresentLimits | undefined): Write[] {
  const at = "/linux/resources/memory";
  for (const name of ["kernel", "kernelTCP"] as const) {
    const value = amount(memory[name]);
    if (value !== undefined && value !== "-1") refuse(`${at}/${name}`, "has no limit of its own for kernel memory");
  }
  if (memory.swappiness !== undefined) refuse(`${at}/swappiness`, "has no swappiness of a cgroup");
  if (memory.disableOOMKiller === true) refuse(`${at}/disableOOMKiller`, "cannot switch the OOM killer off");
  if (memory.useHierarchy === false) refuse(`${at}/useHierarchy`, "always counts what is below");
  checkSwap(memory);
  checkUsage(memory, present);
  const writes: Write[] = [];
  const limit = amount(memory.limit);
  const swap = swapLimit(memory);
  // Without swap accounting there is no file, and nothing to be swapped to that would count.
  if (swap === "max" || swap === "0") writes.push({ first: [["memory.swap.max", swap]], missing: true });
  else if (swap !== undefined) writes.push(write("memory.swap.max", swap));
  if (limit !== undefined) writes.push(write("memory.max", bytes(limit)));
  const reservation = amount(memory.reservation);
  if (reservation !== undefined) writes.push(write("memory.low", bytes(reservation)));
  return writes;
}

/** memory.swap.max is swap alone, v1's and the specification's is memory and swap together. */
export function swapLimit({ limit, swap }: NonNullable<Resources["memory"]>): string | undefined {
  // As on v1: no limit of memory is one of swap neither.
  if (amount(swap) === undefined) return Number(limit) === -1 ? "max" : undefined;
  return Number(swap) === -1 ? "max" : String(BigInt(swap as number | bigint) - BigInt(limit as number | bigint));
}

/**
 * cpu.shares (2 to 262144, normally 1024) as cpu.weight (1 to 10000, normally 100): the exponent is the parabola through
 * those three pairs in logarithms, so that the default stays the default (runc and crun since 2025).
 */
export function cpuWeight(shares: number | bigint): number {
  const value = Number(shares);
  if (value <= 2) return 1;
  if (value >= 262_144) return 10_000;
  const l = Math.log2(value);
  return Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34));
}

/** The kernel's default period in microseconds. */
export const DEFAULT_PERIOD = "100000";

export function cpuV2({ cpu = {} }: Resources, present: PresentLimits | undefined): Write[] {
  const at = "/linux/resources/cpu";
  if (amount(cpu.realtimeRuntime) !== undefined) refuse(`${at}/realtimeRuntime`, "has no real-time budget");
  if (amount(cpu.realtimePeriod) !== undefined) refuse(`${at}/realtimePeriod`, "has no real-time budget");
  const writes: Write[] = [];
  const { idle, burst } = cpu;
  // As on v1: an idle group has no weight to be set.
  if (idle !== undefined && idle <= 0) writes.push(write("cpu.idle", idle));
  if (amount(cpu.shares) !== undefined) writes.push(write("cpu.weight", cpuWeight(cpu.shares as number | bigint)));
  if (idle !== undefined && idle > 0) writes.push(write("cpu.idle", idle));
  const quota = amount(cpu.quota);
  const period = amount(cpu.period);
  if (present !== undefined && burst !== undefined) writes.push(write("cpu.max.burst", "0"));
  if (quota !== undefined || period !== undefined) {
    const budget = quota === undefined ? (present?.cpuQuota ?? "max") : Number(quota) < 0 ? "max" : quota;
    // A quota alone leaves the period that is there.
    const length = period ?? (present === undefined ? DEFAULT_PERIOD : undefined);
    writes.push(write("cpu.max", length === undefined ? budget : `${budget} ${length}`));
  }
  if (burst !== undefined && !(present === undefined && Number(burst) === 0))
    writes.push(write("cpu.max.burst", burst));
  return writes;
}

/** blkio's weight (10 to 1000) as io.weight (1 to 10000). */
export function ioWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

export function ioV2({ blockIO = {} }: Resources): Write[] {
  const at = "/linux/resources/blockIO";
  if (amount(blockIO.leafWeight) !== undefined) refuse(`${at}/leafWeight`, "has no leaf weights");
  const writes: Write[] = [];
  // BFQ has a file of its own with blkio's range; otherwise it is the weight of io.cost.
  const weighted = (device: string, weight: number): Write => ({
    first: [
      ["io.bfq.weight", `${device}${weight}`],
      ["io.weight", `${device}${ioWeight(weight)}`],
    ],
    missing: false,
  });
  if (blockIO.weight !== undefined && blockIO.weight !== 0) writes.push(weighted("", blockIO.weight));
  for (const [i, { major, minor, weight, leafWeight }] of (blockIO.weightDevice ?? []).entries()) {
    if (amount(leafWeight) !== undefined) refuse(`${at}/weightDevice/${i}/leafWeight`, "has no leaf weights");
    if (weight !== undefined && weight !== 0) writes.push(weighted(`${major}:${minor} `, weight));
  }
  for (const [name, key] of [
    ["throttleReadBpsDevice", "rbps"],
    ["throttleWriteBpsDevice", "wbps"],
    ["throttleReadIOPSDevice", "riops"],
    ["throttleWriteIOPSDevice", "wiops"],
  ] as const) {
    for (const { major, minor, rate } of blockIO[name] ?? []) {
      writes.push(write("io.max", `${major}:${minor} ${key}=${amount(rate) ?? "max"}`)); // 0 was v1's "no limit"
    }
  }
  return writes;
}

/** Reservations are limited where the kernel can (Linux 5.7), page faults anyway. */
export function hugetlbV2({ hugepageLimits = [] }: Resources): Write[] {
  return hugepageLimits.flatMap(({ pageSize, limit }) => [
    write(`hugetlb.${pageSize}.max`, limit),
    { first: [[`hugetlb.${pageSize}.rsvd.max`, String(limit)]], missing: true },
  ]);
}
