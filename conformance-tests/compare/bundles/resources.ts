/** linux.resources: the values in the container's cgroups. */
import { readFileSync } from "node:fs";
import type { Bundle } from "../bundle.ts";
import { crunDevices, needsController, since } from "../bundle.ts";

const MIB = 1024 * 1024;

/** A disc of this host, for limits of its use. */
function findDisc(): { major: number; minor: number } | undefined {
  for (const line of readFileSync("/proc/partitions", "utf8").split("\n")) {
    const [, major, minor, name] = /^\s*(\d+)\s+(\d+)\s+\d+\s+(\S+)$/.exec(line) ?? [];
    if (name !== undefined && /^(vd|sd|nvme|loop)/.test(name)) return { major: Number(major), minor: Number(minor) };
  }
  return undefined;
}

const disc = () => findDisc() ?? { major: 8, minor: 0 };

export const resourceBundles: readonly Bundle[] = [
  {
    name: "memory",
    about: "limit, reservation, swap, swappiness",
    needs: needsController("memory"),
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.memory = { limit: 64 * MIB, reservation: 32 * MIB, swap: 128 * MIB, swappiness: 10 };
    },
  },
  {
    name: "memory-more",
    about: "no out-of-memory killer, a hierarchy, and no swap limit",
    needs: needsController("memory"),
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.memory = {
        limit: 64 * MIB,
        swap: -1,
        disableOOMKiller: true,
        useHierarchy: true,
        kernelTCP: 8 * MIB,
      };
    },
  },
  {
    name: "cpu",
    about: "shares, quota, period and processors",
    needs: needsController("cpu", "cpuset"),
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.cpu = { shares: 512, quota: 50_000, period: 200_000, cpus: "0", mems: "0" };
    },
    shows: { "init/sched/cpus": "0" },
  },
  {
    name: "cpu-burst",
    about: "burst and idle",
    without: { runc: since("1.2"), crun: since("1.10") },
    needs: needsController("cpu"),
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.cpu = { quota: 50_000, period: 100_000, burst: 10_000, idle: 1 };
    },
    shows: { "cgroup cpu/cpu.cfs_burst_us": "10000", "cgroup cpu/cpu.idle": "1" },
  },
  {
    name: "cpu-realtime",
    about: "real-time budgets",
    needs: ({ controllers }) =>
      controllers.has("cpu") && readRealtime() ? undefined : "the kernel has no real-time group scheduling",
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.cpu = { realtimeRuntime: 0, realtimePeriod: 1_000_000 };
    },
  },
  {
    name: "pids",
    about: "a limit of processes",
    needs: needsController("pids"),
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.pids = { limit: 20 };
    },
  },
  {
    name: "pids-unlimited",
    about: "no limit of processes, said so",
    needs: needsController("pids"),
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.pids = { limit: -1 };
    },
  },
  {
    name: "block-io",
    about: "limits of a disc",
    needs: (host) =>
      needsController(host.cgroups === "v1" ? "blkio" : "io")(host) ??
      (findDisc() === undefined ? "no disc" : undefined),
    exec: "none",
    edit: ({ linux }) => {
      const device = disc();
      linux.resources.blockIO = {
        throttleReadBpsDevice: [{ ...device, rate: 1_048_576 }],
        throttleWriteBpsDevice: [{ ...device, rate: 2_097_152 }],
        throttleReadIOPSDevice: [{ ...device, rate: 100 }],
        throttleWriteIOPSDevice: [{ ...device, rate: 200 }],
      };
    },
  },
  {
    name: "block-io-weight",
    about: "shares of discs",
    needs: (host) =>
      needsController(host.cgroups === "v1" ? "blkio" : "io")(host) ??
      (weights() ? undefined : "no scheduler with weights (BFQ) is in use"),
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.blockIO = {
        weight: 500,
        leafWeight: 300,
        weightDevice: [{ ...disc(), weight: 600, leafWeight: 200 }],
      };
    },
  },
  {
    name: "huge-pages",
    about: "limits of huge pages",
    needs: needsController("hugetlb"),
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.hugepageLimits = [{ pageSize: "2MB", limit: 4 * MIB }];
    },
  },
  {
    name: "network-class",
    about: "class and priorities of network traffic",
    needs: needsController("net_cls", "net_prio"),
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.network = { classID: 0x100001, priorities: [{ name: "lo", priority: 5 }] };
    },
  },
  {
    name: "rdma",
    about: "limits of RDMA devices",
    needs: needsController("rdma", "an RDMA device"),
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.rdma = { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 } };
    },
  },
  {
    name: "unified",
    about: "files of cgroup v2 by name",
    unified: true,
    without: { crun: crunDevices },
    exec: "none",
    edit: ({ linux }) => {
      linux.resources.unified = { "cgroup.max.depth": "3", "cgroup.max.descendants": "5" };
    },
    shows: { "cgroup v2/cgroup.max.depth": "3", "cgroup v2/cgroup.max.descendants": "5" },
  },
  {
    name: "unified-spec",
    about: "what `spec` writes, with cgroup v2",
    unified: true,
    without: { crun: crunDevices },
    edit: () => {},
  },
  {
    name: "unified-delegated",
    about: "a cgroup v2 that belongs to the container's user",
    unified: true,
    without: { crun: crunDevices },
    edit: (config) => {
      config.process.user = { uid: 1000, gid: 1000 };
      const mount = config.mounts.find(({ destination }: { destination: string }) => destination === "/sys/fs/cgroup");
      mount.options = ["nosuid", "noexec", "nodev", "relatime"];
    },
  },
  {
    name: "cache-allocation",
    about: "a class of cache and memory bandwidth",
    needs: () => (readMounts().includes(" - resctrl ") ? undefined : "no resctrl file system is mounted"),
    exec: "none",
    edit: ({ linux }) => {
      linux.intelRdt = {
        closID: "compared",
        l3CacheSchema: "L3:0=ff",
        memBwSchema: "MB:0=50",
        schemata: [],
        enableMonitoring: true,
      };
    },
  },
];

const readMounts = (): string => readFileSync("/proc/self/mountinfo", "utf8");
const readRealtime = (): boolean => {
  try {
    readFileSync("/sys/fs/cgroup/cpu/cpu.rt_runtime_us");
    return true;
  } catch {
    return false;
  }
};
const weights = (): boolean => {
  try {
    readFileSync("/sys/fs/cgroup/blkio/blkio.bfq.weight");
    return true;
  } catch {
    return false;
  }
};
