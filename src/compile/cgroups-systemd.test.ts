import { describe, expect, test } from "@jest/globals";
import type { Config, Linux } from "../../spec-schemas/config.ts";
import type { AbsPath, ContainerId } from "../core/brands.ts";
import type { HostFacts, SystemdManager } from "../host/facts.ts";
import { renderFields } from "../plan/render.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import { compileSystemdCgroups } from "./cgroups-systemd.ts";
import { compileDelete } from "./delete.ts";

const system: SystemdManager = {
  user: false,
  managers: ["/run/systemd/private"],
  buses: ["/run/dbus/system_bus_socket"],
  cgroup: "",
};
const user: SystemdManager = {
  user: true,
  managers: ["/run/user/1000/systemd/private"],
  buses: ["/run/user/1000/bus"],
  cgroup: "/user.slice/user-1000.slice/user@1000.service",
};
const hierarchy = {
  version: 2,
  mountPoint: "/sys/fs/cgroup" as AbsPath,
  controllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"],
  own: "/",
  writable: true,
} as const;
const facts = (systemd: SystemdManager | undefined, mode: "v2" | "hybrid" = "v2"): HostFacts => ({
  kernel: { release: "6.12.0", major: 6, minor: 12 },
  uid: systemd?.user === true ? 1000 : 0,
  inUserNamespace: false,
  lastCapability: 40,
  permittedCapabilities: 0n,
  cgroup: { mode, hierarchies: [hierarchy] },
  systemd,
  lsm: { apparmor: false, selinux: false },
  launch: { nofile: { soft: 1n, hard: 1n }, ignoredSignals: 0n, validFds: [] },
});
function compile(linux: Linux, more: Partial<Config> = {}, on: HostFacts = facts(system)) {
  const config: Config = { ociVersion: "1.3.0", linux, ...more };
  return compileSystemdCgroups({ id: "web" as ContainerId, config, facts: on });
}
const lines = (steps: readonly HostStep[]): string[] => steps.map((step) => `${step.kind} ${renderFields(step)}`);

describe("a scope", () => {
  test("is made for the spawned process, then checked, then limited", () => {
    const { before, spawnSlot, join, places, systemd } = compile({
      cgroupsPath: "a-b.slice:p:n",
      resources: { memory: { limit: 4096 }, hugepageLimits: [{ pageSize: "2MB", limit: 0 }], pids: { limit: 5 } },
    });
    expect(before).toEqual([]);
    expect(spawnSlot).toBeNull();
    expect(join.map(({ kind }) => kind)).toEqual([
      "systemd.startUnit",
      "cgroup.adopt",
      "cgroup.write", // memory.max
      "cgroup.write", // hugetlb: systemd has nothing of it
      "cgroup.writeFirst",
      "cgroup.devices",
      "cgroup.write", // pids.max
    ]);
    expect(lines(join)[0]).toContain('Slice="a-b.slice",Delegate=true');
    expect(lines(join)[0]).toContain("MemoryMax=4096,TasksMax=5,PIDs=[0]");
    expect(lines(join)[1]).toBe(
      'cgroup.adopt hierarchy=/sys/fs/cgroup path=/a.slice/a-b.slice/p-n.scope controllers=["memory","hugetlb","pids"] needed=["memory","hugetlb","pids"]',
    );
    expect(places).toEqual([
      expect.objectContaining({ path: "/a.slice/a-b.slice/p-n.scope", created: true, version: 2 }),
    ]);
    expect(systemd).toEqual({ name: "p-n.scope", managers: system.managers, buses: system.buses });
  });

  test("of a user's manager is below it, and has no device rules", () => {
    const { join, places, warnings } = compile(
      { resources: { devices: [{ allow: false, access: "rwm" }] } },
      {},
      facts(user),
    );
    expect(places[0]?.path).toBe("/user.slice/user-1000.slice/user@1000.service/user.slice/tsrun-web.scope");
    expect(join.map(({ kind }) => kind)).toEqual(["systemd.startUnit", "cgroup.adopt"]);
    expect(warnings).toEqual([expect.stringContaining("/linux/resources/devices")]);
  });

  test("whose device rules wait for a mounted block device", () => {
    const { join, afterMounts } = compile({}, { mounts: [{ destination: "/a", type: "ext4", source: "/dev/sda1" }] });
    expect(join.map(({ kind }) => kind)).not.toContain("cgroup.devices");
    expect(afterMounts.map(({ kind }) => kind)).toEqual(["cgroup.devices"]);
  });

  test("with properties of the caller's", () => {
    const { join } = compile({}, { annotations: { "org.systemd.property.CollectMode": "'inactive'" } });
    expect(lines(join)[0]).toContain('CollectMode="inactive-or-failed",CollectMode="inactive",PIDs=[0]');
  });
});

describe("cgroups below the scope", () => {
  const annotations = { "run.oci.systemd.subgroup": "c", "run.oci.delegate-cgroup": "d" };
  test("are entered before controllers are enabled, the delegated one after the cgroup namespace is made", () => {
    const { join, afterMounts, places } = compile({ resources: { memory: { limit: 1 } } }, { annotations });
    const path = "/system.slice/tsrun-web.scope/c";
    expect(lines(join.slice(1, 5))).toEqual([
      `cgroup.create hierarchy=/sys/fs/cgroup path=${path}`,
      `cgroup.join hierarchy=/sys/fs/cgroup path=${path}`,
      `cgroup.adopt hierarchy=/sys/fs/cgroup path=${path} controllers=["cpuset","cpu","io","memory","pids"] needed=["memory"]`,
      `cgroup.write ${"/sys/fs/cgroup"}${path} memory.max = 1`,
    ]);
    expect(lines(afterMounts)).toEqual([
      `cgroup.create hierarchy=/sys/fs/cgroup path=${path}/d`,
      `cgroup.join hierarchy=/sys/fs/cgroup path=${path}/d`,
    ]);
    expect(places.map((place) => place.path)).toEqual([path]);
  });
});

describe("is refused", () => {
  test("without systemd", () => {
    expect(() => compile({}, {}, facts(undefined))).toThrow("systemd does not run here");
  });
  test("where systemd does not have cgroup v2 alone", () => {
    expect(() => compile({}, {}, facts(system, "hybrid"))).toThrow("it needs cgroup v2, and this host has hybrid");
  });
  test("with a path as for cgroupfs", () => {
    expect(() => compile({ cgroupsPath: "/pods/web" })).toThrow("/linux/cgroupsPath");
  });
});

test("delete stops the unit once everybody is gone, then removes what is left of its cgroups", () => {
  const { places, systemd } = compile({});
  const input = { id: "web", pid: 1, startTime: 2n, kill: true, sharesPidNamespace: false, cgroups: places, systemd };
  const { host } = compileDelete(input);
  expect(host.map(({ kind }) => kind)).toEqual([
    "process.signal",
    "cgroup.signal",
    "process.waitGone",
    "systemd.stopUnit",
    "cgroup.remove",
  ]);
  expect(lines(host)[3]).toContain('call=StopUnit("tsrun-web.scope","replace")');
});
