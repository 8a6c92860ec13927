/**
 * delete: ends what still runs (with `force`, or when init's end does not end the others) and removes what create made
 * (runtime.md, Lifecycle, steps 11 and 12). The state directory is the lifecycle's to remove.
 */
import type { HostStep, Plan } from "../plan/vocabulary.ts";
import { type HookContainer, type Hooks, hookOutputSteps, hookSteps } from "./hooks.ts";
import { membershipPlace, type Place, thawSteps } from "./kill.ts";
import { type Resctrl, removeResctrl } from "./resctrl.ts";
import { type SystemdUnit, stopUnit } from "./systemd-unit.ts";

export interface DeleteInput {
  readonly id: string;
  readonly pid: number;
  readonly startTime: bigint;
  /** Init is alive, and is to be killed: `delete --force`, or a container that was never started. */
  readonly kill: boolean;
  /** A CRIU that dumps it, maybe for ever: it waits for who fetches lazy pages. What it traces does not go before it. */
  readonly dumper?: { readonly pid: number; readonly startTime: bigint } | undefined;
  readonly sharesPidNamespace: boolean;
  readonly cgroups: readonly Place[];
  readonly resctrl?: Resctrl | undefined;
  readonly systemd?: SystemdUnit | undefined;
  /** There never was a container: create was killed before it recorded one. */
  readonly halfMade?: boolean | undefined;
  /** CreateRecord.detachRoot. */
  readonly detachRoot?: string | undefined;
}

const SIGKILL = 9;
/** How long a killed process may take to go, and its cgroup to be removable. */
const PATIENCE_MS = 10_000;

export function compileDelete(input: DeleteInput): Plan {
  const { id, pid, startTime, cgroups } = input;
  const host: HostStep[] = [];
  if (input.kill) host.push({ kind: "process.signal", pid, startTime, signal: SIGKILL, gone: true });
  const place = membershipPlace(cgroups);
  // Never a cgroup that we only joined: others may be in it.
  const left = input.kill || input.sharesPidNamespace;
  if (left && place?.created === true) {
    host.push({ kind: "cgroup.signal", hierarchy: place.hierarchy, path: place.path, signal: SIGKILL });
  }
  if (left) host.push(...thawSteps(cgroups.filter(({ created }) => created)));
  if (input.dumper !== undefined) {
    const { pid: number, startTime: since } = input.dumper;
    host.push({ kind: "process.signal", pid: number, startTime: since, signal: SIGKILL, gone: true });
  }
  if (input.kill) host.push({ kind: "process.waitGone", pid, startTime, timeoutMs: PATIENCE_MS });
  // With everybody gone it ends by itself; but only now its name is free. What it leaves of its cgroups is removed after it.
  if (input.systemd !== undefined) host.push(stopUnit(input.systemd));
  for (const { hierarchy, path, created } of cgroups) {
    if (created) host.push({ kind: "cgroup.remove", hierarchy, path, timeoutMs: PATIENCE_MS });
  }
  host.push(...removeResctrl(input.resctrl, input.halfMade === true));
  if (input.detachRoot !== undefined) host.push({ kind: "root.detach", path: input.detachRoot, now: true });
  return { title: `delete ${id}`, host, container: [] };
}

/**
 * The poststop hooks (step 13), a plan each: one that fails is a warning and the others run all the same, so each needs
 * its own failure record.
 */
export function compilePoststop(container: HookContainer, hooks: Hooks | undefined): Plan[] {
  return hookSteps("poststop", hooks, container, "none").map((step) => ({
    title: `delete ${container.id}`,
    host: [...hookOutputSteps(["poststop"], hooks, container), step],
    container: [],
  }));
}
