/** The bundles that are measured: `spec`, what `tsrun spec` and `runc spec` write, and `docker`, as an engine writes it. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProfile, profileOf } from "../../conformance-tests/compare/profiles.ts";
import type { Config } from "../../conformance-tests/harness.ts";
import { dockerCapabilities } from "../../src/image/capabilities.ts";
import type { Bench } from "./bench.ts";
import { Missing } from "./programs.ts";

export type BundleKind = "spec" | "docker";
export const SLEEP = ["/bin/sleep", "1000000"] as const;

/** How many mounts the docker-like bundle has. */
const MOUNTS = 30;

/** Writes a bundle on the common root file system. */
export function makeBundle(bench: Bench, kind: BundleKind, name: string, args: readonly string[]): string {
  const path = join(bench.options.work, `bundle-${name}`);
  mkdirSync(path);
  const config = structuredClone(template(bench));
  config.ociVersion = "1.0.2"; // one that the peers of older distributions take, too
  config.root.path = bench.rootfs;
  config.process.terminal = false;
  config.process.args = args;
  config.linux.cgroupsPath = `/bench/${name}`;
  if (kind === "docker") likeDocker(config, bench);
  writeFileSync(join(path, "config.json"), JSON.stringify(config, null, 2));
  return path;
}

const templates = new WeakMap<Bench, Config>();
function template(bench: Bench): Config {
  const known = templates.get(bench);
  if (known !== undefined) return known;
  const writer = bench.tsrun ?? bench.runtimes[0];
  if (writer === undefined) throw new Missing("none of the runtimes is there");
  const directory = join(bench.options.work, "template");
  mkdirSync(directory);
  execFileSync(writer.path, ["spec"], { cwd: directory });
  const config: Config = JSON.parse(readFileSync(join(directory, "config.json"), "utf8"));
  templates.set(bench, config);
  return config;
}

function likeDocker(config: Config, bench: Bench): void {
  const capabilities = [...dockerCapabilities];
  config.process.capabilities = { bounding: capabilities, effective: capabilities, permitted: capabilities };
  config.process.noNewPrivileges = undefined;
  config.process.oomScoreAdj = 0;
  config.root.readonly = false;
  // docker's own profile comes out of a source package; podman's with its dependency, and is as large.
  if (findProfile("podman") !== undefined) config.linux.seccomp = profileOf("podman", capabilities);
  const shared = join(bench.options.work, "binds");
  mkdirSync(shared, { recursive: true });
  for (let i = 0; config.mounts.length < MOUNTS; i++) {
    const source = join(shared, String(i));
    if (!existsSync(source)) {
      if (i % 2 === 0) mkdirSync(source);
      else writeFileSync(source, "");
    }
    config.mounts.push({
      destination: `/mnt/${i}`,
      type: "bind",
      source,
      options: ["rbind", "rprivate", ...(i % 3 === 0 ? ["ro", "nosuid", "nodev"] : [])],
    });
  }
  const controllers = controllersHere();
  const has = (name: string): boolean => controllers.has(name);
  Object.assign(config.linux.resources, {
    ...(has("memory") && { memory: { limit: 512 << 20, reservation: 256 << 20 } }),
    ...(has("cpu") && { cpu: { shares: 512, quota: 150_000, period: 100_000 } }),
    ...(has("pids") && { pids: { limit: 1000 } }),
  });
}

/** What the docker-like bundle cannot have here, a sentence each. */
export function lackingOfDocker(): readonly string[] {
  return [
    ...(findProfile("podman") === undefined
      ? ["the docker-like bundle has no seccomp profile here (Debian: golang-github-containers-common)"]
      : []),
    ...(controllersHere().has("memory")
      ? []
      : ["no limits in the docker-like bundle: this view of the cgroups has no controllers"]),
  ];
}

/** The controllers of the hierarchies at /sys/fs/cgroup. */
function controllersHere(): ReadonlySet<string> {
  const unified = "/sys/fs/cgroup/cgroup.controllers";
  if (existsSync(unified)) return new Set(readFileSync(unified, "utf8").trim().split(" "));
  return new Set(["cpu", "memory", "pids"].filter((name) => existsSync(join("/sys/fs/cgroup", name))));
}
