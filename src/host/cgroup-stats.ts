/**
 * What a container's cgroups have counted, in the shape that `runc events` prints: property by property, also which of
 * them are left out when they are 0, since callers decode it into runc's types.
 */
import { readdirSync } from "node:fs";
import { errorCode } from "../core/errno.ts";
import { readCgroupFile } from "./cgroup.ts";
import type { CgroupPlace } from "./facts.ts";

/** A JSON object; counters are bigints. */
export type Counters = { readonly [name: string]: unknown };

/** The text of a file of a cgroup, undefined when it is not there. */
export type ReadFile = (place: CgroupPlace, file: string) => string | undefined;

const MAX_UINT64 = 2n ** 64n - 1n;
/** Of cpuacct.stat (USER_HZ is 100 on every architecture we build for). */
const NS_PER_TICK = 10_000_000n;

export function readStats(cgroups: readonly CgroupPlace[]): Counters {
  return statsOf(cgroups, readCgroupFile, hugePageSizes());
}

/** `pageSizes`: sizes of huge pages as controllers name them, 2MB. */
export function statsOf(places: readonly CgroupPlace[], read: ReadFile, pageSizes: readonly string[]): Counters {
  const find = (version: 1 | 2, controller: string): Files | undefined => {
    const place = places.find((each) => each.version === version && each.controllers.includes(controller));
    return place === undefined ? undefined : (file) => read(place, file);
  };
  const none: Files = () => undefined;
  const [memory, pids, io] = [find(2, "memory"), find(1, "pids") ?? find(2, "pids"), find(2, "io")];
  // cpu.stat's times and pressure files are there without the controller, too.
  const unified = places.find(({ version }) => version === 2);
  const unifiedFiles: Files = unified === undefined ? none : (file) => read(unified, file);
  return {
    cpu:
      find(1, "cpu") !== undefined || find(1, "cpuacct") !== undefined
        ? cpuV1(find(1, "cpu") ?? none, find(1, "cpuacct") ?? none)
        : cpuV2(unifiedFiles),
    cpuset: cpuset(find(1, "cpuset") ?? none),
    memory: memory === undefined ? memoryV1(find(1, "memory") ?? none) : memoryV2(memory),
    pids: withoutZeros({ current: number(pids?.("pids.current")), limit: number(pids?.("pids.max"), 0n) }),
    blkio: io === undefined ? blkioV1(find(1, "blkio") ?? none) : ioV2(io),
    hugetlb: hugetlb(find(1, "hugetlb") ?? none, find(2, "hugetlb") ?? none, pageSizes),
    intel_rdt: {},
    network_interfaces: null,
  };
}

type Files = (file: string) => string | undefined;

/** A file with one number; `max` is what "max" means. */
function number(text: string | undefined, max = MAX_UINT64): bigint {
  const value = text?.trim() ?? "";
  if (value === "max") return max;
  return /^\d+$/.test(value) ? BigInt(value) : 0n;
}

/** Lines of a name and a number. */
function table(text: string | undefined): ReadonlyMap<string, bigint> {
  return new Map(
    (text ?? "").split("\n").flatMap((line) => {
      const [, name, value] = /^(\S+)\s+(\d+)$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, BigInt(value as string)] as const];
    }),
  );
}

/** Go's omitempty. */
function withoutZeros(counters: Record<string, bigint>): Counters {
  return Object.fromEntries(Object.entries(counters).filter(([, value]) => value !== 0n));
}

const unlessEmpty = (name: string, list: readonly unknown[]): Counters => (list.length === 0 ? {} : { [name]: list });

function cpuV1(cpu: Files, cpuacct: Files): Counters {
  const stat = table(cpu("cpu.stat"));
  const times = table(cpuacct("cpuacct.stat"));
  const numbers = (text: string | undefined): bigint[] => (text ?? "").trim().split(/\s+/).filter(Boolean).map(BigInt);
  // "cpu user system", then a line for each CPU.
  const all = (cpuacct("cpuacct.usage_all") ?? "").split("\n").slice(1).filter(Boolean).map(numbers);
  return {
    usage: {
      ...withoutZeros({ total: number(cpuacct("cpuacct.usage")) }),
      ...unlessEmpty("percpu", numbers(cpuacct("cpuacct.usage_percpu"))),
      ...unlessEmpty(
        "percpu_kernel",
        all.map(([, , system = 0n]) => system),
      ),
      ...unlessEmpty(
        "percpu_user",
        all.map(([, user = 0n]) => user),
      ),
      kernel: (times.get("system") ?? 0n) * NS_PER_TICK,
      user: (times.get("user") ?? 0n) * NS_PER_TICK,
    },
    throttling: withoutZeros({
      periods: stat.get("nr_periods") ?? 0n,
      throttledPeriods: stat.get("nr_throttled") ?? 0n,
      throttledTime: stat.get("throttled_time") ?? 0n,
    }),
  };
}

