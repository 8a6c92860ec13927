import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, isTsrun, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());
const own = isTsrun ? describe : describe.skip;

/** Where the controllers are: pure v2 (all in one directory), or one directory each. */
const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");
const MB = 1_048_576;

interface Running {
  readonly id: string;
  /** A file of the container's cgroup, by its v1 or its v2 name. */
  file(v1: readonly [controller: string, name: string], v2: string): string;
  write(v1: readonly [controller: string, name: string], v2: string, value: string): void;
}

function running(resources: Config = {}): Running {
  const id = box.id();
  let path = "";
  const bundle = box.bundle("sleep 1000", (config) => {
    path = config.linux.cgroupsPath;
    config.linux.resources = { ...config.linux.resources, ...resources };
  });
  box.ok(["run", "--detach", "--bundle", bundle, id]);
  const at = (v1: readonly [string, string], v2: string): string =>
    unified ? join("/sys/fs/cgroup", path, v2) : join("/sys/fs/cgroup", v1[0], path, v1[1]);
  return {
    id,
    file: (v1, v2) => readFileSync(at(v1, v2), "utf8").trim(),
    write: (v1, v2, value) => writeFileSync(at(v1, v2), value),
  };
}

const memory = (box: Running) => Number(box.file(["memory", "memory.limit_in_bytes"], "memory.max"));
/** Memory and swap together. */
const swap = (box: Running) => {
  const value = Number(box.file(["memory", "memory.memsw.limit_in_bytes"], "memory.swap.max"));
  return unified ? value + memory(box) : value;
};
const pids = (box: Running) => box.file(["pids", "pids.max"], "pids.max");

