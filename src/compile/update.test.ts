import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Resources } from "../../spec-schemas/config.ts";
import type { PresentLimits } from "../host/facts.ts";
import { renderFields } from "../plan/render.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import type { Place } from "./kill.ts";
import { compileUpdate, targetsOf, undoText, withUndo } from "./update.ts";

const place = (version: 1 | 2, hierarchy: string, ...controllers: string[]): Place => ({
  hierarchy: `/sys/fs/cgroup/${hierarchy}`,
  path: "/web",
  version,
  controllers,
  created: true,
});
const v1 = ["memory", "cpu", "cpuset", "blkio", "pids", "devices"].map((name) => place(1, name, name));
const v2 = [place(2, "", "memory", "cpu", "cpuset", "io", "pids", "rdma")];

function update(places: Place[], asked: Resources, own: Resources = {}, present: PresentLimits = {}) {
  return compileUpdate({ id: "web", asked, own, present, places });
}
/** The writes as file = value. */
function writes(...args: Parameters<typeof update>): string[] {
  return update(...args).plan.host.map((step) =>
    step.kind === "cgroup.update" ? `${step.files.join("|")} = ${step.values.join("|")}` : step.kind,
  );
}

describe("update", () => {
  test("writes what is asked for and nothing else", () => {
    expect(writes(v1, { cpu: { shares: 512 } }, { memory: { limit: 1000 }, pids: { limit: 5 } })).toEqual([
      "cpu.shares = 512",
    ]);
    expect(writes(v1, { pids: { limit: -1 } })).toEqual(["pids.max = max"]);
    expect(writes(v1, { pids: { limit: 0 } })).toEqual(["pids.max = 0"]);
    expect(writes(v2, { cpu: { cpus: "0", mems: "0" }, blockIO: { weight: 100 } })).toEqual([
      "cpuset.cpus = 0",
      "cpuset.mems = 0",
      "io.bfq.weight|io.weight = 100|910",
    ]);
    expect(writes(v2, { unified: { "memory.high": "1000" } })).toEqual(["memory.high = 1000"]);
  });

  test("tells systemd once the kernel has agreed, and writes the files again, exactly", () => {
    const systemd = { name: "a.scope", managers: ["/run/systemd/private"], buses: [] };
    const input = { id: "web", own: { cpu: { quota: 10_000 } }, present: {}, places: v2, systemd };
    const { host } = compileUpdate({ ...input, asked: { cpu: { quota: 25_001 } } }).plan;
    expect(host.map(({ kind }) => kind)).toEqual(["cgroup.update", "systemd.setProperties", "cgroup.update"]);
    expect(renderFields(host[1] as HostStep)).toContain(
      'calls=SetUnitProperties("a.scope",true,[CPUQuotaPerSecUSec=260000]) GetUnit("a.scope") ' +
        'undo=SetUnitProperties("a.scope",true,[CPUQuotaPerSecUSec=100000]) GetUnit("a.scope")',
    );
    // What systemd has no property for, or has already.
    const same = compileUpdate({ ...input, asked: { cpu: { quota: 10_000, burst: 5 } } }).plan.host;
    expect(same.map(({ kind }) => kind)).not.toContain("systemd.setProperties");
  });

  test("never device rules", () => {
    const own: Resources = { devices: [{ allow: false, access: "rwm" }] };
    const { plan, resources } = update(v1, { devices: [{ allow: true, access: "rwm" }], pids: { limit: 3 } }, own);
    expect(plan.host).toHaveLength(1);
    expect(resources).toEqual({ ...own, pids: { limit: 3 } });
  });

  test("0 and the empty text of callers that send everything ask for nothing", () => {
    const zero: Resources = {
      memory: { limit: 0, swap: 0, reservation: 0 },
      cpu: { shares: 0, quota: 0, period: 0, cpus: "", mems: "" },
      blockIO: { weight: 0 },
      network: { classID: 0 },
    };
    const own: Resources = { memory: { limit: 5000, swap: 6000 }, cpu: { shares: 7 } };
    for (const places of [v1, v2]) {
      expect(writes(places, zero, own)).toEqual([]);
      expect(update(places, zero, own).resources).toMatchObject(own);
    }
  });

  test("what the container has from now on: the old, with the new over it", () => {
    const own: Resources = {
      memory: { limit: 1000, reservation: 500 },
      cpu: { shares: 100, cpus: "0" },
      hugepageLimits: [{ pageSize: "2MB", limit: 1 }],
    };
    expect(update(v1, { memory: { limit: 2000 }, cpu: { quota: 7 } }, own).resources).toEqual({
      memory: { limit: 2000, reservation: 500 },
      cpu: { shares: 100, cpus: "0", quota: 7 },
      hugepageLimits: [{ pageSize: "2MB", limit: 1 }],
    });
  });

  test("v2: a quota alone leaves the period; a period alone the quota", () => {
    expect(writes(v2, { cpu: { quota: 5000 } })).toEqual(["cpu.max = 5000"]);
    expect(writes(v2, { cpu: { quota: -1 } })).toEqual(["cpu.max = max"]);
    expect(writes(v2, { cpu: { period: 50_000 } }, {}, { cpuQuota: "7000" })).toEqual(["cpu.max = 7000 50000"]);
    expect(writes(v2, { cpu: { quota: 5000, period: 50_000 } })).toEqual(["cpu.max = 5000 50000"]);
  });

  test("v1: period and runtime of real time in the order that has room", () => {
    const asked = { cpu: { realtimePeriod: 1000, realtimeRuntime: 500 } };
    expect(writes(v1, asked, {}, { realtimeRuntime: 900n })).toEqual([
      "cpu.rt_period_us = 1000",
      "cpu.rt_runtime_us = 500",
    ]);
    expect(writes(v1, asked, {}, { realtimeRuntime: 2000n })).toEqual([
      "cpu.rt_runtime_us = 500",
      "cpu.rt_period_us = 1000",
    ]);
  });
});

