/** What of the machine belongs beside every number. */
import { existsSync, statfsSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release } from "node:os";
import type { Host } from "./report.ts";

const CGROUP2_SUPER_MAGIC = 0x63677270;

export function cgroupMode(): "v1" | "v2" | "hybrid" {
  const isV2 = (path: string): boolean => existsSync(path) && statfsSync(path).type === CGROUP2_SUPER_MAGIC;
  if (isV2("/sys/fs/cgroup")) return "v2";
  return isV2("/sys/fs/cgroup/unified") ? "hybrid" : "v1";
}

/** `node`: the version of the Node that runs tsrun. */
export function describeHost(node: string): Host {
  return {
    kernel: release(),
    cpu: cpus()[0]?.model ?? process.arch,
    cpus: availableParallelism(),
    cgroups: cgroupMode(),
    load: (loadavg()[0] ?? 0).toFixed(1),
    node,
    date: new Date().toISOString().slice(0, 10),
  };
}