describe("update", () => {
  test("every option, read back", () => {
    const container = running();
    const { id, file } = container;
    box.ok(["update", "--memory", "64m", "--memory-swap", "96m", "--memory-reservation", "32m", id]);
    expect(memory(container)).toBe(64 * MB);
    expect(swap(container)).toBe(96 * MB);
    expect(Number(file(["memory", "memory.soft_limit_in_bytes"], "memory.low"))).toBe(32 * MB);
    box.ok(["update", "--cpu-period", "50000", "--cpu-quota", "20000", "--cpu-share", "512", id]);
    if (unified) expect(file(["", ""], "cpu.max")).toBe("20000 50000");
    else {
      expect(file(["cpu", "cpu.cfs_period_us"], "")).toBe("50000");
      expect(file(["cpu", "cpu.cfs_quota_us"], "")).toBe("20000");
      expect(file(["cpu", "cpu.shares"], "")).toBe("512");
    }
    box.ok(["update", "--cpuset-cpus", "0", "--cpuset-mems", "0", "--pids-limit", "33", id]);
    expect(file(["cpuset", "cpuset.cpus"], "cpuset.cpus")).toBe("0");
    expect(file(["cpuset", "cpuset.mems"], "cpuset.mems")).toBe("0");
    expect(pids(container)).toBe("33");
    box.ok(["update", "--pids-limit", "-1", id]);
    expect(pids(container)).toBe("max");
    box.ok(["update", "--cpu-quota", "-1", "--memory", "-1", id]);
    expect(file(["cpu", "cpu.cfs_quota_us"], "cpu.max")).toMatch(/^(-1|max 50000)$/);
    expect(file(["memory", "memory.limit_in_bytes"], "memory.max")).toMatch(/^(9223372036854771712|max)$/);
    box.ok(["delete", "--force", id]);
  });

  test("memory and swap go up and down together, in one call", () => {
    const container = running({ memory: { limit: 32 * MB, swap: 48 * MB } });
    const { id } = container;
    for (const [limit, both] of [
      [256, 512],
      [40, 50],
      [50, 50],
      [300, 600],
      [30, 35],
    ] as const) {
      box.ok(["update", "--memory", `${limit}m`, "--memory-swap", `${both}m`, id]);
      expect([memory(container), swap(container)]).toEqual([limit * MB, both * MB]);
    }
    // What is not named stays: the sum, or the limit.
    box.ok(["update", "--memory", "20m", id]);
    expect([memory(container), swap(container)]).toEqual([20 * MB, 35 * MB]);
    box.ok(["update", "--memory-swap", "60m", id]);
    expect([memory(container), swap(container)]).toEqual([20 * MB, 60 * MB]);
    expect(box.run(["update", "--memory", "70m", id]).status).toBe(1);
    expect([memory(container), swap(container)]).toEqual([20 * MB, 60 * MB]);
    box.ok(["delete", "--force", id]);
  });

  test("resources from a file or standard input; other options are ignored then", () => {
    const container = running();
    const { id } = container;
    const file = join(box.work, "resources.json");
    writeFileSync(
      file,
      JSON.stringify({ pids: { limit: 44 }, memory: { limit: 80 * MB }, cpu: { shares: 0, cpus: "" } }),
    );
    box.ok(["update", "--resources", file, "--pids-limit", "5", id]);
    expect([pids(container), memory(container)]).toEqual(["44", 80 * MB]);
    box.ok(["update", "-r", "-", id], { input: JSON.stringify({ pids: { limit: 45 } }) });
    expect([pids(container), memory(container)]).toEqual(["45", 80 * MB]);
    expect(box.run(["update", "-r", "-", id], { input: "{" }).status).toBe(1);
    box.ok(["delete", "--force", id]);
  });

  test("device rules stay as they are", () => {
    const container = running();
    const rules = () => (unified ? "" : container.file(["devices", "devices.list"], ""));
    if (!unified) container.write(["devices", "devices.allow"], "", "c 10:229 rwm");
    const before = rules();
    box.ok(["update", "-r", "-", container.id], {
      input: JSON.stringify({ pids: { limit: 12 }, devices: [{ allow: false, access: "rwm" }] }),
    });
    expect(rules()).toBe(before);
    expect(pids(container)).toBe("12");
    box.ok(["delete", "--force", container.id]);
  });

  test("not of a stopped container", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("true"), id]);
    waitFor("its end", () => box.state(id).status === "stopped");
    expect(box.run(["update", "--pids-limit", "5", id])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("container not running"),
    });
    box.ok(["delete", id]);
    expect(box.run(["update", "--pids-limit", "5", id]).stderr).toContain("does not exist");
  });
});

