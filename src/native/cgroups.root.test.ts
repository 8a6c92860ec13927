/** The cgroup steps on this host's real hierarchies, below /tsrun-test only. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Config, Linux, Resources } from "../../spec-schemas/config.ts";
import { type Cgroups, compileCgroups } from "../compile/cgroups.ts";
import { deviceProgram } from "../compile/device-program.ts";
import { type DeviceConfig, deviceRules } from "../compile/device-rules.ts";
import type { ContainerId } from "../core/brands.ts";
import type { HostFacts } from "../host/facts.ts";
import { readHostFacts } from "../host/read.ts";
import { encodePlan, point } from "../plan/encode.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import { kernelAtLeast } from "./container.fixture.ts";
import { openSession, type Session, type StepFailure } from "./native.ts";

/** Others may test at the same time, so the parent is shared and what is below it is not. */
const SHARED = "/tsrun-test";
const TOP = `${SHARED}/cgroups-${process.pid}`;
const facts = readHostFacts();
const hierarchies = facts.cgroup.hierarchies;
const v1Mounts = new Map(
  hierarchies
    .filter(({ version }) => version === 1)
    .flatMap(({ controllers, mountPoint }) => controllers.map((name) => [name, mountPoint] as const)),
);
const mountOf = (controller: string): string => v1Mounts.get(controller) ?? "(not mounted)";
const unified = hierarchies.find(({ version }) => version === 2);
const v2Mount = unified?.mountPoint ?? "(not mounted)";
/** Any hierarchy, for what is the same in all of them, and a file of its cgroups that takes a number. */
const [anyMount, anyFile] = unified === undefined ? [mountOf("pids"), "pids.max"] : [v2Mount, "cgroup.max.depth"];

// Tests named v1 or v2 need that hierarchy of the host, those with controllers also these in it; elsewhere they are skipped.
const onV1 = ["cpu", "cpuset", "devices", "freezer", "memory", "pids"].every((name) => v1Mounts.has(name))
  ? test
  : test.skip;
const onV2 = unified === undefined ? test.skip : test;
const onV2Controllers = ["cpu", "cpuset", "memory", "pids"].every((name) => unified?.controllers.includes(name))
  ? test
  : test.skip;
/** The same host as if it had its v2 hierarchy only. */
const v2Facts: HostFacts = {
  ...facts,
  cgroup: { mode: "v2", hierarchies: unified === undefined ? [] : [{ ...unified, controllers: [] }] },
};

let directory: string;
let tops: string[];
let count = 0;
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
  directory = mkdtempSync(join(tmpdir(), "tsrun-cgroups-"));
  // The parent stays for the whole file: what a test leaves below it is found at the end.
  tops = hierarchies.map(({ mountPoint }) => `${mountPoint}${TOP}`);
  for (const top of tops) mkdirSync(top, { recursive: true });
  if (!v1Mounts.has("cpuset")) return;
  const cpuset = mountOf("cpuset");
  for (const path of [SHARED, TOP]) {
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      writeFileSync(`${cpuset}${path}/${file}`, readFileSync(`${cpuset}/${file}`));
    }
  }
});
afterAll(() => {
  rmSync(directory, { recursive: true });
  for (const top of tops) rmdirSync(top); // fails when something was left below it
  for (const { mountPoint } of hierarchies) {
    leaveShared(`${mountPoint}${SHARED}`);
  }
});

const fresh = (): string => `${TOP}/${count++}`;
const spawn = (cgroup: string | null = null): HostStep => ({
  kind: "process.spawn",
  cloneFlags: 0,
  cgroup,
  keepFds: 0,
});
const ready: ContainerStep = { kind: "sync.wait", point: point("host-ready") };
const go: HostStep = { kind: "sync.signal", point: point("host-ready") };
const encode = (host: readonly HostStep[], container: readonly ContainerStep[] = []): Uint8Array =>
  encodePlan({ title: "test", host, container });

