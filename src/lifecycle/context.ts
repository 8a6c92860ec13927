/** What every verb gets beside its own arguments. */
import type { CgroupManager } from "../compile/input.ts";
import type { Log } from "../log/log.ts";
import type { Fault } from "../native/native.ts";
import type { StateRoot } from "../state/store.ts";

/** Moments of a verb at which a test can have tsrun killed, beside the steps of its plans. */
export type KillPoint =
  | "reference" // run --image: the layers are in the store, the bundle is announced
  | "bundle" // run --image: the bundle is made
  | "directory-new" // the directory of the container is made, under a temporary name
  | "directory" // it has its name; the journal is in it
  | "executed" // create's plan has run
  | "recorded" // state.json is there
  | "pid-file"
  | "committed" // tsrun-init waits at the gate on its own
  | "started"
  | "deleting" // the journal says that it is being deleted
  | "removed" // cgroups are gone
  | "poststop" // hooks have run
  | "bundle-removed" // of a container of run --image
  | "renamed"; // the id is free again

/** The plans in which a test can ask for a fault. */
export const planNames = [
  "create",
  "start",
  "exec",
  "delete",
  "kill",
  "pause",
  "resume",
  "update",
  "checkpoint",
  "restore",
] as const;
export type PlanName = (typeof planNames)[number];

/** A fault that a test asks for with --test-fault. */
export type FaultRequest =
  | { readonly kind: "step"; readonly plan: PlanName; readonly fault: Fault }
  | { readonly kind: "point"; readonly point: KillPoint };

export interface Context {
  readonly root: StateRoot;
  readonly log: Log;
  readonly fault: FaultRequest | undefined;
  /** --cgroup-manager or --systemd-cgroup: of containers that are created; others are with theirs. */
  readonly cgroupManager: CgroupManager;
}

/** Kills tsrun here if a test asked for it. */
export function reached(context: Context, point: KillPoint): void {
  if (context.fault?.kind === "point" && context.fault.point === point) process.kill(process.pid, "SIGKILL");
}

/** The fault of a plan, if a test asked for one in it. */
export function faultOf(context: Context, plan: PlanName): Fault | undefined {
  return context.fault?.kind === "step" && context.fault.plan === plan ? context.fault.fault : undefined;
}