own("update of tsrun", () => {
  test("one that fails undoes what it wrote, and says so", () => {
    const container = running({ memory: { limit: 64 * MB }, cpu: { shares: 100 }, pids: { limit: 9 } });
    const everything = () => [
      memory(container),
      pids(container),
      container.file(["cpu", "cpu.shares"], "cpu.weight"),
      container.file(["cpuset", "cpuset.cpus"], "cpuset.cpus"),
    ];
    const before = everything();
    // No machine has this CPU, so the kernel refuses the last but one write.
    const options = ["--memory", "70m", "--cpu-share", "200", "--cpuset-cpus", "4000", "--pids-limit", "5"];
    expect(box.run(["update", ...options, container.id])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/cpuset\.cpus: E.*; the other limits are as they were/s),
    });
    expect(everything()).toEqual(before);
    // A fault at each step of a good update.
    const good = ["--memory", "70m", "--cpu-share", "200", "--pids-limit", "5", container.id];
    for (let step = 0; ; step++) {
      const result = box.run(["update", "--test-fault", `update:host:${step}:fail`, ...good]);
      if (result.status === 0) {
        expect(step).toBe(3);
        break;
      }
      expect(everything()).toEqual(before);
    }
    expect(pids(container)).toBe("5");
    box.ok(["delete", "--force", container.id]);
  });

  /** A container that holds 20 MB of memory which the kernel cannot take back: no swap, or not enough allowed. */
  function holding(resources: Config): Running {
    const container = running({ ...resources, memory: { limit: 64 * MB, swap: 64 * MB, ...resources.memory } });
    box.ok(["exec", container.id, "dd", "if=/dev/zero", "of=/dev/shm/held", "bs=1M", "count=20"]);
    return container;
  }

  (unified ? test.skip : test)(
    "v1: a limit of memory that the container cannot keep is refused, with the reason",
    () => {
      const container = holding({});
      const refused = box.run(["update", "--memory", "10m", "--memory-swap", "10m", container.id]);
      expect(refused).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(
          /limit_in_bytes: EBUSY .*: "\d+"; the other limits are as they were\n.*uses more/,
        ),
      });
      expect([memory(container), swap(container)]).toEqual([64 * MB, 64 * MB]);
      box.ok(["delete", "--force", container.id]);
    },
  );

  test("checkBeforeUpdate: a limit below what is in use is refused before anything is written", () => {
    const container = holding({ memory: { checkBeforeUpdate: true } });
    const { id } = container;
    const refused = box.run(["update", "--memory", "10m", "--memory-swap", "10m", "--pids-limit", "5", id]);
    expect(refused).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /\/linux\/resources\/memory\/limit: 10485760 is below the \d+ bytes that are in use/,
      ),
    });
    expect([memory(container), swap(container)]).toEqual([64 * MB, 64 * MB]);
    expect(pids(container)).not.toBe("5");
    expect(box.state(id).status).toBe("running");
    box.ok(["update", "--memory", "40m", "--memory-swap", "40m", id]);
    expect(memory(container)).toBe(40 * MB);
    box.ok(["delete", "--force", id]);
  });

  test("cpu-idle, cpu-burst and real time", () => {
    const container = running();
    const { id, file } = container;
    box.ok(["update", "--cpu-idle", "1", id]);
    expect(file(["cpu", "cpu.idle"], "cpu.idle")).toBe("1");
    box.ok(["update", "--cpu-idle", "0", "--cpu-share", "300", id]);
    expect(file(["cpu", "cpu.idle"], "cpu.idle")).toBe("0");
    box.ok(["update", "--cpu-quota", "50000", "--cpu-burst", "20000", id]);
    expect(file(["cpu", "cpu.cfs_burst_us"], "cpu.max.burst")).toBe("20000");
    box.ok(["update", "--cpu-burst", "0", id]);
    expect(file(["cpu", "cpu.cfs_burst_us"], "cpu.max.burst")).toBe("0");
    const realtime = box.run(["update", "--cpu-rt-period", "500000", "--cpu-rt-runtime", "0", id]);
    if (unified) expect(realtime.stderr).toContain("real-time");
    else expect(file(["cpu", "cpu.rt_period_us"], "")).toBe("500000");
    box.ok(["delete", "--force", id]);
  });

  test("a later update counts from this one, and exec reads its limits", () => {
    const container = running({ memory: { limit: 64 * MB, swap: 64 * MB } });
    box.ok(["update", "--memory", "50m", "--memory-swap", "100m", container.id]);
    const copy = JSON.parse(readFileSync(join(box.root, container.id, "config.json"), "utf8")) as Config;
    expect(copy.linux.resources.memory).toMatchObject({ limit: 50 * MB, swap: 100 * MB });
    expect(copy.process.args).toEqual(["sh", "-c", "sleep 1000"]);
    box.ok(["exec", container.id, "true"]);
    box.ok(["delete", "--force", container.id]);
  });

  test.each([
    [["--memory", "lots"], "--memory"],
    [["--cpu-share", "-5"], "--cpu-share"],
    [["--cpu-idle", "7"], "/cpu/idle"],
    [["--blkio-weight", "5"], "--blkio-weight"],
    [["--cpuset-cpus", "a-b"], "/cpu/cpus"],
    [["--l3-cache-schema", "L3:0=f"], "RDT"],
    [["--mem-bw-schema", "MB:0=50"], "RDT"],
  ])("%j is refused", (options, message) => {
    expect(box.run(["update", ...options, "nobody"])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(message),
    });
  });
});
