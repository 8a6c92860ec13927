import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { type AbsPath, containerId } from "../core/brands.ts";
import { hostFactsFromJson } from "../host/facts-json.ts";
import { renderPlan } from "../plan/render.ts";
import { compileExec, type ExecInput, type ExecProcess, execProcess } from "./exec.ts";

const file = join(__dirname, "golden/v2.host.json");
const facts = {
  ...hostFactsFromJson(readFileSync(file, "utf8"), file),
  lsm: { apparmor: true, selinux: true },
};
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
      facts,
    },
    process: { cwd: "/", args: ["sh"], ...process },
    init: { pid: 7, startTime: 70n },
    cgroups: [{ hierarchy: "/sys/fs/cgroup", path: "/web", version: 2, fallback: "" }],
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

describe("exec", () => {
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
