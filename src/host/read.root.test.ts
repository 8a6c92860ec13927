import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { describe, expect, test } from "@jest/globals";
import { hostFactsFromJson, hostFactsToJson } from "./facts-json.ts";
import { readHostFacts } from "./read.ts";

describe("readHostFacts on this host", () => {
  const facts = readHostFacts();

  test("agrees with what the kernel says elsewhere", () => {
    expect(facts.kernel.release).toBe(release());
    expect(facts.kernel.major).toBeGreaterThanOrEqual(5);
    expect(facts.uid).toBe(0);
    expect(facts.lastCapability).toBe(Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8")));
    expect(facts.inUserNamespace).toBe(!/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync("/proc/self/uid_map", "utf8")));
  });

  test("every hierarchy is a cgroup file system in which this process stands where it says", () => {
    expect(facts.cgroup.hierarchies.length).toBeGreaterThan(0);
    for (const { version, mountPoint, own } of facts.cgroup.hierarchies) {
      const type = execFileSync("stat", ["--file-system", "--format=%T", mountPoint], { encoding: "utf8" }).trim();
      expect(type).toBe(version === 2 ? "cgroup2fs" : "cgroupfs");
      expect(readFileSync(`${mountPoint}${own}/cgroup.procs`, "utf8").split("\n")).toContain(String(process.pid));
    }
  });

  test("no two hierarchies share a controller", () => {
    const controllers = facts.cgroup.hierarchies.flatMap((each) => each.controllers);
    expect(new Set(controllers).size).toBe(controllers.length);
  });

  test("survive the way through JSON", () => {
    expect(hostFactsFromJson(hostFactsToJson(facts), "facts.json")).toEqual(facts);
  });
});
