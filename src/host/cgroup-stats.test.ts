import { describe, expect, test } from "@jest/globals";
import { pageSizeName, statsOf } from "./cgroup-stats.ts";
import type { CgroupPlace } from "./facts.ts";

const place = (version: 1 | 2, ...controllers: string[]): CgroupPlace => ({
  hierarchy: "/sys/fs/cgroup",
  path: "/web",
  version,
  controllers,
  created: true,
});

/** Statistics of a host whose cgroups hold exactly these files. */
function stats(places: CgroupPlace[], files: Record<string, string>, pageSizes: string[] = []) {
  return statsOf(places, (_, file) => files[file], pageSizes) as Record<string, Record<string, unknown>>;
}

const v1 = ["cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "hugetlb"].map((name) => place(1, name));
const v2 = [place(2, "cpu", "cpuset", "memory", "pids", "io", "hugetlb")];

test("with nothing to be read it has runc's shape all the same", () => {
  const zero = { limit: 0n, failcnt: 0n };
  expect(stats([], {})).toEqual({
    cpu: { usage: { kernel: 0n, user: 0n }, throttling: {} },
    cpuset: {
      cpu_exclusive: 0n,
      mem_hardwall: 0n,
      mem_exclusive: 0n,
      memory_migrate: 0n,
      memory_spread_page: 0n,
      memory_spread_slab: 0n,
      memory_pressure: 0n,
      sched_load_balance: 0n,
      sched_relax_domain_level: 0,
    },
    memory: { usage: zero, swap: zero, kernel: zero, kernelTCP: zero },
    pids: {},
    blkio: {},
    hugetlb: {},
    intel_rdt: {},
    network_interfaces: null,
  });
});

describe("v1", () => {
  test("cpu and cpuset", () => {
    const { cpu, cpuset } = stats(v1, {
      "cpu.stat": "nr_periods 5\nnr_throttled 2\nthrottled_time 300\n",
      "cpuacct.usage": "7354480\n",
      "cpuacct.usage_percpu": "6582925 771555 \n",
      "cpuacct.usage_all": "cpu user system\n0 10 20\n1 30 40\n",
      "cpuacct.stat": "user 3\nsystem 4\n",
      "cpuset.cpus": "0-2,5\n",
      "cpuset.mems": "0\n",
      "cpuset.sched_relax_domain_level": "-1\n",
    });
    expect(cpu).toEqual({
      usage: {
        total: 7_354_480n,
        percpu: [6_582_925n, 771_555n],
        percpu_kernel: [20n, 40n],
        percpu_user: [10n, 30n],
        kernel: 40_000_000n,
        user: 30_000_000n,
      },
      throttling: { periods: 5n, throttledPeriods: 2n, throttledTime: 300n },
    });
    expect(cpuset).toMatchObject({ cpus: [0, 1, 2, 5], mems: [0], sched_relax_domain_level: -1 });
  });

  test("memory, with numbers beyond 2^53", () => {
    const { memory } = stats(v1, {
      "memory.stat": "cache 12\nrss 5\nhierarchical_memory_limit 9223372036854771712\n",
      "memory.limit_in_bytes": "9223372036854771712\n",
      "memory.usage_in_bytes": "565248\n",
      "memory.max_usage_in_bytes": "2248704\n",
      "memory.failcnt": "3\n",
    });
    expect(memory).toMatchObject({
      cache: 12n,
      usage: { limit: 9_223_372_036_854_771_712n, usage: 565_248n, max: 2_248_704n, failcnt: 3n },
      raw: { rss: 5n, hierarchical_memory_limit: 9_223_372_036_854_771_712n },
    });
  });

  test("pids: no limit is none", () => {
    expect(stats(v1, { "pids.current": "1\n", "pids.max": "max\n" }).pids).toEqual({ current: 1n });
    expect(stats(v1, { "pids.current": "1\n", "pids.max": "9\n" }).pids).toEqual({ current: 1n, limit: 9n });
  });

  test("blkio: the first group of files that has something", () => {
    const throttle = { "blkio.throttle.io_serviced_recursive": "8:0 Read 7\n8:0 Total 7\nTotal 7\n" };
    const serviced = [
      { major: 8n, op: "Read", value: 7n },
      { major: 8n, op: "Total", value: 7n },
    ];
    expect(stats(v1, throttle).blkio).toEqual({ ioServicedRecursive: serviced });
    expect(stats(v1, { ...throttle, "blkio.bfq.sectors_recursive": "8:16 4\n" }).blkio).toEqual({
      sectorsRecursive: [{ major: 8n, minor: 16n, value: 4n }],
    });
  });

  test("hugetlb: reservations where they are counted", () => {
    const files = {
      "hugetlb.2MB.usage_in_bytes": "1",
      "hugetlb.2MB.rsvd.usage_in_bytes": "5",
      "hugetlb.1GB.failcnt": "9",
    };
    expect(stats(v1, files, ["2MB", "1GB"]).hugetlb).toEqual({ "2MB": { usage: 5n, failcnt: 0n } });
  });
});

describe("v2", () => {
  test("in v1's units and sums", () => {
    const { cpu, memory, blkio, hugetlb } = stats(
      v2,
      {
        "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 1\nnr_throttled 0\nthrottled_usec 4\n",
        "cpu.pressure":
          "some avg10=1.50 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=6\n",
        "memory.stat": "anon 1\nfile 2\n",
        "memory.current": "100\n",
        "memory.max": "1000\n",
        "memory.peak": "150\n",
        "memory.swap.current": "10\n",
        "memory.swap.max": "500\n",
        "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:16 \n",
        "hugetlb.2MB.current": "7\n",
        "hugetlb.2MB.events": "max 8\n",
      },
      ["2MB"],
    );
    expect(cpu).toEqual({
      usage: { total: 5000n, kernel: 2000n, user: 3000n },
      throttling: { periods: 1n, throttledTime: 4000n },
      psi: {
        some: { avg10: 1.5, avg60: 0, avg300: 0, total: 77n },
        full: { avg10: 0, avg60: 0, avg300: 0, total: 6n },
      },
    });
    expect(memory).toMatchObject({
      cache: 2n,
      usage: { limit: 1000n, usage: 100n, max: 150n, failcnt: 0n },
      swap: { limit: 1500n, usage: 110n, failcnt: 0n },
    });
    expect(blkio).toEqual({
      ioServiceBytesRecursive: [
        { major: 8n, op: "Read", value: 1n },
        { major: 8n, op: "Write", value: 2n },
      ],
      ioServicedRecursive: [
        { major: 8n, op: "Read", value: 3n },
        { major: 8n, op: "Write", value: 4n },
      ],
    });
    expect(hugetlb).toEqual({ "2MB": { usage: 7n, failcnt: 8n } });
  });

  test("no limit is the largest number", () => {
    const files = { "memory.current": "1", "memory.max": "max", "memory.swap.current": "0", "memory.swap.max": "max" };
    const { memory } = stats(v2, files);
    expect(memory).toMatchObject({ usage: { limit: 2n ** 64n - 1n }, swap: { limit: 2n ** 64n - 1n } });
  });
});

test("huge pages are named as the controller's files", () => {
  expect([64, 2048, 1_048_576].map(pageSizeName)).toEqual(["64KB", "2MB", "1GB"]);
});
