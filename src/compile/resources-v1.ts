/** linux.resources as writes to the files of v1 controllers (Documentation/admin-guide/cgroup-v1). */
import type { Resources } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";
import type { PresentLimits } from "../host/facts.ts";
import { amount, checkSwap, checkUsage, type Write, write } from "./resource-writes.ts";

export function memoryV1({ memory = {} }: Resources, present: PresentLimits | undefined): Write[] {
  const writes: Write[] = [];
  const limit = amount(memory.limit);
  const swap = amount(memory.swap);
  checkSwap(memory);
  checkUsage(memory, present);
  // Since Linux 5.11 it is always so; "false" is the kernel's to refuse.
  if (memory.useHierarchy === true) {
    writes.push({ first: [["memory.use_hierarchy", "1"]], missing: true });
  } else if (memory.useHierarchy === false) writes.push(write("memory.use_hierarchy", "0"));
  const swapFile = "memory.memsw.limit_in_bytes";
  if (swap !== undefined) {
    const swapWrite = write(swapFile, swap);
    const limitWrite = limit === undefined ? [] : [write("memory.limit_in_bytes", limit)];
    // The kernel wants memory+swap at or above memory at every moment. A new cgroup has no limit of either. If the new
    // memory+swap is below the present memory, the new memory, which is below it, goes first; and it is below the
    // present memory+swap, so that it may.
    const first = present === undefined ? swap === "-1" : swap === "-1" || BigInt(swap) >= (present.memoryLimit ?? 0n);
    writes.push(...(first ? [swapWrite, ...limitWrite] : [...limitWrite, swapWrite]));
  } else if (limit !== undefined) {
    // No limit of memory is one of memory and swap neither, as in runc; without swap accounting there is none.
    if (limit === "-1") writes.push({ first: [[swapFile, "-1"]], missing: true });
    writes.push(write("memory.limit_in_bytes", limit));
  }
  const reservation = amount(memory.reservation);
  if (reservation !== undefined) writes.push(write("memory.soft_limit_in_bytes", reservation));
  // "No limit" is what there is; newer kernels refuse every value (or, since 6.7, pass over it).
  const kernel = amount(memory.kernel);
  if (kernel !== undefined && kernel !== "-1") writes.push(write("memory.kmem.limit_in_bytes", kernel));
  const kernelTcp = amount(memory.kernelTCP);
  if (kernelTcp !== undefined && !(present === undefined && kernelTcp === "-1")) {
    writes.push(write("memory.kmem.tcp.limit_in_bytes", kernelTcp));
  }
  if (memory.swappiness !== undefined) writes.push(write("memory.swappiness", memory.swappiness));
  if (memory.disableOOMKiller === true) writes.push(write("memory.oom_control", "1"));
  // The killer is on where there is no switch.
  else if (memory.disableOOMKiller === false) writes.push({ first: [["memory.oom_control", "0"]], missing: true });
  return writes;
}

export function cpuV1({ cpu = {} }: Resources, present: PresentLimits | undefined): Write[] {
  const writes: Write[] = [];
  const { idle } = cpu;
  // An idle group has no weight to be set (EINVAL): out of it first, into it last.
  if (idle !== undefined && idle <= 0) writes.push(write("cpu.idle", idle));
  const shares = amount(cpu.shares);
  if (shares !== undefined) writes.push(write("cpu.shares", shares));
  if (idle !== undefined && idle > 0) writes.push(write("cpu.idle", idle));
  const period = amount(cpu.period);
  const quota = amount(cpu.quota);
  const burst = cpu.burst;
  if (present !== undefined) {
    // The kernel checks each write against the values that are there: burst within quota, quota within the parent's
    // part of the period.
    if (burst !== undefined) writes.push(write("cpu.cfs_burst_us", "0"));
    if (quota !== undefined && period !== undefined) writes.push(write("cpu.cfs_quota_us", "-1"));
  }
  if (period !== undefined) writes.push(write("cpu.cfs_period_us", period));
  if (quota !== undefined) writes.push(write("cpu.cfs_quota_us", quota));
  if (burst !== undefined && !(present === undefined && Number(burst) === 0))
    writes.push(write("cpu.cfs_burst_us", burst));
  const realtime: Write[] = [];
  const realtimePeriod = amount(cpu.realtimePeriod);
  if (realtimePeriod !== undefined) realtime.push(write("cpu.rt_period_us", realtimePeriod));
  const realtimeRuntime = amount(cpu.realtimeRuntime);
  if (realtimeRuntime !== undefined) realtime.push(write("cpu.rt_runtime_us", realtimeRuntime));
  // The runtime must be within the period at every moment: where the new period has no room for the present runtime, the
  // new runtime goes first.
  if (realtimePeriod !== undefined && (present?.realtimeRuntime ?? 0n) > BigInt(realtimePeriod)) realtime.reverse();
  writes.push(...realtime);
  return writes;
}

