import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";

const run = (command: string, ...parameters: string[]): string =>
  execFileSync(command, parameters, { encoding: "utf8" }).trim();

/** The other tests' results are worth something only where these hold. */
describe("the guest has what hosts may lack", () => {
  test("nothing but cgroup v2, with all controllers below systemd", () => {
    expect(run("stat", "--file-system", "--format=%T", "/sys/fs/cgroup")).toBe("cgroup2fs");
    expect(readFileSync("/proc/mounts", "utf8")).not.toMatch(/ cgroup /);
    expect(readFileSync("/sys/fs/cgroup/cgroup.controllers", "utf8").split(/\s/)).toEqual(
      expect.arrayContaining(["cpuset", "cpu", "io", "memory", "hugetlb", "pids"]),
    );
  });

  test("systemd as pid 1, with everything up", () => {
    expect(readFileSync("/proc/1/comm", "utf8").trim()).toBe("systemd");
    expect(run("systemctl", "is-system-running")).toBe("running");
  });

  test("all capabilities, CAP_SYS_RESOURCE among them", () => {
    const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    expect(BigInt(`0x${effective}`)).toBe((1n << BigInt(last + 1)) - 1n);
  });

  test("AppArmor or SELinux", () => {
    expect(readFileSync("/sys/kernel/security/lsm", "utf8").split(",")).toEqual(
      expect.arrayContaining([existsSync("/sys/fs/selinux/enforce") ? "selinux" : "apparmor"]),
    );
  });

  test("a normal user with a service manager and a delegated cgroup of its own, and with ids to map", () => {
    expect(run("as-user", "id", "--user", "--name")).toBe("tester");
    expect(run("as-user", "cat", "/proc/self/cgroup")).toMatch(
      /^0::\/user\.slice\/user-1000\.slice\/user@1000\.service\//,
    );
    expect(run("as-user", "unshare", "--user", "--map-auto", "cat", "/proc/self/uid_map")).toMatch(/65536$/);
  });

  test("the project where the host has it, with the Node that tsrun was built for", () => {
    const node = readFileSync("dist/node-path", "utf8").trim();
    expect(process.execPath).toBe(realpathSync(node));
    expect(statSync("bin/tsrun").mode & 0o111).toBe(0o111);
  });
});
