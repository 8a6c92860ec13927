/** Units of systemd: a pod's slice, which a kubelet makes, and the containers' scopes, which the runtime asks for. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { leftCgroups } from "../left.ts";

function systemctl(...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync("systemctl", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`systemctl ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

/** Why containers cannot be units here; undefined where they can. */
export function noSystemd(): string | undefined {
  if (!existsSync("/run/systemd/system")) return "this host runs without systemd";
  return existsSync("/sys/fs/cgroup/cgroup.controllers") ? undefined : "this host has more than cgroup v2";
}

/** A unit's properties. */
export function show(unit: string, ...names: readonly string[]): Readonly<Record<string, string>> {
  const lines = systemctl("show", unit, ...names.map((name) => `--property=${name}`)).split("\n");
  return Object.fromEntries(lines.filter((line) => line !== "").map((line) => line.split(/=(.*)/s, 2)));
}

/** Has systemd set everything again, as any installation of a package may. */
export function reload(): void {
  systemctl("daemon-reload");
}

/** The slice of all pods; a kubelet's is "kubepods". */
const ROOT = "tsruntest";
/** The slice of the pods of a class. */
const PODS = `${ROOT}-burstable`;

/** The memory of a pod. */
export const POD_MEMORY = 256 << 20;

/** Makes the slice of a pod with its limits; gives the path of its cgroup, which is how a kubelet names it. */
export function makeSlice(uid: string): string {
  const name = `${PODS}-pod${uid}.slice`;
  const call = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"];
  const properties = [
    ...["Description", "s", "a pod"],
    ...["DefaultDependencies", "b", "false"],
    ...["MemoryMax", "t", String(POD_MEMORY)],
    ...["CPUWeight", "t", "50"],
  ];
  const made = spawnSync(
    "busctl",
    ["call", ...call, "StartTransientUnit", "ssa(sv)a(sa(sv))", name, "replace", "4", ...properties, "0"],
    { encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`busctl: ${made.error?.message ?? made.stderr}`);
  return `/${ROOT}.slice/${PODS}.slice/${name}`;
}

/** Ends what is in the slice of that cgroup, if anything is, and the slice. */
export function removeSlice(cgroup: string): void {
  systemctl("stop", cgroup.slice(cgroup.lastIndexOf("/") + 1));
}

export function removeAllSlices(): void {
  removeSlice(`${ROOT}.slice`);
}

/** Scopes of containers, also such as have failed, and what is left of pods. */
export function leftUnits(): readonly string[] {
  const scopes = systemctl("list-units", "--all", "--plain", "--no-legend", "*.scope")
    .split("\n")
    .filter((line) => /^(cri-containerd|ctr)-/.test(line))
    .map((line) => `unit ${line}`);
  return [...scopes, ...leftCgroups(`${ROOT}.slice/${PODS}.slice`)];
}
