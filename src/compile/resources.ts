/**
 * linux.resources: which controller of this host each part goes to, v1 or v2. On a hybrid host that is decided part by
 * part, since a controller is in one hierarchy only. create writes them before the container's process is in the cgroup;
 * update writes them to a running container.
 */
import type { Resources } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";
import type { PresentLimits } from "../host/facts.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import type { Place } from "./kill.ts";
import type { Write } from "./resource-writes.ts";
import {
  blkioV1,
  cpusetWrites,
  cpuV1,
  hugetlbV1,
  memoryV1,
  netClsV1,
  netPrioV1,
  pidsWrites,
  rdmaWrites,
} from "./resources-v1.ts";
import { cpuV2, hugetlbV2, ioV2, memoryV2 } from "./resources-v2.ts";

type Writer = (resources: Resources, present: PresentLimits | undefined) => Write[];

interface Part {
  /** The property, for messages. */
  readonly at: string;
  readonly v1: readonly [controller: string, writer: Writer];
  readonly v2?: readonly [controller: string, writer: Writer];
}

const parts: readonly Part[] = [
  { at: "memory", v1: ["memory", memoryV1], v2: ["memory", memoryV2] },
  { at: "cpu", v1: ["cpu", cpuV1], v2: ["cpu", cpuV2] },
  { at: "cpu", v1: ["cpuset", cpusetWrites], v2: ["cpuset", cpusetWrites] },
  { at: "blockIO", v1: ["blkio", blkioV1], v2: ["io", ioV2] },
  { at: "hugepageLimits", v1: ["hugetlb", hugetlbV1], v2: ["hugetlb", hugetlbV2] },
  { at: "network/classID", v1: ["net_cls", netClsV1] },
  { at: "network/priorities", v1: ["net_prio", netPrioV1] },
  { at: "rdma", v1: ["rdma", rdmaWrites], v2: ["rdma", rdmaWrites] },
  { at: "pids", v1: ["pids", pidsWrites], v2: ["pids", pidsWrites] },
];

export interface ResourceSteps {
  /** All but what counts processes. */
  readonly limits: readonly HostStep[];
  /** pids.max: once the container's process is there, since making it must not count against a limit of 0 or 1. */
  readonly processLimits: readonly HostStep[];
  /** v2 controllers that these files need. */
  readonly needed: readonly string[];
}

const has = (places: readonly Place[], version: 1 | 2, controller: string): Place | undefined =>
  places.find((place) => place.version === version && place.controllers.includes(controller));

/**
 * `present`: what the files of a running container say; undefined for new cgroups, whose values are the kernel's defaults
 * and which go when the plan fails. Throws `unsupported` naming the property when
 * its controller is missing on this host, or v2 has no such thing.
 */
export function resourceSteps(
  resources: Resources,
  places: readonly Place[],
  present?: PresentLimits | undefined,
): ResourceSteps {
  const limits: HostStep[] = [];
  const processLimits: HostStep[] = [];
  const needed = new Set<string>();
  const stays = present !== undefined;
  for (const { at, v1, v2 } of parts) {
    const [controller, writer] = v1;
    const place = has(places, 1, controller);
    if (place !== undefined) {
      const steps = writeSteps(place, stays, writer(resources, present));
      (controller === "pids" ? processLimits : limits).push(...steps);
      continue;
    }
    const unified = v2 === undefined ? undefined : has(places, 2, v2[0]);
    if (v2 === undefined || unified === undefined) {
      if (writer(resources, present).length > 0) throw missing(`/linux/resources/${at}`, controller);
      continue;
    }
    const steps = writeSteps(unified, stays, v2[1](resources, present));
    if (steps.length > 0) needed.add(v2[0]);
    (controller === "pids" ? processLimits : limits).push(...steps);
  }
  const unified = unifiedSteps(resources.unified, places, stays, needed);
  return {
    limits: [...limits, ...unified.filter(([file]) => !file.startsWith("pids.")).map(([, step]) => step)],
    processLimits: [...processLimits, ...unified.filter(([file]) => file.startsWith("pids.")).map(([, step]) => step)],
    needed: [...needed],
  };
}

function missing(pointer: string, controller: string): TsrunError {
  return new TsrunError("unsupported", `${pointer}: the cgroup controller ${controller} is not available here`, {
    advice: "see /proc/cgroups and, on cgroup v2, cgroup.controllers of the parents",
  });
}

/** `stays`: undoing the plan does not remove the cgroup (update); withUndo then says what was in the files. */
function writeSteps({ hierarchy, path }: Place, stays: boolean, writes: readonly Write[]): HostStep[] {
  return writes.map((write) => {
    if (!stays && "file" in write) {
      return { kind: "cgroup.write", hierarchy, path, file: write.file, value: write.value };
    }
    const first = "file" in write ? [[write.file, write.value] as const] : write.first;
    const files = first.map(([file]) => file);
    const values = first.map(([, value]) => value);
    const missing = "file" in write ? false : write.missing;
    return stays
      ? { kind: "cgroup.update", hierarchy, path, files, values, before: files.map(() => ""), missing }
      : { kind: "cgroup.writeFirst", hierarchy, path, files, values, missing };
  });
}

/** These move, stop or end processes: no resources, and fatal before the container's process is there. */
const operations = new Set(["cgroup.procs", "cgroup.threads", "cgroup.freeze", "cgroup.kill"]);

/** config-linux.md, Unified: every key is a file, known to us or not; its controller must be there. */
function unifiedSteps(
  unified: Resources["unified"],
  places: readonly Place[],
  stays: boolean,
  needed: Set<string>,
): (readonly [file: string, step: HostStep])[] {
  const entries = Object.entries(unified ?? {});
  if (entries.length === 0) return [];
  const at = "/linux/resources/unified";
  const place = places.find(({ version }) => version === 2);
  if (place === undefined) {
    throw new TsrunError("unsupported", `${at}: this host has no cgroup v2 hierarchy`);
  }
  return entries.map(([file, value]) => {
    const pointer = `${at}/${file.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (file.includes("/") || file === "" || file === "." || file === "..") {
      throw new TsrunError("config", `${pointer}: it is not the name of a file of the cgroup`);
    }
    if (operations.has(file)) {
      throw new TsrunError("config", `${pointer}: it acts on processes and is no resource`);
    }
    const [controller = ""] = file.split(".");
    if (controller !== "cgroup") {
      if (!place.controllers.includes(controller)) throw missing(pointer, controller);
      needed.add(controller);
    }
    const [step] = writeSteps(place, stays, [{ file, value }]);
    return [file, step as HostStep];
  });
}