describe("memory and swap", () => {
  test("swap alone counts from the limit that there is", () => {
    expect(writes(v2, { memory: { swap: 3000 } }, { memory: { limit: 1000 } })).toEqual([
      "memory.swap.max = 2000",
      "memory.max = 1000",
    ]);
    expect(() => update(v2, { memory: { swap: 3000 } })).toThrow(expect.objectContaining({ code: "config" }));
  });

  test("a limit alone keeps the sum; above the sum it is refused", () => {
    expect(writes(v2, { memory: { limit: 1500 } }, { memory: { limit: 1000, swap: 3000 } })).toEqual([
      "memory.swap.max = 1500",
      "memory.max = 1500",
    ]);
    expect(() => update(v1, { memory: { limit: 5000 } }, { memory: { limit: 1000, swap: 3000 } })).toThrow(
      expect.objectContaining({ code: "config", message: expect.stringContaining("3000") }),
    );
  });

  test("no limit of memory is none of swap either", () => {
    const own: Resources = { memory: { limit: 1000, swap: 3000 } };
    expect(writes(v2, { memory: { limit: -1 } }, own)).toEqual(["memory.swap.max = max", "memory.max = max"]);
    expect(update(v2, { memory: { limit: -1 } }, own).resources.memory).toEqual({ limit: -1, swap: -1 });
  });

  test("checkBeforeUpdate, asked for now or at create, refuses a limit below what is in use", () => {
    const present = { memoryUsage: 2000n };
    for (const places of [v1, v2]) {
      const below = () => update(places, { memory: { limit: 1000 } }, { memory: { checkBeforeUpdate: true } }, present);
      expect(below).toThrow(expect.objectContaining({ message: expect.stringContaining("2000 bytes") }));
      expect(() => update(places, { memory: { limit: 1000, checkBeforeUpdate: true } }, {}, present)).toThrow();
      expect(writes(places, { memory: { limit: 1000 } }, {}, present).length).toBeGreaterThan(0);
      expect(
        writes(places, { memory: { limit: 2000 } }, { memory: { checkBeforeUpdate: true } }, present).length,
      ).toBeGreaterThan(0);
    }
    // v1 counts memory and swap together, and refuses a limit of both that is below.
    const swapped = () =>
      update(
        v1,
        { memory: { limit: 2500, swap: 2500, checkBeforeUpdate: true } },
        {},
        { ...present, memorySwapUsage: 3000n },
      );
    expect(swapped).toThrow(expect.objectContaining({ message: expect.stringMatching(/swap: 2500 .* 3000 bytes/) }));
  });

  test("v1: every moment of the way is one that the kernel takes", () => {
    const bytes = fc.integer({ min: 1, max: 1000 });
    const pair = fc.tuple(bytes, bytes).map(([a, b]) => ({ limit: Math.min(a, b), swap: Math.max(a, b) }));
    fc.assert(
      fc.property(pair, pair, (own, asked) => {
        let { limit, swap } = own;
        const { plan } = update(v1, { memory: asked }, { memory: own }, { memoryLimit: BigInt(own.limit) });
        for (const step of plan.host) {
          if (step.kind !== "cgroup.update") throw new Error(step.kind);
          const value = Number(step.values[0]);
          if (step.files[0] === "memory.limit_in_bytes") limit = value;
          else swap = value;
          expect(limit).toBeLessThanOrEqual(swap);
        }
        expect({ limit, swap }).toEqual(asked);
      }),
    );
  });
});

describe("undo", () => {
  test("what a file said goes into its step; a file that is not there gets nothing", () => {
    const { plan } = update(v2, { blockIO: { weight: 100 }, pids: { limit: 3 } });
    expect(targetsOf(plan).map(({ file }) => file)).toEqual(["io.bfq.weight", "io.weight", "pids.max"]);
    const complete = withUndo(plan, ({ file }) => (file === "io.bfq.weight" ? undefined : "default 100\n"));
    expect(complete.host.map((step) => step.kind === "cgroup.update" && step.before)).toEqual([
      ["", "default 100"],
      ["default 100"],
    ]);
  });

  test.each([
    ["memory.limit_in_bytes", "9223372036854771712\n", "5", "9223372036854771712"],
    ["cpu.max", "max 100000\n", "5 6", "max 100000"],
    ["cpuset.cpus", "\n", "0", "\n"],
    ["memory.oom_control", "oom_kill_disable 1\nunder_oom 0\noom_kill 3\n", "0", "1"],
    ["blkio.throttle.read_bps_device", "8:0 100\n8:16 200\n", "8:16 5", "8:16 200"],
    ["blkio.throttle.read_bps_device", "", "8:16 5", "8:16 0"],
    [
      "io.max",
      "8:16 rbps=2097152 wbps=max riops=max wiops=120\n",
      "8:16 rbps=5",
      "8:16 rbps=2097152 wbps=max riops=max wiops=120",
    ],
    ["io.max", "", "8:16 rbps=5", "8:16 rbps=max"],
    ["io.bfq.weight", "default 100\n8:16 50\n", "8:32 10", "8:32 default"],
    ["rdma.max", "mlx4_0 hca_handle=2 hca_object=max\n", "mlx4_0 hca_handle=3", "mlx4_0 hca_handle=2 hca_object=max"],
    ["rdma.max", "", "mlx4_0 hca_handle=3", "mlx4_0 hca_handle=max"],
  ])("%s that said %j before %j", (file, text, value, wanted) => {
    expect(undoText(file, text, value)).toBe(wanted);
  });
});
