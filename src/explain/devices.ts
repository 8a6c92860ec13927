/** Device nodes of /dev and the cgroup's rules for devices. */
import { createHash } from "node:crypto";
import { access, type DeviceRule, deviceRules } from "../compile/device-rules.ts";
import type { CgroupPlace } from "../host/facts.ts";
import type { ContainerStep } from "../plan/vocabulary.ts";
import { idInside, parseIdMap } from "./id-maps.ts";
import type { ExplainInput } from "./input.ts";
import { type Item, itemsOf } from "./item.ts";

const { ok, adjusted, compare, differs, info, unknown } = itemsOf("devices");

type Node = Extract<ContainerStep, { kind: "device.create" | "device.bind" }>;

export function explainDevices(input: ExplainInput): Item[] {
  return [
    ...input.plan.container.flatMap((step) =>
      step.kind === "device.create" || step.kind === "device.bind" ? [node(input, step)] : [],
    ),
    rules(input),
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

function rules(input: ExplainInput): Item {
  const { cgroups } = input;
  const v1 = cgroups.find(({ version, controllers }) => version === 1 && controllers.includes("devices"));
  const program = input.plan.host.find((step) => step.kind === "cgroup.devices");
  const v2 = cgroups.find(({ version }) => version === 2);
  if (v1 !== undefined) return listRules(input, v1);
  if (program !== undefined && v2 !== undefined) return programRules(input, v2, program.program);
  return info(RULES, "none", "nothing but the nodes' own permissions decides");
}

const RULES = "rules";

/** v1 shows the list. */
function listRules({ plan, probe }: ExplainInput, place: CgroupPlace): Item {
  const writes = plan.host.flatMap((step) =>
    step.kind === "cgroup.write" && /^devices\.(allow|deny)$/.test(step.file) ? [step] : [],
  );
  const shown = probe.cgroupFile(place, "devices.list");
  const [ground, ...exceptions] = writes;
  const allowed = ground?.file === "devices.allow";
  const configured = allowed ? ["a *:* rwm"] : exceptions.map(({ value }) => value).sort();
  if ("unreadable" in shown) return unknown(RULES, configured, shown.unreadable);
  const actual = (shown.value ?? "")
    .split("\n")
    .filter((line) => line !== "")
    .sort();
  // A caller without the host's root writes none.
  if (ground === undefined) return info(RULES, actual, "those of the cgroup above");
  if (configured.join() !== actual.join()) return differs(RULES, { configured, actual });
  const hidden = "the kernel shows no exceptions to a list that allows everything";
  return ok(RULES, actual, allowed && exceptions.length > 0 ? hidden : undefined);
}

/** v2 has programs, which are told by a digest of their instructions. */
function programRules({ config, probe }: ExplainInput, place: CgroupPlace, program: Uint8Array): Item {
  const configured = deviceRules(config.linux?.resources?.devices).map(ruleText);
  const shown = probe.devicePrograms(place);
  if ("unreadable" in shown) return unknown(RULES, configured, shown.unreadable);
  const tags = ["sha1", "sha256"].map((name) => createHash(name).update(program).digest("hex").slice(0, TAG_DIGITS));
  const others = shown.value.filter((tag) => !tags.includes(tag));
  if (others.length === shown.value.length) {
    const actual = others.length === 0 ? "no program" : others.map((tag) => `program ${tag}`);
    return differs(RULES, { configured, actual, note: "the program that holds these rules is not attached" });
  }
  if (others.length === 0) return ok(RULES, configured, "as an eBPF program");
  const note = `as an eBPF program; beside it ${others.join(", ")} must allow an access, too`;
  return adjusted(RULES, { configured, actual: configured, note });
}

/** Of a program's tag. */
const TAG_DIGITS = 16;

/** A rule in v1's words. */
function ruleText({ allow, type, major, minor, access: mask }: DeviceRule): string {
  const letters = (["r", "w", "m"] as const).filter((letter) => (mask & access[letter]) !== 0).join("");
  return `${allow ? "allow" : "deny"} ${type} ${major ?? "*"}:${minor ?? "*"} ${letters}`;
}
