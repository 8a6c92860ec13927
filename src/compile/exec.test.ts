import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { type AbsPath, containerId } from "../core/brands.ts";
import { hostFactsFromJson } from "../host/facts-json.ts";
import { defaultConfig } from "../lifecycle/spec-template.ts";
import { renderPlan } from "../plan/render.ts";
import {
  compileExec,
  completeProcess,
  type ExecCgroup,
  type ExecInput,
  type ExecOverrides,
  type ExecProcess,
  execCgroups,
  execProcess,
} from "./exec.ts";
import { plainOptions } from "./input.fixture.ts";
import type { Place } from "./kill.ts";

const file = join(__dirname, "golden/hybrid.host.json");
const facts = hostFactsFromJson(readFileSync(file, "utf8"), file);
const v1: ExecCgroup = { hierarchy: "/sys/fs/cgroup/pids", path: "/web", version: 1, fallback: "" };
const v2: ExecCgroup = { hierarchy: "/sys/fs/cgroup/unified", path: "/web", version: 2, fallback: "" };

/** The steps that put the process into its cgroups, and the spawn between them. */
function ways(cgroups: readonly ExecCgroup[], entry: ExecInput["entry"]): string[] {
  const { plan } = compileExec({
    container: {
      id: containerId("web"),
      bundle: "/bundle" as AbsPath,
      rootfs: "/bundle/rootfs" as AbsPath,
      config: defaultConfig({ rootless: false }),
      facts,
    },
    process: { args: ["true"], cwd: "/" },
    init: { pid: 7, startTime: 1n },
    cgroups,
    entry,
    options: plainOptions,
  });
  return plan.host.flatMap((step) => {
    if (step.kind === "process.spawn") return [`spawn ${step.cgroup ?? "where tsrun is"}`];
    if (step.kind === "cgroup.join" && step.fallback !== "") return [`join ${step.path} or ${step.fallback}`];
    return step.kind.startsWith("cgroup.") && "hierarchy" in step ? [`${step.kind} ${step.hierarchy}`] : [];
  });
}

describe("how exec's process gets into the container's cgroups", () => {
  test("it is born there", () => {
    expect(ways([v1, v2], "born")).toEqual([
      "cgroup.enter /sys/fs/cgroup/pids",
      "cgroup.open /sys/fs/cgroup/unified",
      "spawn cgroup",
    ]);
  });

  test("it is moved there when a birth would fail or stop", () => {
    expect(ways([v1, v2], "moved")).toEqual([
      "spawn where tsrun is",
      "cgroup.join /sys/fs/cgroup/pids",
      "cgroup.join /sys/fs/cgroup/unified",
    ]);
  });

  test("where init has gone to a cgroup below, only trying tells which has room", () => {
    expect(ways([v1, { ...v2, fallback: "/web/init" }], "born")).toEqual([
      "cgroup.enter /sys/fs/cgroup/pids",
      "spawn where tsrun is",
      "join /web or /web/init",
    ]);
  });
});

const confining = { ...facts, lsm: { apparmor: true, selinux: true } };
/** The plan's lines without their numbers. */
function lines(process: Partial<ExecProcess>, own: Partial<NonNullable<Config["process"]>> = {}, linux = {}): string[] {
  const input: ExecInput = {
    container: {
      id: containerId("web"),
      bundle: "/bundle" as AbsPath,
      rootfs: "/bundle/rootfs" as AbsPath,
      config: {
        ociVersion: "1.3.0",
        process: { cwd: "/", args: ["init"], ...own },
        linux: { namespaces: [{ type: "mount" }, { type: "pid" }], ...linux },
      },
      facts: confining,
    },
    process: { cwd: "/", args: ["sh"], ...process },
    init: { pid: 7, startTime: 70n },
    cgroups: [{ ...v2, hierarchy: "/sys/fs/cgroup" }],
    entry: "born",
    options: plainOptions,
  };
  return renderPlan(compileExec(input).plan)
    .split("\n")
    .map((line) => line.replace(/^(host|container) +\d+ (\S+) */, "$1 $2 ").trimEnd());
}
const kinds = (all: readonly string[]): string[] => all.map((line) => line.split(" ")[1] ?? "");

