/** The plans of checkpoint and restore: what is said to CRIU, and what is done around it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { type AbsPath, containerId } from "../core/brands.ts";
import { hostFactsFromJson } from "../host/facts-json.ts";
import { defaultConfig } from "../lifecycle/spec-template.ts";
import { encodePlan } from "../plan/encode.ts";
import type { Plan, Step } from "../plan/vocabulary.ts";
import { type CheckpointInput, compileCheckpoint } from "./checkpoint.ts";
import { compileCreate } from "./create.ts";
import { externalMounts } from "./external-mounts.ts";
import { plainOptions } from "./input.fixture.ts";
import { compileRestore, type RestoreInput } from "./restore.ts";

const file = join(__dirname, "golden/v2.host.json");
const facts = hostFactsFromJson(readFileSync(file, "utf8"), file);
const criuOptions = {
  tcpEstablished: false,
  extUnixSk: false,
  shellJob: false,
  fileLocks: false,
  lazyPages: false,
  autoDedup: false,
  linkRemap: false,
  tcpSkipInFlight: false,
  cgroupMode: "soft",
  emptyNamespaces: 0,
} as const;

type Edit = (config: Config & { process: NonNullable<Config["process"]>; linux: NonNullable<Config["linux"]> }) => void;
function configOf(edit: Edit = () => {}): Config {
  const made = structuredClone(defaultConfig({ rootless: false })) as Parameters<Edit>[0];
  made.process = { ...made.process, terminal: false };
  made.mounts = [
    ...(made.mounts ?? []),
    { destination: "/data", source: "/srv/data", options: ["rbind"] },
    { destination: "/dev/extra", source: "/srv/extra", options: ["bind"] },
    { destination: "/etc/hosts", source: "hosts", type: "bind" },
  ];
  edit(made);
  return made;
}

const base = { id: containerId("web"), bundle: "/b" as AbsPath, rootfs: "/b/rootfs" as AbsPath, facts };
const restoreOf = (config: Config, more: Partial<RestoreInput> = {}) =>
  compileRestore({
    ...base,
    config,
    options: plainOptions,
    restore: { ...criuOptions, lsmProfile: undefined, lsmMountContext: undefined },
    criu: { program: "/usr/sbin/criu", configFile: "/c" },
    imagesFd: 20,
    streams: [],
    ...more,
  });
const dumpOf = (config: Config, more: Partial<CheckpointInput> = {}) =>
  compileCheckpoint({
    container: { ...base, config },
    pid: 4711,
    options: {
      ...criuOptions,
      preDump: false,
      leaveRunning: false,
      parentPath: undefined,
      pageServer: undefined,
      statusFd: 0,
    },
    criu: { program: "/usr/sbin/criu", configFile: "/c" },
    imagesFd: 20,
    mounts: externalMounts({ ...base, config }, []).map((mount) => ({ ...mount, mountPoint: `/real/${mount.target}` })),
    namespaces: { network: 17, pid: 18 },
    files: [],
    freezeCgroup: undefined,
    ...more,
  });
/** The texts in a request. */
function said(plan: Plan): string {
  const step = plan.host.find(({ kind }) => kind === "criu.request") as Extract<Step, { kind: "criu.request" }>;
  return Buffer.from(step.request).toString("latin1");
}
const kinds = (steps: readonly Step[]): string[] => steps.map(({ kind }) => kind);

describe("checkpoint", () => {
  test("binds are the host's: named by their path in config.json, found where links have led to", () => {
    const request = said(dumpOf(configOf()));
    for (const each of ["mnt[/real/data]:/data", "mnt[/real/etc/hosts]:/etc/hosts"]) expect(request).toContain(each);
    expect(request).not.toContain("mnt[/real/proc]");
  });

  test("nothing of the host is changed, and CRIU starts from a clean process", () => {
    const plan = dumpOf(configOf());
    expect(kinds(plan.host)).toEqual([
      "criu.connect",
      "process.spawn",
      "process.waitExec",
      "criu.request",
      "criu.wait",
    ]);
    expect(kinds(plan.container)).toEqual(["process.signals", "fds.place", "process.exec"]);
    expect(plan.container.at(-1)).toMatchObject({ program: "/usr/sbin/criu", args: ["criu", "swrk", "500"] });
    expect(encodePlan(plan).length).toBeGreaterThan(0);
  });

  test("a network namespace that was joined by path is not part of the image", () => {
    const joined = configOf(({ linux }) => {
      linux.namespaces = [{ type: "mount" }, { type: "pid" }, { type: "network", path: "/run/netns/a" }];
    });
    expect(said(dumpOf(joined))).toContain("net[17]:extRootNetNS");
    expect(said(dumpOf(configOf()))).not.toContain("extRootNetNS");
  });

  test.each([
    ["without a mount namespace", [{ type: "pid" }], "mount namespace"],
    ["in a user namespace joined by path", [{ type: "mount" }, { type: "user", path: "/u" }], "/linux/namespaces/1"],
    ["in a mount namespace joined by path", [{ type: "pid" }, { type: "mount", path: "/m" }], "/linux/namespaces/1"],
    ["in a cgroup namespace joined by path", [{ type: "mount" }, { type: "cgroup", path: "/c" }], "cgroup namespace"],
  ])("a container %s is refused by both", (_, namespaces, words) => {
    const config = configOf(({ linux }) => {
      linux.namespaces = namespaces as NonNullable<typeof linux.namespaces>;
    });
    const refused = expect.objectContaining({ code: "unsupported", message: expect.stringContaining(words) });
    expect(() => dumpOf(config)).toThrow(refused);
    expect(() => restoreOf(config)).toThrow(refused);
  });
});

