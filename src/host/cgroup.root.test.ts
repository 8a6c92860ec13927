import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { cgroupOf, freezerPlace, isFrozen, memoryUsage, processesOf, withCreated } from "./cgroup.ts";
import type { CgroupPlace, Hierarchy } from "./facts.ts";
import { readHostFacts } from "./read.ts";

const SHARED = "/tsrun-test";
const path = `${SHARED}/host-${process.pid}`;
const hierarchies = readHostFacts().cgroup.hierarchies.filter(
  ({ version, controllers }) =>
    version === 2 || controllers.some((name) => ["freezer", "memory", "pids"].includes(name)),
);
const places: CgroupPlace[] = hierarchies.map(({ mountPoint, version, controllers }) => ({
  hierarchy: mountPoint,
  path,
  version,
  controllers,
  created: true,
}));
const by = (wanted: string): CgroupPlace => {
  const found = places.find(({ version, controllers }) =>
    wanted === "v2" ? version === 2 : controllers.includes(wanted),
  );
  if (found === undefined) throw new Error(`these tests need ${wanted}`);
  return found;
};
const both = places.some(({ version }) => version === 1) && places.some(({ version }) => version === 2);
// Elsewhere skipped: a host with both versions mounted is what it is about.
const onHybrid = both ? test : test.skip;
const onV2 = places.some(({ version }) => version === 2) ? test : test.skip;

/** The last one out removes the parent. */
function leaveShared(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    // Others test below it, or one of them has just removed it.
    if (!["EBUSY", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
beforeAll(() => {
  for (const { hierarchy, version, controllers } of places) {
    mkdirSync(`${hierarchy}${path}`, { recursive: true });
    // A v2 cgroup has a controller once its parents hand it down.
    if (version === 2 && controllers.includes("memory"))
      for (const parent of ["", SHARED]) writeFileSync(`${hierarchy}${parent}/cgroup.subtree_control`, "+memory");
  }
});
afterAll(() => {
  for (const { hierarchy } of places) {
    rmdirSync(`${hierarchy}${path}`);
    leaveShared(`${hierarchy}${SHARED}`);
  }
});

/** Runs `use` with the pid of a process that stands in this cgroup of the hierarchy. */
async function withProcess(hierarchy: string, at: string, use: (pid: number) => void): Promise<void> {
  const child = spawn("sleep", ["1000"]);
  try {
    writeFileSync(`${hierarchy}${at}/cgroup.procs`, String(child.pid));
    use(child.pid as number);
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

describe("a container's cgroups", () => {
  onHybrid("hybrid: frozen or not, on both versions", () => {
    const [v1, v2] = [by("freezer"), by("v2")];
    expect(freezerPlace(places)).toBe(v1);
    expect(freezerPlace([v2])).toBe(v2);
    expect(freezerPlace([by("pids")])).toBeUndefined();
    for (const [place, file, on, off] of [
      [v1, "freezer.state", "FROZEN", "THAWED"],
      [v2, "cgroup.freeze", "1", "0"],
    ] as const) {
      expect(isFrozen([place])).toBe(false);
      writeFileSync(`${place.hierarchy}${path}/${file}`, on);
      expect(isFrozen([place])).toBe(true);
      writeFileSync(`${place.hierarchy}${path}/${file}`, off);
      expect(isFrozen([place])).toBe(false);
    }
    expect(isFrozen([])).toBe(false);
    expect(isFrozen([{ ...v1, path: `${path}/gone` }])).toBe(false);
  });

  test("its processes, those below it too", async () => {
    const { hierarchy } = by("pids");
    mkdirSync(`${hierarchy}${path}/a/b`, { recursive: true });
    await withProcess(hierarchy, path, (first) => {
      expect(processesOf(by("pids"))).toEqual([first]);
    });
    await withProcess(hierarchy, `${path}/a/b`, (second) => {
      expect(processesOf(by("pids"))).toEqual([second]);
      expect(cgroupOf(second, hierarchies.find(({ mountPoint }) => mountPoint === hierarchy) as Hierarchy)).toBe(
        `${path}/a/b`,
      );
    });
    rmdirSync(`${hierarchy}${path}/a/b`);
    rmdirSync(`${hierarchy}${path}/a`);
    expect(processesOf({ hierarchy, path: `${path}/gone` })).toEqual([]);
  });

  onV2("v2: a threaded cgroup below is passed over", async () => {
    const v2 = by("v2");
    mkdirSync(`${v2.hierarchy}${path}/t`);
    writeFileSync(`${v2.hierarchy}${path}/t/cgroup.type`, "threaded");
    await withProcess(v2.hierarchy, path, (pid) => expect(processesOf(v2)).toEqual([pid]));
    rmdirSync(`${v2.hierarchy}${path}/t`);
  });

  test("where a process stands, and that it has gone", async () => {
    let gone = 0;
    for (const hierarchy of hierarchies) {
      expect(cgroupOf(process.pid, hierarchy)).toBe(hierarchy.own);
      await withProcess(hierarchy.mountPoint, path, (pid) => {
        expect(cgroupOf(pid, hierarchy)).toBe(path);
        gone = pid;
      });
      expect(existsSync(`/proc/${gone}`) ? undefined : cgroupOf(gone, hierarchy)).toBeUndefined();
    }
  });

  test("what create will make", () => {
    expect(withCreated([by("pids"), { ...by("pids"), path: `${path}/new` }]).map(({ created }) => created)).toEqual([
      false,
      true,
    ]);
  });

  test("memory in use", () => {
    const memory = hierarchies.find(({ controllers }) => controllers.includes("memory")) as Hierarchy;
    const own = { ...by("memory"), path: memory.own };
    expect(memoryUsage([own])).toEqual(expect.any(BigInt));
    expect(memoryUsage([{ ...own, controllers: ["cpu"] }])).toBeUndefined();
  });
});
