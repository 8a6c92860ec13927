/** The container's cgroups: where init stands, each value that was configured, what is in force, what is in use. */
import { posix } from "node:path";
import type { CgroupPlace } from "../host/facts.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import { bytes, isNoLimit, matchValue } from "./cgroup-values.ts";
import type { ExplainInput } from "./input.ts";
import { type Item, itemsOf } from "./item.ts";

const { ok, adjusted, differs, info, unknown } = itemsOf("cgroups");

export function explainCgroups(input: ExplainInput): Item[] {
  if (input.cgroups.length === 0) return [info("all", "none of the container's own")];
  return [...input.cgroups.map((place) => membership(input, place)), ...limits(input), ...usage(input)];
}

const nameOf = ({ version, controllers }: CgroupPlace): string => (version === 2 ? "v2" : controllers.join(","));

function membership({ probe }: ExplainInput, place: CgroupPlace): Item {
  const name = `place in ${nameOf(place)}`;
  const actual = probe.cgroupOf(place);
  if ("unreadable" in actual) return unknown(name, place.path, actual.unreadable);
  if (actual.value === place.path) return ok(name, place.path);
  const body = { configured: place.path, actual: actual.value };
  if (actual.value.startsWith(`${place.path}/`)) {
    return adjusted(name, { ...body, note: "init went into a cgroup of its own making, below the container's" });
  }
  return differs(name, { ...body, note: "the container's limits do not hold for it" });
}

type Write = Extract<HostStep, { kind: "cgroup.write" | "cgroup.writeFirst" }>;

/** What the plan writes, the last value of each file or line. */
function limits(input: ExplainInput): Item[] {
  const writes = new Map<string, Item>();
  for (const step of input.plan.host) {
    if (step.kind !== "cgroup.write" && step.kind !== "cgroup.writeFirst") continue;
    const place = input.cgroups.find(({ hierarchy }) => hierarchy === step.hierarchy);
    if (place === undefined) continue;
    for (const [key, item] of written(input, place, step)) {
      writes.delete(key);
      writes.set(key, item);
    }
  }
  return [...writes.values()];
}

function written(input: ExplainInput, place: CgroupPlace, step: Write): (readonly [key: string, item: Item])[] {
  const files: readonly (readonly [string, string])[] =
    step.kind === "cgroup.write"
      ? [[step.file, step.value]]
      : step.files.map((file, i) => [file, step.values[i] ?? ""] as const);
  for (const [file, value] of files) {
    if (file.startsWith("devices.")) return [];
    const shown = input.probe.cgroupFile(place, file);
    const wanted = value.trim();
    if ("unreadable" in shown) return [[file, unknown(file, wanted, shown.unreadable)]];
    if (shown.value === undefined) continue;
    const { kind, actual } = matchValue(file, wanted, shown.value);
    // One key for each line of a file with many.
    const key = wanted.includes(":") ? `${file} ${wanted.replace(/=.*$/, "")}` : file;
    if (kind === "other") return [[key, differs(file, { configured: wanted, actual })]];
    const force = inForce(input, place, file, actual);
    if (force !== undefined)
      return [[key, adjusted(file, { configured: wanted, actual: force.value, note: force.note })]];
    if (kind === "rounded") {
      return [[key, adjusted(file, { configured: wanted, actual, note: "the kernel counts in pages" })]];
    }
    return [[key, ok(file, actual)]];
  }
  const [file = "", value = ""] = files[0] ?? [];
  // Files that there need not be are for values that mean nothing without them.
  if (step.kind === "cgroup.writeFirst" && step.missing) return [];
  return [[file, differs(file, { configured: value.trim(), actual: "missing" })]];
}

/** A stricter value of a cgroup above; undefined where the container's own decides. */
function inForce(
  { probe }: ExplainInput,
  place: CgroupPlace,
  file: string,
  own: string,
): { readonly value: string; readonly note: string } | undefined {
  if (file === "cpuset.cpus" || file === "cpuset.mems") {
    const effective = place.version === 2 ? `${file}.effective` : file.replace(/^cpuset\./, "cpuset.effective_");
    const shown = probe.cgroupFile(place, effective);
    if ("unreadable" in shown || shown.value === undefined || matchValue(file, own, shown.value).kind === "same") {
      return undefined;
    }
    return {
      value: shown.value,
      note: `${own} is in the file; a cgroup above or the machine has no more (${effective})`,
    };
  }
  if (!/^(memory\.(max|high|swap\.max|limit_in_bytes|memsw\.limit_in_bytes)|pids\.max)$/.test(file)) return undefined;
  let least = bytes(own);
  let at: string | undefined;
  for (let path = posix.dirname(place.path); path !== "/"; path = posix.dirname(path)) {
    const shown = probe.cgroupFile({ ...place, path }, file);
    const limit = "value" in shown && shown.value !== undefined ? bytes(shown.value) : undefined;
    if (limit === undefined || least === undefined || isNoLimit(limit) || limit >= least) continue;
    least = limit;
    at = path;
  }
  return at === undefined
    ? undefined
    : { value: String(least), note: `${own} is in the file; ${at} above allows no more` };
}

/** What statistics say, by controller: v1's file, v2's file. */
const counters = [
  ["memory in use", "memory", "memory.usage_in_bytes", "memory.current", "bytes"],
  ["most memory in use", "memory", "memory.max_usage_in_bytes", "memory.peak", "bytes"],
  ["processes", "pids", "pids.current", "pids.current", ""],
  ["CPU time", "cpuacct", "cpuacct.usage", "cpu.stat", "seconds"],
] as const;

function usage({ cgroups, probe }: ExplainInput): Item[] {
  return counters.flatMap(([name, controller, v1, v2, unit]) => {
    const place =
      cgroups.find(({ version, controllers }) => version === 1 && controllers.includes(controller)) ??
      cgroups.find(
        ({ version, controllers }) => version === 2 && (controllers.includes(controller) || v2 === "cpu.stat"),
      );
    if (place === undefined) return [];
    const shown = probe.cgroupFile(place, place.version === 1 ? v1 : v2);
    if ("unreadable" in shown || shown.value === undefined) return [];
    const seconds = (value: string | undefined, perSecond: number): string =>
      (Number(value ?? 0) / perSecond).toFixed(3);
    const text =
      unit !== "seconds"
        ? shown.value
        : place.version === 1
          ? seconds(shown.value, 1e9)
          : seconds(/^usage_usec (\d+)$/m.exec(shown.value)?.[1], 1e6);
    return [info(name, unit === "" ? text : `${text} ${unit}`)];
  });
}
