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

/** The memory of a pod. */
export const POD_MEMORY = 256 << 20;

/**
 * Makes the slice of a pod with its limits; gives the path of its cgroup, which is how a kubelet names it. `root` is the slice of
 * all pods without its ending; a kubelet's is "kubepods".
 */
export function makeSlice(root: string, uid: string): string {
  const name = `${root}-burstable-pod${uid}.slice`;
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
  return `/${root}.slice/${root}-burstable.slice/${name}`;
}

/** Ends what is in a slice, if anything is, and the slice. */
export function removeSlice(name: string): void {
  systemctl("stop", name);
}

/** Scopes below the slice of all pods, also such as have failed, and cgroups of pods. */
export function leftUnits(root: string): readonly string[] {
  const scopes = systemctl("list-units", "--all", "--plain", "--no-legend", "*.scope")
    .split("\n")
    .map((line) => line.split(" ", 1)[0] ?? "")
    .filter((unit) => unit !== "" && show(unit, "Slice").Slice?.startsWith(`${root}-`))
    .map((unit) => `unit ${unit}`);
  return [...scopes, ...leftCgroups(`${root}.slice/${root}-burstable.slice`)];
}
