/**
 * Golden plans: whole plans as text, for a host and a configuration each. A change of a plan shows here as a difference of
 * lines to be read and approved: GOLDEN=update writes the files anew.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Config } from "../../spec-schemas/config.ts";
import { type AbsPath, containerId } from "../core/brands.ts";
import type { HostFacts } from "../host/facts.ts";
import { hostFactsFromJson } from "../host/facts-json.ts";
import { defaultConfig } from "../lifecycle/spec-template.ts";
import { encodePlan } from "../plan/encode.ts";
import { renderPlan } from "../plan/render.ts";
import { compileCreate } from "./create.ts";
import { plainOptions } from "./input.fixture.ts";
import type { CompileInput, CreateOptions } from "./input.ts";

const folder = join(__dirname, "golden");
const facts = (name: string): HostFacts => {
  const file = join(folder, `${name}.host.json`);
  return hostFactsFromJson(readFileSync(file, "utf8"), file);
};
const options: CreateOptions = { ...plainOptions, seccompCache: "/run/tsrun/@seccomp" as AbsPath };
const input = (host: string, config: Config, more: Partial<CreateOptions> = {}): CompileInput => ({
  id: containerId("web"),
  bundle: "/bundle" as AbsPath,
  rootfs: "/bundle/rootfs" as AbsPath,
  config,
  facts: facts(host),
  options: { ...options, ...more },
});

type Edit = (config: Config & { process: NonNullable<Config["process"]>; linux: NonNullable<Config["linux"]> }) => void;
const config = (edit: Edit, rootless = false): Config => {
  const made = structuredClone(defaultConfig({ rootless })) as Parameters<Edit>[0];
  made.process = { ...made.process, terminal: false };
  edit(made);
  return made;
};

const plans: Readonly<Record<string, () => CompileInput>> = {
  "spec-hybrid": () =>
    input(
      "hybrid",
      config(() => {}),
    ),
  "spec-v2": () =>
    input(
      "v2",
      config(() => {}),
    ),
  "spec-rootless": () =>
    input(
      "rootless",
      config(() => {}, true),
    ),
  "limits-hybrid": () => input("hybrid", config(limits)),
  "limits-v2": () => input("v2", config(limits)),
  "labels-v2": () => {
    const made = input("v2", config(labels));
    return { ...made, facts: { ...made.facts, lsm: { apparmor: true, selinux: true } } };
  },
  "devices-v2": () => {
    const made = input("v2", config(devices));
    return { ...made, facts: { ...made.facts, resctrl: "/sys/fs/resctrl" as AbsPath } };
  },
  "systemd-v2": () => {
    const made = input("v2", config(scope), { cgroupManager: "systemd" });
    return { ...made, facts: { ...made.facts, systemd } };
  },
  "image-v2": () => input("v2", config(overlayRoot)),
  "everything-v2": () =>
    input("v2", config(everything), {
      console: { kind: "socket", path: "/run/console.sock" },
      pidfdSocket: "/run/pidfd.sock",
      preserveFds: 2,
    }),
};

const systemd: HostFacts["systemd"] = {
  user: false,
  managers: ["/run/systemd/private"],
  buses: ["/run/dbus/system_bus_socket"],
  cgroup: "",
};

function scope(made: Parameters<Edit>[0]): void {
  limits(made);
  made.linux.cgroupsPath = "kubepods-burstable.slice:cri:web";
  made.annotations = {
    "org.systemd.property.TimeoutStopUSec": "uint64 10000000",
    "run.oci.systemd.subgroup": "container",
    "run.oci.delegate-cgroup": "payload",
  };
}

function labels(made: Parameters<Edit>[0]): void {
  made.process = {
    ...made.process,
    apparmorProfile: "web",
    selinuxLabel: "system_u:system_r:container_t:s0:c1,c2",
    scheduler: { policy: "SCHED_FIFO", priority: 10, flags: ["SCHED_FLAG_RESET_ON_FORK"] },
    ioPriority: { class: "IOPRIO_CLASS_RT", priority: 2 },
  };
  made.linux.mountLabel = "system_u:object_r:container_file_t:s0:c1,c2";
  made.linux.memoryPolicy = { mode: "MPOL_INTERLEAVE", nodes: "0-1,3", flags: ["MPOL_F_STATIC_NODES"] };
  made.linux.personality = { domain: "LINUX32" };
  made.linux.seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    listenerPath: "/run/agent.sock",
    listenerMetadata: "for the agent",
    syscalls: [{ names: ["mount"], action: "SCMP_ACT_NOTIFY" }],
  };
}

function limits(made: Parameters<Edit>[0]): void {
  made.linux.cgroupsPath = "/pods/web";
  made.linux.resources = {
    ...made.linux.resources,
    memory: { limit: 104_857_600, swap: 209_715_200, reservation: 52_428_800 },
    cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0-1", mems: "0" },
    pids: { limit: 100 },
    blockIO: { weight: 300, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1_048_576 }] },
  };
}

/** An overlay for a root, its layers mapped to the ids of the container. */
function overlayRoot(made: Parameters<Edit>[0]): void {
  const range = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  made.linux.namespaces = [...(made.linux.namespaces ?? []), { type: "user" }];
  made.linux.uidMappings = range;
  made.linux.gidMappings = range;
  made.mounts = [
    {
      destination: "/",
      type: "overlay",
      source: "overlay",
      options: ["lowerdir=/layers/b:/layers/a", "upperdir=/bundle/upper", "workdir=/bundle/work", "idmap"],
    },
    ...(made.mounts ?? []),
  ];
}

