import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { type AbsPath, containerId } from "../core/brands.ts";
import { hostFactsFromJson } from "../host/facts-json.ts";
import { defaultConfig } from "../lifecycle/spec-template.ts";
import { compileExec, type ExecCgroup, type ExecInput } from "./exec.ts";

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