describe("how exec's process runs", () => {
  const confined = {
    apparmorProfile: "web",
    selinuxLabel: "a:b:c:d",
    scheduler: { policy: "SCHED_BATCH", nice: 5 },
    ioPriority: { class: "IOPRIO_CLASS_IDLE" },
  } as const;

  test("what the process does not say of its confinement is as for the container's own", () => {
    const all = lines({}, confined);
    expect(all).toEqual(
      expect.arrayContaining([
        "host process.scheduler policy=BATCH nice=5 priority=0 runtime=0 deadline=0 period=0",
        "host process.ioPriority ioClass=IDLE priority=0",
        'container lsm.attribute lsm=apparmor name=exec value="exec web"',
        "container lsm.attribute name=exec value=a:b:c:d",
      ]),
    );
    const named = lines({ apparmorProfile: "other", selinuxLabel: "e:f:g:h" }, confined);
    expect(named).toContain('container lsm.attribute lsm=apparmor name=exec value="exec other"');
    expect(named).toContain("container lsm.attribute name=exec value=e:f:g:h");
  });

  test("the command line's process is confined like the container's, or as its options say", () => {
    const overrides = {
      args: ["sh"],
      env: [],
      cwd: undefined,
      user: undefined,
      additionalGids: [],
      capabilities: [],
      noNewPrivileges: undefined,
      terminal: false,
      apparmorProfile: undefined,
      selinuxLabel: "e:f:g:h",
    };
    const all = lines(execProcess({ cwd: "/", ...confined }, overrides), confined);
    expect(all).toContain('container lsm.attribute lsm=apparmor name=exec value="exec web"');
    expect(all).toContain("container lsm.attribute name=exec value=e:f:g:h");
  });

  test("with CPUs for the time before, the process is spawned on them outside of the cgroup, then moved", () => {
    const all = kinds(lines({ execCPUAffinity: { initial: "1", final: "0,2-3" } }));
    expect(all).not.toContain("cgroup.open");
    const order = ["process.spawnAffinity", "process.spawn", "process.adopt", "cgroup.join", "process.affinity"];
    expect(all.filter((kind) => order.includes(kind))).toEqual(order);
    const finalOnly = lines({ execCPUAffinity: { final: "0,2-3" } });
    expect(kinds(finalOnly)).toContain("cgroup.open");
    expect(finalOnly).toContain("host process.affinity cpus=0,2-3");
  });

  test("the listener of a filter is fetched while the program's process goes on", () => {
    const seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerPath: "/run/agent.sock",
      syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
    };
    const all = kinds(lines({}, {}, { seccomp })).filter((kind) =>
      ["sync.signal", "seccomp.listener", "process.waitExec"].includes(kind),
    );
    expect(all).toEqual(["sync.signal", "seccomp.listener", "process.waitExec"]);
  });

  test("memory policy and personality are every process's", () => {
    const all = lines({}, {}, { memoryPolicy: { mode: "MPOL_BIND", nodes: "0" }, personality: { domain: "LINUX32" } });
    expect(all).toContain("container process.memoryPolicy mode=BIND nodes=0");
    expect(all).toContain("container process.personality persona=0x8");
  });
});

const place = (version: 1 | 2, hierarchy: string, path: string, ...controllers: string[]): Place => ({
  hierarchy,
  path,
  version,
  controllers,
  created: true,
});

const plain: ExecOverrides = {
  args: ["ls"],
  env: [],
  cwd: undefined,
  user: undefined,
  additionalGids: [],
  capabilities: [],
  noNewPrivileges: undefined,
  terminal: false,
  apparmorProfile: undefined,
  selinuxLabel: undefined,
};

