/** kill: one signal, to the container's init or to all of its processes. */
import { TsrunError } from "../core/errors.ts";
import type { CgroupPlace } from "../host/facts.ts";
import type { HostStep, Plan } from "../plan/vocabulary.ts";

export type Place = CgroupPlace;

export interface KillInput {
  readonly id: string;
  /** The container's init. */
  readonly pid: number;
  readonly startTime: bigint;
  readonly signal: number;
  readonly all: boolean;
  readonly cgroups: readonly Place[];
  /** Where no cgroup tells them: the others of the container's own pid namespace. */
  readonly others?: readonly { readonly pid: number; readonly startTime: bigint }[];
  /** Without a pid namespace of its own the end of init does not end the others. */
  readonly sharesPidNamespace: boolean;
}

const SIGKILL = 9;

/** A cgroup that tells all of the container's processes: v2, else the freezer's, else any. Only one of its own. */
export function membershipPlace(cgroups: readonly Place[]): Place | undefined {
  const own = cgroups.filter(({ path }) => path !== "/" && path !== "");
  return (
    own.find(({ version, created }) => version === 2 && created) ??
    own.find(({ controllers }) => controllers.includes("freezer")) ??
    own.find(({ created }) => created) ??
    own[0]
  );
}

/** On v1 a frozen process does not even see SIGKILL. */
export function thawSteps(cgroups: readonly Place[]): HostStep[] {
  return cgroups
    .filter(({ version, controllers }) => version === 1 && controllers.includes("freezer"))
    .map(({ hierarchy, path }) => ({
      kind: "cgroup.freeze",
      hierarchy,
      path,
      frozen: false,
      version: 1,
      optional: true, // gone already
    }));
}

export function compileKill(input: KillInput): Plan {
  const { id, pid, startTime, signal } = input;
  const host: HostStep[] = [];
  const everyone = input.all || (signal === SIGKILL && input.sharesPidNamespace);
  const place = membershipPlace(input.cgroups);
  if (everyone && place !== undefined) {
    host.push({ kind: "cgroup.signal", hierarchy: place.hierarchy, path: place.path, signal });
  } else if (input.all && input.sharesPidNamespace) {
    throw new TsrunError("unsupported", `kill ${id}: without a cgroup of its own its processes cannot be told`);
  } else {
    for (const other of input.all ? (input.others ?? []) : []) {
      host.push({ kind: "process.signal", pid: other.pid, startTime: other.startTime, signal, gone: true });
    }
    host.push({ kind: "process.signal", pid, startTime, signal, gone: input.all });
  }
  if (signal === SIGKILL) host.push(...thawSteps(input.cgroups));
  return { title: `kill ${id}`, host, container: [] };
}