function compile(path: string, resources: Resources, of: HostFacts = facts, more: Partial<Linux> = {}): Cgroups {
  const config = { ociVersion: "1.3.0", linux: { cgroupsPath: path, resources, ...more } } as Config;
  return compileCgroups({ id: "test" as ContainerId, config, facts: of });
}

/** Runs one plan and expects it to work; the session is given to `use` and closed (undone) afterwards. */
function withPlan<T>(
  host: readonly HostStep[],
  container: readonly ContainerStep[],
  use: (session: Session, pid: number) => T,
): T {
  const session = openSession();
  try {
    const outcome = session.execute(encode(host, container));
    expect(outcome.failure).toBeUndefined();
    return use(session, outcome.pid ?? 0);
  } finally {
    session.rollback();
    session.close();
  }
}
/** Runs host steps alone, keeps what they did, and gives their failure. */
function run(...host: HostStep[]): StepFailure | undefined {
  const session = openSession();
  const { failure } = session.execute(encode(host));
  if (failure === undefined) session.commit();
  session.close();
  return failure;
}
/** A process that waits for its end, in these cgroups. */
function inCgroups<T>(cgroups: Cgroups, use: (pid: number, session: Session) => T): T {
  const host = [...cgroups.before, spawn(cgroups.spawnSlot), ...cgroups.join];
  return withPlan(host, [ready], (session, pid) => use(pid, session));
}
/** What a shell script prints when it runs in these cgroups. */
function output(cgroups: Cgroups, script: string): string {
  const path = join(directory, `output-${count++}`);
  const exec: ContainerStep = {
    kind: "process.exec",
    program: "sh",
    path: "/usr/bin:/bin",
    args: ["sh", "-c", `exec >${path} 2>&1; ${script}`],
    env: ["PATH=/usr/bin:/bin"],
    home: false,
  };
  const host = [
    ...cgroups.before,
    spawn(cgroups.spawnSlot),
    ...cgroups.join,
    go,
    { kind: "process.waitExec" } as const,
  ];
  return withPlan(host, [ready, exec], (session) => {
    session.attach();
    return readFileSync(path, "utf8");
  });
}
const read = (mount: string, path: string, file: string): string =>
  readFileSync(`${mount}${path}/${file}`, "utf8").trim();
const isThere = (path: string): boolean => hierarchies.some(({ mountPoint }) => existsSync(`${mountPoint}${path}`));
const members = (mount: string, path: string): number[] =>
  read(mount, path, "cgroup.procs").split("\n").filter(Boolean).map(Number);
/** Waits for a state that the kernel reaches by itself; the test's own time limit ends the wait. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Both ways of freezing. */
const freezers = [
  ["v1", 1, onV1, mountOf("freezer"), "freezer.state", "FROZEN"],
  ["v2", 2, onV2, v2Mount, "cgroup.freeze", "1"],
] as const;

