/** The host as the bundles see it, with the view of cgroups that this process has. */
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { release } from "node:os";
import type { Host } from "./bundle.ts";

const CGROUP2_MAGIC = 0x6367_7270;
const isUnified = (path: string): boolean => existsSync(path) && statfsSync(path).type === CGROUP2_MAGIC;

/** How /sys/fs/cgroup is set up: crun refuses the mixture, so both are compared with v1 there. */
export function cgroupMode(): "v1" | "v2" | "hybrid" {
  if (isUnified("/sys/fs/cgroup")) return "v2";
  return isUnified("/sys/fs/cgroup/unified") ? "hybrid" : "v1";
}

export function readHost(): Host {
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(release()) ?? [];
  const cgroups = cgroupMode() === "v2" ? "v2" : "v1";
  const controllers =
    cgroups === "v2"
      ? readFileSync("/sys/fs/cgroup/cgroup.controllers", "utf8").trim().split(" ")
      : readFileSync("/proc/self/mountinfo", "utf8")
          .split("\n")
          .flatMap((line) => / - cgroup \S+ (\S*)$/.exec(line)?.[1]?.split(",") ?? []);
  const enabled = "/sys/module/apparmor/parameters/enabled";
  const effective = /^CapEff:\t(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return {
    cgroups,
    kernel: [Number(major), Number(minor)],
    controllers: new Set(controllers),
    appArmor: existsSync(enabled) && readFileSync(enabled, "utf8").trim() === "Y",
    selinux: existsSync("/sys/fs/selinux/enforce"),
    capabilities: BigInt(`0x${effective}`),
  };
}
