/** What of the host decides whether a case can pass on it. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";

export const host = {
  /** Whether a v1 hierarchy holds this controller. */
  v1Controller: (name: string): boolean =>
    readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .some((line) => / - cgroup \S+ (\S*)$/.exec(line)?.[1]?.split(",").includes(name)),
  kernelAtLeast: (major: number, minor: number): boolean => {
    const [, hasMajor, hasMinor] = /^(\d+)\.(\d+)/.exec(release()) ?? [];
    return Number(hasMajor) > major || (Number(hasMajor) === major && Number(hasMinor) >= minor);
  },
  /** Whether this process has the capability with this number. */
  capability: (number: number): boolean => {
    const effective = /^CapEff:\t(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return (BigInt(`0x${effective}`) & (1n << BigInt(number))) !== 0n;
  },
  /** Whether AppArmor has this profile. */
  apparmorKnows: (profile: string): boolean =>
    readFileSync("/sys/kernel/security/apparmor/profiles", "utf8")
      .split("\n")
      .some((line) => line.startsWith(`${profile} (`)),
  /** Whether SELinux's policy has all that this label names: its `context` file takes no other. */
  selinuxKnows: (label: string): boolean => {
    try {
      writeFileSync("/sys/fs/selinux/context", label);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EINVAL") return false;
      throw error;
    }
  },
  /** By what each shows outside securityfs, which need not be mounted. */
  securityModule: (name: "apparmor" | "selinux"): boolean => {
    if (name === "selinux") return existsSync("/sys/fs/selinux/enforce");
    const enabled = "/sys/module/apparmor/parameters/enabled";
    return existsSync(enabled) && readFileSync(enabled, "utf8").trim() === "Y";
  },
};