describe("making and joining", () => {
  test("a process is born into its cgroup in every hierarchy; undoing leaves nothing", () => {
    const path = fresh();
    inCgroups(compile(path, {}), (pid) => {
      const memberships = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
      expect(memberships.filter((line) => !line.endsWith(`:${path}`))).toEqual([]);
      // Only it: tsrun's own threads are out again.
      for (const { mountPoint } of hierarchies) expect(members(mountPoint, path)).toEqual([pid]);
    });
    expect(isThere(path)).toBe(false);
  });

  test("the second stage of a staged process is there, too", () => {
    const path = fresh();
    const { before, spawnSlot, join: later } = compile(path, {});
    const host: HostStep[] = [...before, spawn(spawnSlot), { kind: "process.adopt" }, ...later];
    withPlan(host, [{ kind: "process.fork" }, ready], (_, pid) => {
      for (const { mountPoint } of hierarchies) expect(members(mountPoint, path)).toEqual([pid]);
    });
  });

  test("missing parents are made and undone; parents that were there stay", () => {
    const path = fresh();
    const mount = anyMount;
    const create = (at: string): HostStep => ({
      kind: "cgroup.create",
      hierarchy: mount,
      path: at,
      cpuset: false,
      controllers: [],
      needed: [],
    });
    withPlan([create(`${path}/a/b`)], [], () => expect(existsSync(`${mount}${path}/a/b`)).toBe(true));
    expect(existsSync(`${mount}${path}`)).toBe(false);
    mkdirSync(`${mount}${path}`);
    withPlan([create(`${path}/a/b`)], [], () => undefined);
    expect(readdirSync(`${mount}${path}`).filter((name) => name === "a")).toEqual([]);
    rmdirSync(`${mount}${path}`);
  });

  for (const [name, , on, mount, file, frozen] of freezers) {
    on(`${name}: an empty cgroup is used and stays, one with processes or a frozen one is refused`, () => {
      const path = fresh();
      const create: HostStep = {
        kind: "cgroup.create",
        hierarchy: mount,
        path,
        cpuset: false,
        controllers: [],
        needed: [],
      };
      mkdirSync(`${mount}${path}/below`, { recursive: true });
      withPlan([create], [], () => undefined);
      expect(existsSync(`${mount}${path}`)).toBe(true);

      const join: HostStep = { kind: "cgroup.join", hierarchy: mount, path: `${path}/below`, fallback: "" };
      withPlan([spawn(), join], [ready], (_, pid) => {
        expect(run(create)).toMatchObject({ kind: "cgroup.create", op: "verify", errno: 16, detail: pid });
      });
      writeFileSync(`${mount}${path}/${file}`, frozen);
      expect(run(create)).toMatchObject({ kind: "cgroup.create", op: "verify", text: "the cgroup is frozen" });
      rmdirSync(`${mount}${path}/below`);
      rmdirSync(`${mount}${path}`);
    });
  }

  test("every step can be made to fail, and nothing is left", () => {
    const path = fresh();
    const {
      before,
      spawnSlot,
      join: later,
    } = compile(`${path}/deep/er`, { pids: { limit: 10 }, memory: { limit: 2 ** 26 } });
    const host: HostStep[] = [...before, spawn(spawnSlot), ...later, go];
    for (let index = 0; index < host.length; index++) {
      const session = openSession();
      const outcome = session.execute(encode(host, [ready]), { fault: { mode: "fail", side: "host", index } });
      expect(outcome.failure).toMatchObject({ index, op: "injected" });
      session.close();
      expect(isThere(path)).toBe(false);
    }
  });

  test("a process that the container left behind is killed when create is undone", () => {
    const path = fresh();
    const { before, spawnSlot, join: later } = compile(path, {});
    const exec: ContainerStep = {
      kind: "process.exec",
      program: "sh",
      path: "/usr/bin:/bin",
      args: ["sh", "-c", "setsid sleep 1000 & setsid sleep 1000 & exit 0"],
      env: ["PATH=/usr/bin:/bin"],
      home: false,
    };
    const session = openSession();
    const host: HostStep[] = [...before, spawn(spawnSlot), ...later, go, { kind: "process.waitExec" }];
    expect(session.execute(encode(host, [ready, exec])).failure).toBeUndefined();
    session.attach();
    const left = members(anyMount, path);
    expect(left).toHaveLength(2);
    session.rollback();
    session.close();
    expect(isThere(path)).toBe(false);
    expect(left.filter((pid) => existsSync(`/proc/${pid}/exe`))).toEqual([]);
  });

  onV2("v2: the fallback is joined when the cgroup can have no processes", () => {
    const path = fresh();
    mkdirSync(`${v2Mount}${path}/threaded`, { recursive: true });
    mkdirSync(`${v2Mount}${path}/invalid`);
    // Beside a threaded sibling a cgroup is "domain invalid" (cgroup-v2.rst, Threads).
    writeFileSync(`${v2Mount}${path}/threaded/cgroup.type`, "threaded");
    const join = (fallback: string): HostStep => ({
      kind: "cgroup.join",
      hierarchy: v2Mount,
      path: `${path}/invalid`,
      fallback,
    });
    withPlan([spawn(), join(path)], [ready], (_, pid) => expect(members(v2Mount, path)).toEqual([pid]));
    expect(run(spawn(), join(""))).toMatchObject({ kind: "cgroup.join", op: "write", errno: 95 });
    expect(run({ kind: "cgroup.open", hierarchy: v2Mount, path: `${path}/invalid`, slot: "x" })).toMatchObject({
      op: "verify",
      text: expect.stringContaining("domain invalid"),
    });
    for (const name of ["/threaded", "/invalid", ""]) rmdirSync(`${v2Mount}${path}${name}`);
  });

  onV2("v2: the owner of a delegated cgroup has its files and no others", () => {
    const path = fresh();
    const { before } = compile(path, {}, v2Facts);
    const delegate: HostStep = { kind: "cgroup.delegate", hierarchy: v2Mount, path, uid: 1234 };
    withPlan([...before, delegate], [], () => {
      const owner = (file: string): number => statSync(`${v2Mount}${path}/${file}`).uid;
      expect(["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"].map(owner)).toEqual([
        1234, 1234, 1234, 1234,
      ]);
      expect(["cgroup.freeze", "cgroup.events", "cgroup.max.depth"].map(owner)).toEqual([0, 0, 0]);
    });
  });
});

