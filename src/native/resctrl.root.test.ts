/**
 * resctrl's steps on a tree that looks like it, in a tmpfs: no machine of the tests has the hardware. What the kernel does by
 * itself (files in a new directory, the check of schemata, limits of classes) is not shown here.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { encodePlan } from "../plan/encode.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import { openSession, type StepFailure } from "./native.ts";

const TMPFS_MAGIC = 0x0102_1994;
let root: string;
beforeEach(() => {
  root = mkdtempSync("/dev/shm/tsrun-resctrl-");
  expect(statfsSync(root).type).toBe(TMPFS_MAGIC);
  makeClass("");
  mkdirSync(join(root, "info"));
  writeFileSync(join(root, "info/last_cmd_status"), "ok\n");
});
afterEach(() => rmSync(root, { recursive: true }));

function makeClass(path: string): void {
  mkdirSync(join(root, path, "mon_groups"), { recursive: true });
  writeFileSync(join(root, path, "schemata"), "L3:0=fff\nMB:0=100\n");
  writeFileSync(join(root, path, "tasks"), "");
}
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const at = () => ({ root, magic: TMPFS_MAGIC });
const create = (path: string, make = true, existing = true): HostStep => ({
  kind: "resctrl.create",
  ...at(),
  path,
  make,
  existing,
});
const write = (path: string, value: string): HostStep => ({ kind: "resctrl.write", ...at(), path, value });
const remove = (path: string): HostStep => ({ kind: "resctrl.remove", ...at(), path });
const spawn: HostStep = { kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 };

/** Runs the steps; undone afterwards unless `keep`. */
function run(steps: HostStep[], keep = true): StepFailure | undefined {
  const session = openSession();
  try {
    const { failure } = session.execute(encodePlan({ title: "t", host: steps, container: [] }));
    if (failure === undefined && keep) session.commit();
    return failure;
  } finally {
    session.close();
  }
}

describe("a class", () => {
  test("is made, stays after a commit, is removed with its monitoring group; what is gone is none to remove", () => {
    expect(run([create("/web")])).toBeUndefined();
    expect(existsSync(join(root, "web"))).toBe(true);
    expect(run([create("/mon_groups/web", true, false)])).toBeUndefined();
    const removal = [remove("/mon_groups/web"), remove("/web")];
    expect(run(removal)).toBeUndefined();
    expect(existsSync(join(root, "web")) || existsSync(join(root, "mon_groups/web"))).toBe(false);
    expect(run([...removal, remove("/gone/mon_groups/web")])).toBeUndefined();
  });

  test("that was made is removed when the plan is undone, one that was there stays as it was", () => {
    makeClass("/there");
    expect(
      run([create("/web"), create("/there"), write("/there", "L3:0=f\n"), write("/there", "MB:0=10\n")], false),
    ).toBeUndefined();
    expect(existsSync(join(root, "web"))).toBe(false);
    expect(read("there/schemata")).toBe("L3:0=fff\nMB:0=100\n");
    expect(run([create("/web"), create("/no/such/parent")])).toMatchObject({ kind: "resctrl.create", errno: 2 });
    expect(existsSync(join(root, "web"))).toBe(false);
  });

  test("that must be there and is not is an error; the default class is there", () => {
    expect(run([create("/web", false)])).toMatchObject({ op: "openat2", errno: 2, path: `${root}/web` });
    expect(run([create("/", false), write("/", "MB:0=20\n")])).toBeUndefined();
    expect(read("schemata")).toBe("MB:0=20\n");
  });

  test("that may not be there and is, is an error; a file or a link is no class", () => {
    mkdirSync(join(root, "mon_groups/web"));
    expect(run([create("/mon_groups/web", true, false)])).toMatchObject({ op: "mkdirat", errno: 17 });
    expect(run([create("/tasks")])).toMatchObject({ op: "openat2", errno: 20 });
    symlinkSync("/tmp", join(root, "link"));
    expect(run([create("/link")])).toMatchObject({ op: "openat2", errno: 40 });
    expect(run([create("/link/x")])).toMatchObject({ op: "openat2", errno: 40 });
    expect(run([create("/../x")])).toMatchObject({ op: "verify" });
    expect(run([remove("/")])).toMatchObject({ op: "verify" });
  });

  test("gets the process, in it and in the monitoring group", () => {
    makeClass("/web");
    mkdirSync(join(root, "web/mon_groups/web"));
    writeFileSync(join(root, "web/mon_groups/web/tasks"), "");
    const session = openSession();
    const join_ = (path: string, gone = false): HostStep => ({ kind: "resctrl.join", ...at(), path, gone });
    try {
      const host = [spawn, join_("/web"), join_("/web/mon_groups/web"), join_("/gone", true)];
      const outcome = session.execute(encodePlan({ title: "t", host, container: [{ kind: "sync.wait", point: 3 }] }));
      expect(outcome.failure).toBeUndefined();
      expect(read("web/tasks")).toBe(`${outcome.pid}`);
      expect(read("web/mon_groups/web/tasks")).toBe(`${outcome.pid}`);
    } finally {
      session.close();
    }
    expect(run([join_("/gone")])).toMatchObject({ kind: "resctrl.join", errno: 2 });
  });
});

test("what is no resctrl is not touched", () => {
  const step = { ...create("/web"), magic: 0x0765_5821 } as HostStep;
  expect(run([step])).toMatchObject({ op: "verify", path: root, text: "not a resctrl file system" });
  expect(existsSync(join(root, "web"))).toBe(false);
});

test("a refusal comes with resctrl's own words", () => {
  // A class without room, as far as a tmpfs can have it: a file that is in the way.
  writeFileSync(join(root, "info/last_cmd_status"), "Out of CLOSIDs\n");
  mkdirSync(join(root, "mon_groups/web"));
  expect(run([create("/mon_groups/web", true, false)])).toMatchObject({ op: "mkdirat", text: "Out of CLOSIDs" });
});