function cpuV2(files: Files): Counters {
  const stat = table(files("cpu.stat"));
  const ns = (name: string): bigint => (stat.get(name) ?? 0n) * 1000n;
  return {
    usage: { ...withoutZeros({ total: ns("usage_usec") }), kernel: ns("system_usec"), user: ns("user_usec") },
    throttling: withoutZeros({
      periods: stat.get("nr_periods") ?? 0n,
      throttledPeriods: stat.get("nr_throttled") ?? 0n,
      throttledTime: ns("throttled_usec"),
    }),
    ...pressure(files("cpu.pressure")),
  };
}

/** Documentation/accounting/psi.rst; nothing where the kernel does not measure it. */
function pressure(text: string | undefined): Counters {
  const lines = (text ?? "").split("\n").flatMap((line) => {
    const match = /^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) total=(\d+)$/.exec(line);
    if (match === null) return [];
    const [, kind, avg10, avg60, avg300, total] = match as unknown as string[];
    const measured = { avg10: Number(avg10), avg60: Number(avg60), avg300: Number(avg300), total: BigInt(total ?? 0) };
    return [[kind, measured] as const];
  });
  if (lines.length === 0) return {};
  const absent = { avg10: 0, avg60: 0, avg300: 0, total: 0n };
  return { psi: { some: absent, full: absent, ...Object.fromEntries(lines) } };
}

/** v1 only, as in runc. */
function cpuset(files: Files): Counters {
  const list = (text: string | undefined): number[] =>
    (text ?? "")
      .trim()
      .split(",")
      .filter(Boolean)
      .flatMap((range) => {
        const [from = 0, to = from] = range.split("-").map(Number);
        return Array.from({ length: to - from + 1 }, (_, i) => from + i);
      });
  return {
    ...unlessEmpty("cpus", list(files("cpuset.cpus"))),
    cpu_exclusive: number(files("cpuset.cpu_exclusive")),
    ...unlessEmpty("mems", list(files("cpuset.mems"))),
    mem_hardwall: number(files("cpuset.mem_hardwall")),
    mem_exclusive: number(files("cpuset.mem_exclusive")),
    memory_migrate: number(files("cpuset.memory_migrate")),
    memory_spread_page: number(files("cpuset.memory_spread_page")),
    memory_spread_slab: number(files("cpuset.memory_spread_slab")),
    memory_pressure: number(files("cpuset.memory_pressure")),
    sched_load_balance: number(files("cpuset.sched_load_balance")),
    sched_relax_domain_level: Number(files("cpuset.sched_relax_domain_level")?.trim() ?? 0),
  };
}

const memoryEntry = (limit: bigint, usage: bigint, max: bigint, failcnt: bigint): Counters => ({
  limit,
  ...withoutZeros({ usage, max }),
  failcnt,
});

const raw = (stat: ReadonlyMap<string, bigint>): Counters => (stat.size === 0 ? {} : { raw: Object.fromEntries(stat) });

function memoryV1(files: Files): Counters {
  const entry = (name: string): Counters =>
    memoryEntry(
      number(files(`memory.${name}limit_in_bytes`)),
      number(files(`memory.${name}usage_in_bytes`)),
      number(files(`memory.${name}max_usage_in_bytes`)),
      number(files(`memory.${name}failcnt`)),
    );
  const stat = table(files("memory.stat"));
  return {
    ...withoutZeros({ cache: stat.get("cache") ?? 0n }),
    usage: entry(""),
    swap: entry("memsw."),
    kernel: entry("kmem."),
    kernelTCP: entry("kmem.tcp."),
    ...raw(stat),
  };
}

function memoryV2(files: Files): Counters {
  const stat = table(files("memory.stat"));
  const usage = number(files("memory.current"));
  const limit = number(files("memory.max"));
  const swap = files("memory.swap.current");
  const swapLimit = number(files("memory.swap.max"));
  return {
    ...withoutZeros({ cache: stat.get("file") ?? 0n }),
    usage: memoryEntry(limit, usage, number(files("memory.peak")), 0n),
    // As v1 counts: memory and swap together.
    swap: memoryEntry(
      swap === undefined ? limit : swapLimit === MAX_UINT64 || limit === MAX_UINT64 ? MAX_UINT64 : swapLimit + limit,
      number(swap) + usage,
      0n,
      0n,
    ),
    kernel: memoryEntry(0n, 0n, 0n, 0n),
    kernelTCP: memoryEntry(0n, 0n, 0n, 0n),
    ...raw(stat),
    ...pressure(files("memory.pressure")),
  };
}