describe("paths and messages", () => {
  const write = (hierarchy: string, path: string, file: string, value: string): StepFailure | undefined =>
    run({ kind: "cgroup.write", hierarchy, path, file, value });
  test.each(["/..", "/a/../b", "//a", "a", "", "/a/", "/./a"])("the path %j is refused", (path) => {
    expect(write(anyMount, path, anyFile, "1")).toMatchObject({ op: "verify", path });
    expect(
      run({ kind: "cgroup.create", hierarchy: anyMount, path, cpuset: false, controllers: [], needed: [] }),
    ).toMatchObject({ op: "verify", path });
    expect(run({ kind: "cgroup.remove", hierarchy: anyMount, path, timeoutMs: 0 })).toMatchObject({
      op: "verify",
    });
  });
  test("the root is neither made nor removed", () => {
    const root = { hierarchy: anyMount, path: "/" };
    expect(run({ kind: "cgroup.create", ...root, cpuset: false, controllers: [], needed: [] })).toMatchObject({
      op: "verify",
    });
    expect(run({ kind: "cgroup.remove", ...root, timeoutMs: 0 })).toMatchObject({ op: "verify" });
  });
  test("what is no cgroup file system is refused, and so is a way out by a file's name", () => {
    expect(write(directory, "/", "f", "1")).toMatchObject({ op: "verify", path: directory });
    expect(write(anyMount, TOP, "../../../../../proc/sys/kernel/hostname", "x")).toMatchObject({ errno: 18 });
  });
  test("a refused value is in the message with its file", () => {
    const path = fresh();
    const { before } = compile(path, {});
    const write: HostStep = { kind: "cgroup.write", hierarchy: anyMount, path, file: anyFile, value: "-5" };
    expect(run(...before, write)).toMatchObject({
      kind: "cgroup.write",
      op: "write",
      path: `${anyMount}${path}/${anyFile}`,
      text: "-5",
    });
    expect(isThere(path)).toBe(false);
  });
  onV2("v2: a controller that is needed and not there is named", () => {
    const path = fresh();
    expect(
      run({
        kind: "cgroup.create",
        hierarchy: v2Mount,
        path,
        cpuset: false,
        controllers: ["rdma", "xyz"],
        needed: ["xyz"],
      }),
    ).toMatchObject({ op: "verify", path: v2Mount, text: "controller xyz is not available" });
  });
});

