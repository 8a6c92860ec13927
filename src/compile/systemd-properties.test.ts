import { describe, expect, test } from "@jest/globals";
import type { Resources } from "../../spec-schemas/config.ts";
import { changedProperties, resourceProperties } from "./systemd-properties.ts";

const INFINITY = 2n ** 64n - 1n;
const values = (resources: Resources): Record<string, unknown> =>
  Object.fromEntries(resourceProperties(resources).map(({ name, value }) => [name, value]));

describe("resources as properties", () => {
  test.each<readonly [string, Resources, Record<string, unknown>]>([
    ["nothing", {}, {}],
    ["0 of callers that send all", { memory: { limit: 0, swap: 0 }, cpu: { shares: 0, quota: 0, period: 0 } }, {}],
    [
      "memory",
      { memory: { limit: 4096, swap: 8192, reservation: 1024 } },
      { MemoryMax: 4096n, MemorySwapMax: 4096n, MemoryLow: 1024n },
    ],
    [
      "no limit of memory is one of swap neither",
      { memory: { limit: -1 } },
      { MemoryMax: INFINITY, MemorySwapMax: INFINITY },
    ],
    ["shares", { cpu: { shares: 1024 } }, { CPUWeight: 100n }],
    ["a quota, rounded up to a percent", { cpu: { quota: 25_001 } }, { CPUQuotaPerSecUSec: 260_000n }],
    ["a quota that is whole percents", { cpu: { quota: 25_000 } }, { CPUQuotaPerSecUSec: 250_000n }],
    [
      "quota and period",
      { cpu: { quota: 3000, period: 2000 } },
      { CPUQuotaPeriodUSec: 2000n, CPUQuotaPerSecUSec: 1_500_000n },
    ],
    ["a period alone", { cpu: { period: 2000 } }, { CPUQuotaPeriodUSec: 2000n, CPUQuotaPerSecUSec: INFINITY }],
    ["no quota", { cpu: { quota: -1 } }, { CPUQuotaPerSecUSec: INFINITY }],
    ["cpusets", { cpu: { cpus: "0-1,9", mems: "0" } }, { AllowedCPUs: [3, 2], AllowedMemoryNodes: [1] }],
    ["CPU 64", { cpu: { cpus: "64" } }, { AllowedCPUs: [0, 0, 0, 0, 0, 0, 0, 0, 1] }],
    ["blkio's weight", { blockIO: { weight: 1000 } }, { IOWeight: 10_000n }],
    ["processes", { pids: { limit: 32 } }, { TasksMax: 32n }],
    ["no limit of processes", { pids: { limit: -1 } }, { TasksMax: INFINITY }],
    ["no processes, which systemd has no word for", { pids: { limit: 0 } }, { TasksMax: 1n }],
    [
      "unified",
      {
        unified: {
          "memory.high": "4096",
          "memory.min": "max",
          "cpu.max": "50000 100000",
          "cpuset.cpus": "1",
          "pids.max": "7",
          "cpu.weight": "200",
        },
      },
      {
        MemoryHigh: 4096n,
        MemoryMin: INFINITY,
        CPUQuotaPeriodUSec: 100_000n,
        CPUQuotaPerSecUSec: 500_000n,
        AllowedCPUs: [2],
        TasksMax: 7n,
        CPUWeight: 200n,
      },
    ],
    ["unified comes last", { memory: { limit: 1 }, unified: { "memory.max": "2" } }, { MemoryMax: 2n }],
    ["what is for the files alone", { unified: { "memory.max": "1G", "hugetlb.2MB.max": "0", "cpu.max": "x" } }, {}],
  ])("%s", (_, resources, expected) => {
    expect(values(resources)).toEqual(expected);
  });

  test("a list that is none is refused", () => {
    expect(() => resourceProperties({ cpu: { cpus: "0-" } })).toThrow('/linux/resources/cpu/cpus: "0-" is no list');
  });
});

test("an update says what changes, and how it was", () => {
  const own: Resources = { memory: { limit: 1000 }, cpu: { cpus: "0" } };
  const now: Resources = {
    memory: { limit: 2000, reservation: 5 },
    cpu: { cpus: "0", quota: 10_000 },
    pids: { limit: 3 },
  };
  expect(changedProperties(own, now)).toEqual({
    changed: [
      { name: "MemoryMax", signature: "t", value: 2000n },
      { name: "MemoryLow", signature: "t", value: 5n },
      { name: "CPUQuotaPerSecUSec", signature: "t", value: 100_000n },
      { name: "TasksMax", signature: "t", value: 3n },
    ],
    before: [
      { name: "MemoryMax", signature: "t", value: 1000n },
      { name: "MemoryLow", signature: "t", value: 0n },
      { name: "CPUQuotaPerSecUSec", signature: "t", value: INFINITY },
      { name: "TasksMax", signature: "t", value: INFINITY },
    ],
  });
});
