import { expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { defaultConfig } from "../lifecycle/spec-template.ts";
import { changedSinceDump } from "./image-config.ts";

type Edit = (config: Config & { process: NonNullable<Config["process"]>; linux: NonNullable<Config["linux"]> }) => void;
function changed(edit: Edit): string[] {
  const before = defaultConfig({ rootless: false });
  const now = structuredClone(before);
  edit(now as Parameters<Edit>[0]);
  return changedSinceDump(before, now);
}

test("the same has nothing that changed, however it is written", () => {
  expect(
    changed((config) => {
      config.process = Object.fromEntries(Object.entries(config.process).reverse()) as unknown as typeof config.process;
      config.process.terminal = config.process.terminal === true;
      config.linux = { ...config.linux, sysctl: {}, uidMappings: [] };
      config.linux.namespaces?.reverse().push({ type: "time" });
    }),
  ).toEqual([]);
});

test("so is what podman makes of it on a restore", () => {
  const config = (options: string[], destinations: string[]): Config => ({
    ociVersion: "1.3.0",
    mounts: destinations.map((destination) => ({ destination, type: "bind", source: "/x", options })),
  });
  const before = config(["bind", "rprivate", "nodev"], ["/etc/hosts", "/dev/shm"]);
  expect(changedSinceDump(before, config(["bind", "private", "nodev"], ["/dev/shm", "/etc/hosts"]))).toEqual([]);
  expect(changedSinceDump(before, config(["bind", "rshared", "nodev"], ["/dev/shm", "/etc/hosts"]))).toEqual([
    "/mounts",
  ]);
});

test("what config.json decides may be other", () => {
  expect(
    changed((config) => {
      config.annotations = { a: "b" };
      config.hooks = { poststop: [{ path: "/bin/true" }] };
      config.linux.cgroupsPath = "/elsewhere";
      config.linux.resources = { pids: { limit: 1 } };
      for (const mount of config.mounts ?? []) mount.source = `/new${mount.source}`;
      for (const namespace of config.linux.namespaces ?? []) namespace.path = "/run/ns";
      config.root = { path: "/elsewhere", readonly: config.root?.readonly };
    }),
  ).toEqual([]);
});

test.each<[pointer: string, edit: Edit]>([
  ["/hostname", (config) => Object.assign(config, { hostname: "other" })],
  ["/root/readonly", (config) => Object.assign(config, { root: { path: "rootfs" } })],
  ["/mounts", (config) => config.mounts?.[1]?.options?.push("ro")],
  ["/mounts", (config) => config.mounts?.pop()],
  ["/process/args", (config) => config.process.args?.push("x")],
  ["/process/user/uid", (config) => Object.assign(config.process, { user: { uid: 7, gid: 0 } })],
  ["/process/rlimits", (config) => Object.assign(config.process, { rlimits: [{ type: "A", soft: 1n, hard: 2n }] })],
  ["/linux/namespaces", (config) => config.linux.namespaces?.pop()],
  ["/linux/sysctl", (config) => Object.assign(config.linux, { sysctl: { "net.ipv4.ip_forward": "1" } })],
  ["/linux/seccomp", (config) => Object.assign(config.linux, { seccomp: { defaultAction: "SCMP_ACT_ALLOW" } })],
  ["/linux/maskedPaths", (config) => config.linux.maskedPaths?.pop()],
  ["/linux/readonlyPaths", (config) => Object.assign(config.linux, { readonlyPaths: undefined })],
])("%s is the image's", (pointer, edit) => {
  expect(changed(edit)).toEqual([pointer]);
});