export function blkioV1({ blockIO = {} }: Resources): Write[] {
  const writes: Write[] = [];
  // BFQ's files or, with the CFQ scheduler that Linux had until 5.0, its own.
  const weighted = (suffix: string, value: string): Write => ({
    first: [
      [`blkio.bfq.weight${suffix}`, value],
      [`blkio.weight${suffix}`, value],
    ],
    missing: false,
  });
  const weight = amount(blockIO.weight);
  if (weight !== undefined) writes.push(weighted("", weight));
  const leafWeight = amount(blockIO.leafWeight);
  if (leafWeight !== undefined) writes.push(write("blkio.leaf_weight", leafWeight));
  for (const { major, minor, ...device } of blockIO.weightDevice ?? []) {
    const own = amount(device.weight);
    if (own !== undefined) writes.push(weighted("_device", `${major}:${minor} ${own}`));
    const leaf = amount(device.leafWeight);
    if (leaf !== undefined) writes.push(write("blkio.leaf_weight_device", `${major}:${minor} ${leaf}`));
  }
  for (const [name, file] of [
    ["throttleReadBpsDevice", "blkio.throttle.read_bps_device"],
    ["throttleWriteBpsDevice", "blkio.throttle.write_bps_device"],
    ["throttleReadIOPSDevice", "blkio.throttle.read_iops_device"],
    ["throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"],
  ] as const) {
    for (const { major, minor, rate } of blockIO[name] ?? []) {
      writes.push(write(file, `${major}:${minor} ${rate ?? 0}`));
    }
  }
  return writes;
}

/** Reservations are limited where the kernel can (Linux 5.7), page faults anyway. */
export function hugetlbV1({ hugepageLimits = [] }: Resources): Write[] {
  return hugepageLimits.flatMap(({ pageSize, limit }) => [
    write(`hugetlb.${pageSize}.limit_in_bytes`, limit),
    { first: [[`hugetlb.${pageSize}.rsvd.limit_in_bytes`, String(limit)]], missing: true },
  ]);
}

export function netClsV1({ network = {} }: Resources): Write[] {
  const classId = amount(network.classID);
  return classId === undefined ? [] : [write("net_cls.classid", classId)];
}

export function netPrioV1({ network = {} }: Resources): Write[] {
  return (network.priorities ?? []).map(({ name, priority }) => write("net_prio.ifpriomap", `${name} ${priority}`));
}

// ---- the same files on both versions

export function cpusetWrites({ cpu = {} }: Resources): Write[] {
  const writes: Write[] = [];
  if ((cpu.cpus ?? "") !== "") writes.push(write("cpuset.cpus", cpu.cpus as string));
  if ((cpu.mems ?? "") !== "") writes.push(write("cpuset.mems", cpu.mems as string));
  return writes;
}

/** -1 is no limit; 0 is one (runtime-spec 1.3). */
export function pidsWrites({ pids = {} }: Resources): Write[] {
  const { limit } = pids;
  if (limit === undefined) return [];
  if (limit < -1) throw new TsrunError("config", `/linux/resources/pids/limit: ${limit} is no number of processes`);
  return [write("pids.max", Number(limit) === -1 ? "max" : limit)];
}

export function rdmaWrites({ rdma = {} }: Resources): Write[] {
  return Object.entries(rdma).map(([device, { hcaHandles, hcaObjects }]) => {
    if (hcaHandles === undefined && hcaObjects === undefined) {
      throw new TsrunError("config", `/linux/resources/rdma/${device}: it needs hcaHandles or hcaObjects`);
    }
    return write(
      "rdma.max",
      [
        device,
        ...(hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`]),
        ...(hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`]),
      ].join(" "),
    );
  });
}
