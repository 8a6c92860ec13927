import { describe, expect, test } from "@jest/globals";
import { matchValue } from "./cgroup-values.ts";

describe("a cgroup's value against what was written", () => {
  test.each([
    ["memory.max", "67108864", "67108864", "same", "67108864"],
    ["memory.max", "67108865", "67108864", "rounded", "67108864"],
    ["memory.max", "67108864", "33554432", "other", "33554432"],
    ["memory.max", "67108864", "67112960", "other", "67112960"],
    ["memory.max", "max", "max", "same", "max"],
    ["memory.limit_in_bytes", "-1", "9223372036854771712", "same", "9223372036854771712"],
    ["memory.memsw.limit_in_bytes", "-1", "4096", "other", "4096"],
    ["memory.oom_control", "1", "oom_kill_disable 1\nunder_oom 0\noom_kill 0", "same", "1"],
    ["memory.oom_control", "1", "oom_kill_disable 0\nunder_oom 0\noom_kill 0", "other", "0"],
    ["hugetlb.2MB.limit_in_bytes", "3145728", "2097152", "rounded", "2097152"],
    ["hugetlb.2MB.max", "4194304", "2097152", "other", "2097152"],
    ["pids.max", "max", "max", "same", "max"],
    ["pids.max", "4", "40", "other", "40"],
    ["cpuset.cpus", "0,1,2,5", "0-2,5", "same", "0-2,5"],
    ["cpuset.cpus", "0-1", "0", "other", "0"],
    ["cpu.max", "50000", "50000 100000", "same", "50000 100000"],
    ["cpu.max", "50000 100000", "max 100000", "other", "max 100000"],
    ["cpu.weight", "59", "59", "same", "59"],
    ["io.weight", "500", "default 500\n8:0 100", "same", "500"],
    ["io.bfq.weight", "500", "100", "other", "100"],
    [
      "io.max",
      "8:0 rbps=1000",
      "8:16 rbps=1\n8:0 rbps=1000 wbps=max riops=max wiops=max",
      "same",
      "8:0 rbps=1000 wbps=max riops=max wiops=max",
    ],
    [
      "io.max",
      "8:0 rbps=1000",
      "8:0 rbps=2000 wbps=max riops=max wiops=max",
      "other",
      "8:0 rbps=2000 wbps=max riops=max wiops=max",
    ],
    ["io.max", "8:0 rbps=max", "", "same", "8:0: none"],
    ["io.max", "8:0 wbps=7", "", "other", "8:0: none"],
    ["blkio.throttle.read_bps_device", "8:0 1000", "8:0 1000", "same", "8:0 1000"],
    ["blkio.throttle.read_bps_device", "8:0 0", "", "same", "8:0: none"],
    ["net_prio.ifpriomap", "lo 3", "lo 3\neth0 0", "same", "lo 3"],
  ])("%s: %j written, %j read: %s", (file, wanted, shown, kind, actual) => {
    expect(matchValue(file, wanted, shown)).toEqual({ kind, actual });
  });
});