describe("limits", () => {
  onV1("v1: are what the kernel then has", () => {
    const path = fresh();
    const resources: Resources = {
      memory: { limit: 2 ** 26, swap: 2 ** 27, reservation: 2 ** 25, swappiness: 7, disableOOMKiller: true },
      cpu: { shares: 512, quota: 50_000, period: 80_000, burst: 10_000, cpus: "0", mems: "0" },
      pids: { limit: 17 },
    };
    inCgroups(compile(path, resources), () => {
      const value = (controller: string, file: string): string => read(mountOf(controller), path, file);
      expect(value("memory", "memory.limit_in_bytes")).toBe(String(2 ** 26));
      expect(value("memory", "memory.memsw.limit_in_bytes")).toBe(String(2 ** 27));
      expect(value("memory", "memory.soft_limit_in_bytes")).toBe(String(2 ** 25));
      expect(value("memory", "memory.swappiness")).toBe("7");
      expect(value("memory", "memory.oom_control")).toContain("oom_kill_disable 1");
      expect(value("cpu", "cpu.shares")).toBe("512");
      expect(value("cpu", "cpu.cfs_quota_us")).toBe("50000");
      expect(value("cpu", "cpu.cfs_period_us")).toBe("80000");
      expect(value("cpu", "cpu.cfs_burst_us")).toBe("10000");
      expect(value("cpuset", "cpuset.cpus")).toBe("0");
      expect(value("pids", "pids.max")).toBe("17");
    });
  });

  onV2Controllers("v2 with controllers: are what the kernel then has", () => {
    const path = fresh();
    const burst = kernelAtLeast(5, 14) ? { burst: 10_000 } : {};
    const resources: Resources = {
      memory: { limit: 2 ** 26, swap: 2 ** 27, reservation: 2 ** 25 },
      cpu: { shares: 512, quota: 50_000, period: 80_000, ...burst, cpus: "0", mems: "0" },
      pids: { limit: 17 },
      unified: { "memory.high": String(2 ** 24), "cgroup.max.depth": "3" },
    };
    inCgroups(compile(path, resources), () => {
      const value = (file: string): string => read(v2Mount, path, file);
      expect(value("memory.max")).toBe(String(2 ** 26));
      expect(value("memory.swap.max")).toBe(String(2 ** 26));
      expect(value("memory.low")).toBe(String(2 ** 25));
      expect(value("memory.high")).toBe(String(2 ** 24));
      expect(value("cpu.weight")).toBe("59");
      expect(value("cpu.max")).toBe("50000 80000");
      if (kernelAtLeast(5, 14)) expect(value("cpu.max.burst")).toBe("10000");
      expect(value("cpuset.cpus.effective")).toBe("0");
      expect(value("pids.max")).toBe("17");
      expect(value("cgroup.max.depth")).toBe("3");
      // For statistics, all that the host has are there.
      expect(value("cgroup.controllers").split(" ").sort()).toEqual([...(unified?.controllers ?? [])].sort());
    });
  });

  onV1("v1: what is not asked of a cpuset comes from the parents, through every level", () => {
    const path = fresh();
    const mount = mountOf("cpuset");
    inCgroups(compile(`${path}/a`, {}), () => {
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        expect(read(mount, `${path}/a`, file)).toBe(read(mount, TOP, file));
        expect(read(mount, path, file)).toBe(read(mount, TOP, file));
      }
    });
  });

  (v1Mounts.has("pids") ? onV1 : onV2Controllers).each([0, 1])(
    "pids.max %d lets the container be made, and nothing more",
    (limit) => {
      const path = fresh();
      const cgroups = compile(path, { pids: { limit } });
      expect(output(cgroups, "echo first; /bin/true || echo no second; echo $?")).toMatch(/^first\n.*fork/s);
    },
  );

  test("writeFirst takes the first file that is there; `missing` is about none of them", () => {
    const path = fresh();
    const hierarchy = anyMount;
    const first = (files: string[], missing: boolean): HostStep => ({
      kind: "cgroup.writeFirst",
      hierarchy,
      path,
      files,
      values: files.map((_, i) => String(i + 5)),
      missing,
    });
    const create: HostStep = { kind: "cgroup.create", hierarchy, path, cpuset: false, controllers: [], needed: [] };
    withPlan([create, first(["none", anyFile], false), first(["none"], true)], [], () => {
      expect(read(hierarchy, path, anyFile)).toBe("6");
    });
    expect(run(create, first(["none", "neither"], false))).toMatchObject({
      errno: 2,
      path: expect.stringContaining("neither"),
    });
  });
});