/** blkio files by the scheduler that has them: BFQ with debugging, BFQ, CFQ (Linux < 5.0), throttling. */
const blkioGroups: readonly (readonly (readonly [file: string, name: string])[])[] = [
  ...(["blkio.bfq.", "blkio."] as const).map((prefix) =>
    (
      [
        ["sectors", "sectorsRecursive"],
        ["io_service_time", "ioServiceTimeRecursive"],
        ["io_wait_time", "ioWaitTimeRecursive"],
        ["io_merged", "ioMergedRecursive"],
        ["io_queued", "ioQueueRecursive"],
        ["time", "ioTimeRecursive"],
        ["io_serviced", "ioServicedRecursive"],
        ["io_service_bytes", "ioServiceBytesRecursive"],
      ] as const
    ).map(([file, name]) => [`${prefix}${file}_recursive`, name] as const),
  ),
  ...(["blkio.bfq.io_#_recursive", "blkio.throttle.io_#_recursive", "blkio.throttle.io_#"] as const).map(
    (pattern) =>
      [
        [pattern.replace("#", "serviced"), "ioServicedRecursive"],
        [pattern.replace("#", "service_bytes"), "ioServiceBytesRecursive"],
      ] as const,
  ),
];

interface IoEntry {
  readonly major: bigint;
  readonly minor: bigint;
  readonly op: string;
  readonly value: bigint;
}

const ioEntry = ({ major, minor, op, value }: IoEntry): Counters => ({
  ...withoutZeros({ major, minor }),
  ...(op !== "" && { op }),
  ...withoutZeros({ value }),
});

function blkioV1(files: Files): Counters {
  for (const group of blkioGroups) {
    const found = group.map(([file, name]) => [name, blkioEntries(files(file))] as const);
    if (found[0] !== undefined && found[0][1].length > 0) {
      return Object.fromEntries(found.filter(([, entries]) => entries.length > 0));
    }
  }
  return {};
}

/** Lines "8:0 Read 4096" or "8:0 4096"; the sum of all devices, "Total 4096", is left out. */
function blkioEntries(text: string | undefined): Counters[] {
  return (text ?? "").split("\n").flatMap((line) => {
    const match = /^(\d+):(\d+)(?: (\w+))? (\d+)$/.exec(line);
    if (match === null) return [];
    const [, major = "", minor = "", op = "", value = ""] = match;
    return [ioEntry({ major: BigInt(major), minor: BigInt(minor), op, value: BigInt(value) })];
  });
}

const ioKeys: Readonly<Record<string, readonly [name: string, op: string]>> = {
  rbytes: ["ioServiceBytesRecursive", "Read"],
  wbytes: ["ioServiceBytesRecursive", "Write"],
  rios: ["ioServicedRecursive", "Read"],
  wios: ["ioServicedRecursive", "Write"],
};

function ioV2(files: Files): Counters {
  const lists: Record<string, Counters[]> = {};
  for (const line of (files("io.stat") ?? "").split("\n")) {
    const [, major, minor, rest = ""] = /^(\d+):(\d+) (.*)$/.exec(line) ?? [];
    if (major === undefined || minor === undefined) continue;
    for (const [, key = "", value = ""] of rest.matchAll(/(\w+)=(\d+)/g)) {
      const [name, op] = ioKeys[key] ?? [];
      if (name === undefined || op === undefined) continue;
      lists[name] ??= [];
      lists[name].push(ioEntry({ major: BigInt(major), minor: BigInt(minor), op, value: BigInt(value) }));
    }
  }
  return { ...lists, ...pressure(files("io.pressure")) };
}

function hugetlb(v1: Files, v2: Files, pageSizes: readonly string[]): Counters {
  return Object.fromEntries(
    pageSizes.flatMap((size) => {
      const prefix =
        v1(`hugetlb.${size}.rsvd.usage_in_bytes`) === undefined ? `hugetlb.${size}` : `hugetlb.${size}.rsvd`;
      const usage = v1(`${prefix}.usage_in_bytes`);
      if (usage !== undefined) {
        const max = number(v1(`${prefix}.max_usage_in_bytes`));
        return [[size, { ...withoutZeros({ usage: number(usage), max }), failcnt: number(v1(`${prefix}.failcnt`)) }]];
      }
      const current = v2(`hugetlb.${size}.rsvd.current`) ?? v2(`hugetlb.${size}.current`);
      if (current === undefined) return [];
      const failcnt = table(v2(`hugetlb.${size}.events`)).get("max") ?? 0n;
      return [[size, { ...withoutZeros({ usage: number(current) }), failcnt }]];
    }),
  );
}

/** /sys/kernel/mm/hugepages/hugepages-2048kB as "2MB". */
function hugePageSizes(): string[] {
  let names: string[];
  try {
    names = readdirSync("/sys/kernel/mm/hugepages");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
  return names.flatMap((name) => {
    const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1]);
    return Number.isNaN(kilobytes) ? [] : [pageSizeName(kilobytes)];
  });
}

/** As the hugetlb controller names its files (mem_fmt in mm/hugetlb_cgroup.c). */
export function pageSizeName(kilobytes: number): string {
  if (kilobytes >= 1_048_576) return `${kilobytes / 1_048_576}GB`;
  return kilobytes >= 1024 ? `${kilobytes / 1024}MB` : `${kilobytes}KB`;
}
