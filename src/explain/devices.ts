/** Device nodes of /dev and the cgroup's rules for devices. */
import type { ContainerStep } from "../plan/vocabulary.ts";
import { idInside, parseIdMap } from "./id-maps.ts";
import type { ExplainInput } from "./input.ts";
import { type Item, itemsOf } from "./item.ts";

const { ok, compare, differs, info, unknown } = itemsOf("devices");

type Node = Extract<ContainerStep, { kind: "device.create" | "device.bind" }>;

export function explainDevices(input: ExplainInput): Item[] {
  return [
    ...input.plan.container.flatMap((step) =>
      step.kind === "device.create" || step.kind === "device.bind" ? [node(input, step)] : [],
    ),
    ...rules(input),
  ];
}

/** S_IFCHR, S_IFBLK, S_IFIFO (inode(7)). */
const types: ReadonlyMap<number, string> = new Map([
  [0o020000, "character"],
  [0o060000, "block"],
  [0o010000, "fifo"],
]);
const isFifo = (type: string | undefined): boolean => type === "fifo";

/** A node that is bound from the host has the host's owner and mode. */
function node({ probe }: ExplainInput, step: Node): Item {
  const type = types.get(Number(step.type)) ?? String(step.type);
  const numbers = isFifo(type) ? type : `${type} ${step.major}:${step.minor}`;
  const made = step.kind === "device.create";
  const owner = (uid: number | string, gid: number | string, mode: number): string =>
    `mode ${mode.toString(8).padStart(4, "0")}, owner ${uid}:${gid}`;
  const configured = made ? `${numbers}, ${owner(Number(step.uid), Number(step.gid), Number(step.mode))}` : numbers;
  const name = `/${step.path}`;
  const found = probe.look(name);
  if ("unreadable" in found) return unknown(name, configured, found.unreadable);
  if (found.value === undefined) return differs(name, { configured, actual: "missing" });
  const { kind, major, minor, mode, uid, gid } = found.value;
  const isNode = kind === "character" || kind === "block";
  const actual = isNode ? `${kind} ${major}:${minor}` : kind;
  if (!made || actual !== numbers) return compare(name, numbers, actual);
  const [uids, gids] = [probe.text("uid_map"), probe.text("gid_map")];
  const inside = (map: typeof uids, id: number): number | string =>
    "value" in map ? (idInside(parseIdMap(map.value), id) ?? "not mapped") : id;
  return compare(name, configured, `${actual}, ${owner(inside(uids, uid), inside(gids, gid), mode)}`);
}

/** v1 shows its list, v2 nothing of the program that decides there. */
function rules({ plan, cgroups, probe }: ExplainInput): Item[] {
  const name = "rules";
  const writes = plan.host.flatMap((step) =>
    step.kind === "cgroup.write" && /^devices\.(allow|deny)$/.test(step.file) ? [step] : [],
  );
  if (writes.length === 0) {
    const program = plan.host.some(({ kind }) => kind === "cgroup.devices");
    if (!program) return [info(name, "none", "nothing but the nodes' own permissions decides")];
    return [unknown(name, undefined, "on cgroup v2 a BPF program decides, of which the kernel shows no rules")];
  }
  const place = cgroups.find(({ version, controllers }) => version === 1 && controllers.includes("devices"));
  if (place === undefined) return [];
  const [ground, ...exceptions] = writes;
  const configured = ground?.file === "devices.allow" ? ["a *:* rwm"] : exceptions.map(({ value }) => value).sort();
  const shown = probe.cgroupFile(place, "devices.list");
  if ("unreadable" in shown) return [unknown(name, configured, shown.unreadable)];
  if (shown.value === undefined) return [unknown(name, configured, "the cgroup is gone")];
  const actual = shown.value
    .split("\n")
    .filter((line) => line !== "")
    .sort();
  if (configured.join() !== actual.join()) return [differs(name, { configured, actual })];
  if (ground?.file === "devices.allow" && exceptions.length > 0) {
    return [ok(name, actual, "the kernel shows no exceptions to a list that allows everything")];
  }
  return [ok(name, actual)];
}