describe("restore", () => {
  test("cgroups, limits and device rules are create's own", () => {
    const config = configOf(({ linux }) => {
      linux.resources = {
        devices: [{ allow: false, access: "rwm" }],
        memory: { limit: 1_000_000 },
        pids: { limit: 9 },
      };
    });
    const about = (steps: readonly Step[]): Step[] => steps.filter(({ kind }) => kind.startsWith("cgroup."));
    const created = compileCreate({ ...base, config, options: plainOptions });
    const restored = restoreOf(config);
    expect(about([...restored.plan.host, ...restored.finish.host])).toEqual(about(created.plan.host));
    expect(restored.record).toEqual(created.record);
    // CRIU is in them before it hears of the image, and what counts processes does not count its own.
    const host = kinds(restored.plan.host);
    expect(host.lastIndexOf("cgroup.devices")).toBeLessThan(host.indexOf("process.spawn"));
    expect(kinds(restored.finish.host)).toEqual(["cgroup.write", "criu.wait"]);
    expect(said(restored.plan)).toContain("/web");
  });

  test("hooks run when the process is there; everything stands still until it is recorded", () => {
    const hook = [{ path: "/bin/true" }];
    const { plan, finish } = restoreOf({
      ...configOf(),
      hooks: { prestart: hook, createRuntime: hook, startContainer: hook },
    });
    const points = plan.host.flatMap((step) =>
      step.kind === "criu.wait" ? [step.script] : step.kind === "hook.run" ? [step.hook] : [],
    );
    expect(points).toEqual(["setup-namespaces", "prestart", "createRuntime", "pre-resume"]);
    expect(finish.host.at(-1)).toMatchObject({ kind: "criu.wait", script: "" });
  });

  test("a new root gets the places of its mounts, but for what is below another mount", () => {
    const places = restoreOf(configOf()).plan.container.flatMap((step) => {
      if (step.kind === "mount.target") return [`${step.target} of ${step.source}`];
      return step.kind === "fs.mkdir" ? [step.path] : [];
    });
    expect(places).toEqual(["proc", "dev", "sys", "data of /srv/data", "etc/hosts of /b/hosts"]);
  });

  test("the root is read-only as config.json says, once those places are made", () => {
    const readonly = (config: Config) => kinds(restoreOf(config).plan.container).indexOf("root.readonly");
    const config = configOf();
    expect(readonly({ ...config, root: { path: "rootfs", readonly: false } })).toBe(-1);
    const { container } = restoreOf({ ...config, root: { path: "rootfs", readonly: true } }).plan;
    expect(kinds(container).indexOf("root.readonly")).toBe(kinds(container).indexOf("sync.wait") - 1);
  });

  test("what is the host's comes from config.json", () => {
    const { plan } = restoreOf(
      configOf(({ linux }) => {
        linux.namespaces = [
          { type: "mount" },
          { type: "network", path: "/run/netns/a" },
          { type: "ipc", path: "/proc/7/ns/ipc" },
        ];
      }),
      { streams: [{ key: "pipe:[99]", fd: 1 }] },
    );
    for (const each of ["mnt[/data]:/srv/data", "extRootNetNS", "/proc/7/ns/ipc", "pipe:[99]"]) {
      expect(said(plan)).toContain(each);
    }
    expect(plan.container.filter(({ kind }) => kind === "fds.place")).toEqual([
      { kind: "fds.place", slot: "criu", number: 500 },
      { kind: "fds.place", slot: "ns-network", number: 501 },
    ]);
  });

  test("a terminal goes to whoever asked for it, or nothing is done", () => {
    const config = configOf(({ process }) => {
      (process as { terminal: boolean }).terminal = true;
    });
    expect(() => restoreOf(config)).toThrow("nobody takes the terminal");
    const { plan } = restoreOf(config, { options: { ...plainOptions, console: { kind: "socket", path: "/s" } } });
    expect(plan.host.filter(({ kind }) => kind === "criu.wait")).toEqual([
      expect.objectContaining({ console: "console" }),
      expect.objectContaining({ console: "console" }),
    ]);
  });
});
