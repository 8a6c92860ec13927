import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { type AbsPath, containerId } from "../core/brands.ts";
import { hostFactsFromJson } from "../host/facts-json.ts";
import { defaultConfig } from "../lifecycle/spec-template.ts";
import { renderPlan } from "../plan/render.ts";
import { compileExec, type ExecCgroup, type ExecInput, type ExecProcess, execProcess } from "./exec.ts";

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
    options: {
      console: { kind: "none" },
      noPivot: false,
      noNewKeyring: false,
      preserveFds: 0,
      pidfdSocket: undefined,
      stateDirectory: "/run/tsrun/web" as AbsPath,
      seccompCache: undefined,
    },
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
    options: {
      console: { kind: "none" },
      noPivot: false,
      noNewKeyring: false,
      preserveFds: 0,
      pidfdSocket: undefined,
      stateDirectory: "/run/tsrun/web" as AbsPath,
      seccompCache: undefined,
    },
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