/** Mapped ids, network devices, resctrl, links and long lists of layers. */
function devices(made: Parameters<Edit>[0]): void {
  const range = (hostID: number) => [{ containerID: 0, hostID, size: 1000 }];
  made.linux.netDevices = { eth1: {}, eth2: { name: "net%d" } };
  made.linux.intelRdt = {
    closID: "gold",
    l3CacheSchema: "L3:0=f",
    memBwSchema: "MB:0=20",
    schemata: ["L2:0=f"],
    enableMonitoring: true,
  };
  made.hooks = { createRuntime: [{ path: "/bin/hook" }] };
  const bind = (source: string, ...options: string[]) => ({
    destination: `/data${source}`,
    type: "bind",
    source,
    options: ["bind", ...options],
  });
  const layers = Array.from({ length: 12 }, (_, i) => `/layers/${"x".repeat(30)}${i}`).join(":");
  made.mounts = [
    ...(made.mounts ?? []),
    { ...bind("/a", "idmap"), uidMappings: range(5000), gidMappings: range(6000) },
    { ...bind("/b", "rbind", "ridmap", "ro"), uidMappings: range(5000), gidMappings: range(6000) },
    bind("/c", "idmap=uids=0-7000-10;gids=0-7000-10"),
    bind("/d", "src-nofollow", "dest-nofollow"),
    bind("/e", "copy-symlink"),
    { destination: "/merged", type: "overlay", source: "overlay", options: [`lowerdir=${layers}`] },
  ];
}

function everything(made: Parameters<Edit>[0]): void {
  const hook = [{ path: "/bin/hook", args: ["hook", "x"], env: ["A=1"], timeout: 5 }];
  made.hooks = { prestart: hook, createRuntime: hook, createContainer: hook, startContainer: hook, poststop: hook };
  made.hostname = "web";
  made.domainname = "example.org";
  made.annotations = { "org.example": "x" };
  made.process = {
    ...made.process,
    terminal: true,
    consoleSize: { height: 24, width: 80 },
    user: { uid: 1000, gid: 1001, additionalGids: [5, 6], umask: 0o27 },
    noNewPrivileges: true,
    oomScoreAdj: 100,
  };
  made.linux.namespaces = [
    { type: "pid" },
    { type: "mount" },
    { type: "uts" },
    { type: "cgroup" },
    { type: "time" },
    { type: "user" },
    { type: "network", path: "/run/netns/web" },
    { type: "ipc", path: "/proc/1/ns/ipc" },
  ];
  made.linux.uidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  made.linux.gidMappings = [{ containerID: 0, hostID: 200_000, size: 65_536 }];
  made.linux.timeOffsets = { boottime: { secs: 5 } };
  made.linux.sysctl = { "net.ipv4.ip_forward": "1" };
  made.linux.devices = [{ path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 }];
  made.linux.seccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [{ names: ["read", "write"], action: "SCMP_ACT_ALLOW" }],
  };
  made.mounts = [
    ...(made.mounts ?? []),
    { destination: "/data", type: "bind", source: "/srv/data", options: ["rbind", "ro", "rprivate"] },
  ];
}

