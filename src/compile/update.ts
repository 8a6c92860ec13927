/**
 * update: other limits for a container that is there. Device rules are never touched: who runs the container may have
 * added some of their own (GPUs).
 *
 * compileUpdate says what is written, in an order in which every moment is valid; withUndo completes it by what the files
 * said before, so that an update that fails changes nothing.
 */
import type { Resources } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";
import type { PresentLimits } from "../host/facts.ts";
import type { HostStep, Plan, StepOf } from "../plan/vocabulary.ts";
import type { Place } from "./kill.ts";
import { amount } from "./resource-writes.ts";
import { resourceSteps } from "./resources.ts";
import { changedProperties } from "./systemd-properties.ts";
import { type SystemdUnit, setProperties } from "./systemd-unit.ts";

export interface UpdateInput {
  readonly id: string;
  /** What is asked for. Device rules are passed over. */
  readonly asked: Resources;
  /** linux.resources of the container so far. */
  readonly own: Resources;
  readonly present: PresentLimits;
  readonly places: readonly Place[];
  /** The container's unit, if systemd made its cgroups. */
  readonly systemd?: SystemdUnit | undefined;
}

export interface Update {
  readonly plan: Plan;
  /** linux.resources from now on. */
  readonly resources: Resources;
}

type Memory = NonNullable<Resources["memory"]>;

/** Throws `config` or `unsupported`, naming the property. */
export function compileUpdate({ id, asked, own, present, places, systemd }: UpdateInput): Update {
  const { devices: _, ...given } = withoutNothing(asked);
  const memory = given.memory === undefined ? undefined : completeMemory(given.memory, own.memory ?? {});
  const wanted: Resources = { ...given, ...(memory !== undefined && { memory }) };
  const { limits, processLimits } = resourceSteps(wanted, places, present);
  const resources = merge(own, wanted);
  const writes = [...limits, ...processLimits];
  return {
    plan: {
      title: `update ${id}`,
      host: systemd === undefined ? writes : [...writes, ...toldToSystemd(systemd, own, resources, writes)],
      container: [],
    },
    resources,
  };
}

/**
 * Once the kernel has taken the limits, so that systemd is not told what does not hold. It writes its own values to the
 * files, of which some are rounded: so they are written again, and undo, going backwards, ends with them, too.
 */
function toldToSystemd(unit: SystemdUnit, own: Resources, now: Resources, writes: readonly HostStep[]): HostStep[] {
  const { changed, before } = changedProperties(own, now);
  return changed.length === 0 ? [] : [setProperties(unit, changed, before), ...writes];
}

/** Without what asks for nothing: 0 and "" of callers that send every property. */
function withoutNothing(asked: Resources): Resources {
  const { memory, cpu, blockIO, network } = asked;
  return {
    ...asked,
    ...(memory !== undefined && { memory: only(memory, ["limit", "swap", "reservation", "kernel", "kernelTCP"]) }),
    ...(cpu !== undefined && {
      cpu: only(cpu, ["shares", "quota", "period", "realtimeRuntime", "realtimePeriod", "cpus", "mems"]),
    }),
    ...(blockIO !== undefined && { blockIO: only(blockIO, ["weight", "leafWeight"]) }),
    ...(network !== undefined && { network: only(network, ["classID"]) }),
  };
}

function only<T extends object>(values: T, zeroIsNothing: readonly (keyof T)[]): T {
  const isNothing = ([name, value]: [string, unknown]): boolean =>
    value === undefined ||
    ((zeroIsNothing as readonly string[]).includes(name) && (value === "" || value === 0 || value === 0n));
  return Object.fromEntries(Object.entries(values).filter((entry) => !isNothing(entry))) as T;
}

/**
 * Limit and swap (which is both together) hang on each other: what is not asked for is as it was, except that no limit of
 * memory is none of both.
 */
function completeMemory(asked: Memory, own: Memory): Memory {
  const check = asked.checkBeforeUpdate ?? own.checkBeforeUpdate;
  const complete = { ...asked, ...(check !== undefined && { checkBeforeUpdate: check }) };
  if (asked.limit === undefined && asked.swap === undefined) return complete;
  const limit = asked.limit ?? own.limit;
  const swap = asked.swap ?? (Number(asked.limit) === -1 ? -1 : amount(own.swap) === undefined ? undefined : own.swap);
  if (asked.swap === undefined && swap !== undefined && Number(swap) > 0 && (limit ?? 0) > swap) {
    throw new TsrunError(
      "config",
      `/linux/resources/memory/limit: ${limit} is above the present limit of memory and swap, ${swap}`,
      { advice: "raise memory and swap together (--memory-swap), or lift its limit with -1" },
    );
  }
  return { ...complete, ...(limit !== undefined && { limit }), ...(swap !== undefined && { swap }) };
}

/** Objects property by property; lists as a whole. Device rules stay as they are. */
function merge(own: Resources, wanted: Resources): Resources {
  const merged: Record<string, unknown> = { ...own };
  for (const [name, value] of Object.entries(wanted)) {
    if (value === undefined) continue;
    const before = merged[name];
    merged[name] = isPlain(value) && isPlain(before) ? { ...before, ...value } : value;
  }
  return merged as Resources;
}

const isPlain = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A file that a plan writes. */
export interface Target {
  readonly hierarchy: string;
  readonly path: string;
  readonly file: string;
}

const isUpdate = (step: HostStep): step is StepOf<"cgroup.update"> => step.kind === "cgroup.update";

export function targetsOf(plan: Plan): Target[] {
  return plan.host
    .filter(isUpdate)
    .flatMap(({ hierarchy, path, files }) => files.map((file) => ({ hierarchy, path, file })));
}

/** Completes a plan by what its files said before it: `textOf`, undefined for one that is not there. */
export function withUndo(plan: Plan, textOf: (target: Target) => string | undefined): Plan {
  return {
    ...plan,
    host: plan.host.map((step) => {
      if (!isUpdate(step)) return step;
      const { hierarchy, path, files, values } = step;
      const before = files.map((file, i) => undoText(file, textOf({ hierarchy, path, file }), values[i] as string));
      return { ...step, before };
    }),
  };
}

/** What to write to a file so that it says again what it said. */
export function undoText(file: string, text: string | undefined, value: string): string {
  if (text === undefined) return "";
  if (file === "memory.oom_control") return /^oom_kill_disable (\d)/m.exec(text)?.[1] ?? "";
  // A line for each device, of which only this one's was changed.
  const key = /^(\d+:\d+) /.exec(value)?.[1] ?? (file === "rdma.max" ? value.split(" ", 1)[0] : undefined);
  if (key !== undefined) {
    const line = text.split("\n").find((each) => each.startsWith(`${key} `));
    return line ?? `${key} ${absent(file, value)}`;
  }
  // An empty write(2) would not reach the kernel.
  return text.trim() === "" ? "\n" : text.trim();
}

/** How a device without a line is written. */
function absent(file: string, value: string): string {
  if (file === "io.max" || file === "rdma.max") return value.split(" ").slice(1).join(" ").replace(/=\S+/g, "=max");
  return file.startsWith("io.") ? "default" : "0";
}