describe("execProcess", () => {
  const own = {
    args: ["init"],
    env: ["A=1"],
    cwd: "/srv",
    terminal: true,
    consoleSize: { height: 1, width: 1 },
    user: { uid: 5, gid: 6, umask: 0o77, additionalGids: [7] },
    capabilities: {
      bounding: ["CAP_KILL", "CAP_CHOWN"],
      effective: ["CAP_KILL"],
      permitted: ["CAP_KILL"],
      inheritable: ["CAP_CHOWN"],
    },
    noNewPrivileges: true,
    oomScoreAdj: 3,
  };

  test("is the container's own with another program and no terminal", () => {
    const { consoleSize: _, ...rest } = own;
    expect(execProcess(own, plain)).toEqual({
      ...rest,
      args: ["ls"],
      terminal: false,
      capabilities: { ...own.capabilities, ambient: [] },
    });
  });

  test("--user without gid keeps the group; --additional-gids and --env add", () => {
    const process = execProcess(own, {
      ...plain,
      env: ["B=2"],
      user: { uid: 9, gid: undefined },
      additionalGids: [8],
    });
    expect(process).toMatchObject({
      env: ["A=1", "B=2"],
      user: { uid: 9, gid: 6, umask: 0o77, additionalGids: [7, 8] },
    });
    expect(execProcess(own, { ...plain, user: { uid: 9, gid: 10 } }).user).toMatchObject({ uid: 9, gid: 10 });
  });

  test("--cap never makes inheritable, and ambient only what is inheritable (CVE-2022-29162)", () => {
    expect(execProcess(own, { ...plain, capabilities: ["CAP_NET_RAW", "CAP_CHOWN"] }).capabilities).toEqual({
      bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW", "CAP_CHOWN"],
      effective: ["CAP_KILL", "CAP_NET_RAW", "CAP_CHOWN"],
      permitted: ["CAP_KILL", "CAP_NET_RAW", "CAP_CHOWN"],
      inheritable: ["CAP_CHOWN"],
      ambient: ["CAP_CHOWN"],
    });
    expect(execProcess(undefined, { ...plain, capabilities: ["CAP_KILL"] }).capabilities).toMatchObject({
      inheritable: [],
      ambient: [],
    });
  });
});

describe("completeProcess", () => {
  test("limits that the file leaves out are the container's", () => {
    const own = {
      cwd: "/",
      capabilities: { bounding: ["CAP_KILL"] },
      oomScoreAdj: 7,
      noNewPrivileges: true,
      user: { umask: 0o77 },
    };
    expect(completeProcess(own, { cwd: "/tmp", args: ["ls"] })).toEqual({
      cwd: "/tmp",
      args: ["ls"],
      capabilities: own.capabilities,
      oomScoreAdj: 7,
      user: { umask: 0o77 },
    });
    const given = { cwd: "/", capabilities: {}, oomScoreAdj: 0, user: { uid: 3, umask: 0 } };
    expect(completeProcess(own, given)).toMatchObject(given);
    expect(completeProcess(undefined, { cwd: "/" })).toEqual({ cwd: "/", user: { umask: undefined } });
  });
});

describe("execCgroups", () => {
  const places = [
    place(1, "/cg/memory", "/web", "memory"),
    place(1, "/cg/cpu,cpuacct", "/web", "cpu", "cpuacct"),
    place(2, "/cg/unified", "/web"),
  ];
  const paths = (asked: string[], fallback = "") =>
    execCgroups(places, asked, fallback).map(({ path, fallback: other }) => (other === "" ? path : `${path}|${other}`));

  test("the container's own; on v2 init's present one, if it has no room", () => {
    expect(paths([])).toEqual(["/web", "/web", "/web"]);
    expect(paths([], "/web/init")).toEqual(["/web", "/web", "/web|/web/init"]);
  });

  test("a path is for all hierarchies, and has no fallback", () => {
    expect(paths(["sub/./x"], "/web/init")).toEqual(["/web/sub/x", "/web/sub/x", "/web/sub/x"]);
    expect(paths(["/sub"])).toEqual(["/web/sub", "/web/sub", "/web/sub"]);
    expect(paths(["/"])).toEqual(["/web", "/web", "/web"]);
  });

  test("with controllers for theirs", () => {
    expect(paths(["memory:a", "cpu:b"], "/web/init")).toEqual(["/web/a", "/web/b", "/web|/web/init"]);
    expect(paths(["memory,cpu,cpuacct:/c"])).toEqual(["/web/c", "/web/c", "/web"]);
  });

  test.each([
    [["../x"], '".."'],
    [["a/../../x"], '".."'],
    [["memory:../x"], '".."'],
    [["a", "b"], "only one"],
    [["memory:a", "b"], "CONTROLLER[,CONTROLLER]:PATH"],
    [["memory:a:b"], "CONTROLLER[,CONTROLLER]:PATH"],
    [["memory:"], "missing"],
    [[""], "missing"],
    [["memory:a", "memory:b"], "twice"],
    [["cpu:a", "cpuacct:b"], "one hierarchy"],
    [["pids:a"], '"pids"'],
    [[":a"], '""'],
  ])("%j is refused", (asked, message) => {
    expect(() => paths(asked)).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringContaining(message) }),
    );
  });
});