describe("devices", () => {
  // /dev/kmsg is 1:11 and not among the devices that every container may use.
  const script = [
    'try() { if (eval "$2") 2>/dev/null; then echo $1 yes; else echo $1 no; fi; }',
    "try null-rw ': <>/dev/null'",
    "try kmsg-r ': </dev/kmsg'",
    "try kmsg-w ': >>/dev/kmsg'",
    "try mknod 'mknod $D/node b 7 0'; rm -f $D/node",
  ].join("\n");
  const tryAll = (of: HostFacts, devices: readonly DeviceConfig[]): string => {
    const place = mkdtempSync(join(directory, "nodes-"));
    return output(compile(fresh(), { devices: [...devices] } as Resources, of), `D=${place}\n${script}`);
  };
  const all = { allow: false, access: "rwm" };
  const cases: [string, DeviceConfig[], string][] = [
    ["nothing said", [], "null-rw yes\nkmsg-r no\nkmsg-w no\nmknod yes\n"],
    ["everything denied", [all], "null-rw yes\nkmsg-r no\nkmsg-w no\nmknod yes\n"],
    [
      "one right allowed",
      [all, { allow: true, type: "c", major: 1, minor: 11, access: "r" }],
      "null-rw yes\nkmsg-r yes\nkmsg-w no\nmknod yes\n",
    ],
    [
      "the last rule counts",
      [
        all,
        { allow: true, type: "c", major: 1, minor: 11, access: "rw" },
        { allow: false, type: "c", major: 1, minor: 11, access: "r" },
      ],
      "null-rw yes\nkmsg-r no\nkmsg-w yes\nmknod yes\n",
    ],
    ["everything allowed", [all, { allow: true, access: "rwm" }], "null-rw yes\nkmsg-r yes\nkmsg-w yes\nmknod yes\n"],
    [
      "all but one",
      [
        { allow: true, access: "rwm" },
        { allow: false, type: "c", major: 1, minor: 11, access: "w" },
      ],
      "null-rw yes\nkmsg-r yes\nkmsg-w no\nmknod yes\n",
    ],
  ];
  /** Which of reading (r) and writing (w) the kernel permits for nodes that no driver need be behind. */
  const permitted = (of: HostFacts, devices: readonly DeviceConfig[], nodes: readonly string[]): string[] => {
    const place = mkdtempSync(join(directory, "nodes-"));
    for (const [i, node] of nodes.entries()) {
      execFileSync("mknod", ["-m", "666", join(place, `${i}`), ...node.split(/[ :]/)]);
    }
    const look = nodes.map(
      (node, i) => `f=${place}/${i}; echo "${node} $(test -r $f && echo r)$(test -w $f && echo w)"`,
    );
    return output(compile(fresh(), { devices: [...devices] } as Resources, of), look.join("\n"))
      .trimEnd()
      .split("\n");
  };
  // 0 is a number like any other, not the absence of one.
  const zeros: DeviceConfig[] = [
    all,
    { allow: true, type: "a", major: 0, access: "r" },
    { allow: true, type: "c", minor: 0, access: "w" },
    { allow: false, minor: 0, access: "m" },
  ];
  const wantedOfZeros = ["b 0:1 r", "c 0:1 r", "b 1:0 ", "c 3:0 w", "c 1:11 ", "b 0:0 rw", "c 0:0 rw"];
  const nodes = wantedOfZeros.map((each) => each.replace(/ \w*$/, ""));
  onV1("v1: 0 is a number, but for 0:0 the kernel asks nobody", () =>
    expect(permitted(facts, zeros, nodes)).toEqual(wantedOfZeros),
  );
  onV2("v2: 0 is a number, but for 0:0 the kernel asks nobody", () =>
    expect(permitted(v2Facts, zeros, nodes)).toEqual(wantedOfZeros),
  );

  onV1.each(cases)("v1: %s", (_, devices, expected) => expect(tryAll(facts, devices)).toBe(expected));
  onV2.each(cases)("v2: %s", (_, devices, expected) => expect(tryAll(v2Facts, devices)).toBe(expected));

  onV2("v2: the kernel takes the longest program that we make", () => {
    const path = fresh();
    const rules = deviceRules(
      Array.from({ length: 1014 }, (_, i) => ({
        allow: i % 3 !== 0,
        type: i % 2 ? "b" : "c",
        major: i,
        minor: i % 7,
        access: i % 5 ? "rw" : "m",
      })),
    );
    const { before } = compile(path, {}, v2Facts);
    withPlan(
      [...before, { kind: "cgroup.devices", hierarchy: v2Mount, path, program: deviceProgram(rules) }],
      [],
      () => undefined,
    );
  });

  onV2("v2: a program replaces the one before", () => {
    const path = fresh();
    const cgroups = compile(path, { devices: [all] }, v2Facts);
    const program = deviceProgram(deviceRules([{ allow: true, access: "rwm" }]));
    const again: HostStep = { kind: "cgroup.devices", hierarchy: v2Mount, path, program };
    const place = mkdtempSync(join(directory, "nodes-"));
    expect(output({ ...cgroups, before: [...cgroups.before, again] }, `D=${place}\n${script}`)).toContain("kmsg-w yes");
  });

  onV2("v2: bytes that are no program are refused", () => {
    const path = fresh();
    const { before } = compile(path, {}, v2Facts);
    for (const program of [new Uint8Array(0), new Uint8Array(7), new Uint8Array(8)]) {
      expect(run(...before, { kind: "cgroup.devices", hierarchy: v2Mount, path, program })?.kind).toBe(
        "cgroup.devices",
      );
    }
    expect(isThere(path)).toBe(false);
  });
});