describe("golden plans", () => {
  test.each(Object.keys(plans))("%s", (name) => {
    const { plan, warnings } = compileCreate((plans[name] as () => CompileInput)());
    const text = renderPlan(plan) + warnings.map((warning) => `warning: ${warning}\n`).join("");
    const file = join(folder, `${name}.plan.txt`);
    if (process.env.GOLDEN === "update") writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, "utf8"));
  });

  test("the same input gives the same plan, and every plan can be encoded", () => {
    for (const name of Object.keys(plans)) {
      const make = () => compileCreate((plans[name] as () => CompileInput)()).plan;
      expect(make()).toEqual(make());
      expect(encodePlan(make()).length % 8).toBe(0);
    }
  });
});

describe("properties of every plan", () => {
  const types = ["pid", "network", "ipc", "uts", "user", "cgroup", "time"] as const;
  const arbitrary = fc.record({
    namespaces: fc.subarray([...types]),
    paths: fc.subarray([...types]),
    noNewPrivileges: fc.boolean(),
    hooks: fc.boolean(),
    stackLimit: fc.boolean(),
    host: fc.constantFrom("hybrid", "v2"),
  });
  const make = (drawn: typeof arbitrary extends fc.Arbitrary<infer T> ? T : never) =>
    compileCreate(
      input(
        drawn.host,
        config((made) => {
          made.linux.namespaces = [
            { type: "mount" },
            ...drawn.namespaces.map((type) => ({
              type,
              ...(drawn.paths.includes(type) && { path: `/proc/7/ns/${type}` }),
            })),
          ];
          if (!drawn.namespaces.includes("uts")) delete made.hostname;
          if (drawn.namespaces.includes("user") && !drawn.paths.includes("user")) {
            made.linux.uidMappings = [{ containerID: 0, hostID: 1000, size: 10 }];
            made.linux.gidMappings = [{ containerID: 0, hostID: 1000, size: 10 }];
          }
          made.process = { ...made.process, noNewPrivileges: drawn.noNewPrivileges };
          if (drawn.stackLimit) made.process.rlimits = [{ type: "RLIMIT_STACK", soft: 1 << 20, hard: 1 << 20 }];
          if (drawn.hooks) made.hooks = { createRuntime: [{ path: "/h" }], startContainer: [{ path: "/h" }] };
          made.linux.seccomp = {
            defaultAction: "SCMP_ACT_ALLOW",
            syscalls: [{ names: ["kexec_load"], action: "SCMP_ACT_ERRNO" }],
          };
        }),
      ),
    ).plan;

  test("sync points meet in the same order on both sides", () => {
    fc.assert(
      fc.property(arbitrary, (drawn) => {
        const { host, container } = make(drawn);
        const points = (steps: readonly { kind: string }[]) =>
          steps.flatMap((step) => ("point" in step ? [[step.kind, step.point] as const] : []));
        const other = (kind: string) => (kind === "sync.signal" ? "sync.wait" : "sync.signal");
        expect(points(host).map(([kind, at]) => [other(kind), at])).toEqual(points(container));
      }),
    );
  });

  test("what drops rights comes after what needs them", () => {
    fc.assert(
      fc.property(arbitrary, (drawn) => {
        const kinds = make(drawn).container.map(({ kind }) => kind);
        const precedes = (first: string, second: string) => {
          const a = kinds.lastIndexOf(first as (typeof kinds)[number]);
          const b = kinds.indexOf(second as (typeof kinds)[number]);
          expect({ first, second, ordered: a < 0 || b < 0 || a < b }).toMatchObject({ ordered: true });
        };
        precedes("mount.filesystem", "root.pivot");
        precedes("root.pivot", "sysctl.write");
        precedes("sysctl.write", "path.readonly");
        precedes("path.mask", "process.cwd");
        precedes("caps.bounding", "identity.set");
        precedes("identity.set", "caps.apply");
        precedes("fds.closeOnExec", "seccomp.load");
        precedes("seccomp.load", "gate.wait");
        precedes(
          drawn.noNewPrivileges ? "caps.apply" : "seccomp.load",
          drawn.noNewPrivileges ? "seccomp.load" : "identity.set",
        );
        expect(kinds.at(-1)).toBe("process.exec");
      }),
    );
  });
});