describe("freezing, signalling, removing", () => {
  const state = (pid: number): string => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  };

  for (const [name, version, on, hierarchy] of freezers) {
    on(`${name}: a frozen cgroup stands still until it is thawed`, () => {
      const path = fresh();
      const freeze = (frozen: boolean): HostStep => ({ kind: "cgroup.freeze", hierarchy, path, frozen, version });
      const isFrozen = (): boolean =>
        version === 1
          ? read(hierarchy, path, "freezer.state") === "FROZEN"
          : read(hierarchy, path, "cgroup.events").includes("frozen 1");
      inCgroups(compile(path, {}), () => {
        expect(run(freeze(true))).toBeUndefined();
        expect(isFrozen()).toBe(true);
        expect(run(freeze(true))).toBeUndefined();
        expect(run(freeze(false))).toBeUndefined();
        expect(isFrozen()).toBe(false);
        expect(run(freeze(false))).toBeUndefined();
        // A plan that fails after it has frozen thaws again.
        const failing: HostStep = { kind: "cgroup.write", hierarchy, path, file: "none", value: "" };
        expect(run(freeze(true), failing)?.kind).toBe("cgroup.write");
        expect(isFrozen()).toBe(false);
      });
      expect(run(freeze(true))).toMatchObject({ kind: "cgroup.freeze", errno: 2 });
    });

    on(`${name}: a signal reaches every process of the tree, and no other`, async () => {
      const path = fresh();
      const sessions: Session[] = [];
      const start = (...joins: HostStep[]): number => {
        const session = openSession();
        sessions.push(session);
        const { pid, failure } = session.execute(encode([spawn(), ...joins], [ready]));
        expect(failure).toBeUndefined();
        return pid as number;
      };
      const below = ["", "/a/b", "/c"].map((each) => `${path}${each}`);
      for (const each of below) mkdirSync(`${hierarchy}${each}`, { recursive: true });
      const outside = start();
      const inside = below.map((each) => start({ kind: "cgroup.join", hierarchy, path: each, fallback: "" }));
      expect(run({ kind: "cgroup.signal", hierarchy, path, signal: 19 })).toBeUndefined(); // SIGSTOP
      await until(() => inside.every((pid) => state(pid) === "T"));
      expect(run({ kind: "cgroup.signal", hierarchy, path, signal: 9 })).toBeUndefined();
      await until(() => inside.every((pid) => state(pid) === "Z"));
      expect(state(outside)).toBe("S");
      for (const session of sessions) session.close();
      expect(run({ kind: "cgroup.remove", hierarchy, path, timeoutMs: 10_000 })).toBeUndefined();
    });
  }

  onV1("v1: what a parent freezes cannot be thawed below it", () => {
    const path = fresh();
    const hierarchy = mountOf("freezer");
    inCgroups(compile(`${path}/a`, {}), () => {
      writeFileSync(`${hierarchy}${path}/freezer.state`, "FROZEN");
      expect(run({ kind: "cgroup.freeze", hierarchy, path: `${path}/a`, frozen: false, version: 1 })).toMatchObject({
        op: "verify",
        text: "a parent cgroup is frozen",
      });
      writeFileSync(`${hierarchy}${path}/freezer.state`, "THAWED");
    });
  });

  onV2("v2: the version must be the hierarchy's", () => {
    expect(run({ kind: "cgroup.freeze", hierarchy: v2Mount, path: TOP, frozen: true, version: 1 })).toMatchObject({
      op: "verify",
    });
  });

  test("a tree as deep as one likes is signalled and removed", () => {
    const path = fresh();
    const hierarchy = anyMount;
    const depth = 600;
    let deepest = `${hierarchy}${path}`;
    for (let i = 0; i < depth; i++) deepest += "/d";
    mkdirSync(deepest, { recursive: true });
    mkdirSync(`${hierarchy}${path}/d/d/side`);
    expect(run({ kind: "cgroup.signal", hierarchy, path, signal: 9 })).toBeUndefined();
    expect(run({ kind: "cgroup.remove", hierarchy, path, timeoutMs: 1000 })).toBeUndefined();
    expect(existsSync(`${hierarchy}${path}`)).toBe(false);
  });

  test("a cgroup with a living process is not removed, and says so", () => {
    const path = fresh();
    const hierarchy = anyMount;
    inCgroups(compile(path, {}), () => {
      expect(run({ kind: "cgroup.remove", hierarchy, path, timeoutMs: 1 })).toMatchObject({
        kind: "cgroup.remove",
        op: "rmdir",
        errno: 16,
        text: "it still has processes",
      });
    });
  });

  test("removing waits for those that are about to go", () => {
    const path = fresh();
    const hierarchy = anyMount;
    inCgroups(compile(path, {}), () => {
      expect(
        run(
          { kind: "cgroup.signal", hierarchy, path, signal: 9 },
          { kind: "cgroup.remove", hierarchy, path, timeoutMs: 10_000 },
        ),
      ).toBeUndefined();
      expect(existsSync(`${hierarchy}${path}`)).toBe(false);
    });
  });

  test("what is gone already is fine for both", () => {
    const place = { hierarchy: anyMount, path: `${fresh()}/a` };
    expect(
      run({ kind: "cgroup.signal", ...place, signal: 9 }, { kind: "cgroup.remove", ...place, timeoutMs: 0 }),
    ).toBeUndefined();
  });
});
