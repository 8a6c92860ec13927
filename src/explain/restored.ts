/**
 * What explain says of a restored container, whose processes, mounts and sysctls are the image's: an image may come from
 * somebody else (attack row 21), or config.json may have changed since.
 */
import { capabilityMasks } from "../compile/capabilities.ts";
import { printable } from "../core/printable.ts";
import type { ExplainInput } from "./input.ts";
import type { Item, Section, Value } from "./item.ts";

export interface RestoredJudgement {
  /** It has more than config.json gives, or is somewhere else: a line each. */
  readonly refused: readonly string[];
  /** It is otherwise than config.json says, no worse. */
  readonly told: readonly string[];
}

/** Cgroups are config.json's; capabilities and namespaces of all processes are looked at elsewhere (restored.ts of compile). */
const sections: readonly Section[] = ["process", "namespaces", "mounts"];

export function judgeRestored(
  items: readonly Item[],
  input: Pick<ExplainInput, "config" | "facts">,
): RestoredJudgement {
  const refused: string[] = [];
  const told: string[] = [];
  for (const item of items) {
    if (!sections.includes(item.section)) continue;
    const { verdict, section, grave } = item;
    // Mounts that cannot be looked at may be any.
    if (verdict === "unknown" && section === "mounts") refused.push(line(item));
    if (verdict !== "differs") continue;
    (grave === true && !couldItself(item, input) ? refused : told).push(line(item));
  }
  return { refused, told };
}

const CAP_SETGID = 1n << 6n;
const CAP_SETUID = 1n << 7n;
const CAP_SYS_ADMIN = 1n << 21n;
const CAP_SYS_RESOURCE = 1n << 24n;

/** Whether config.json lets the container's own processes come to it. */
function couldItself({ section, name }: Item, { config, facts }: Pick<ExplainInput, "config" | "facts">): boolean {
  const { capabilities, noNewPrivileges } = config.process ?? {};
  const grantable = (1n << BigInt(facts.lastCapability + 1)) - 1n;
  const { bounding, permitted } = capabilityMasks(
    capabilities,
    { lastCapability: facts.lastCapability, grantable },
    [],
  );
  const may = (capability: bigint): boolean => ((bounding | permitted) & capability) !== 0n;
  // A program with the set-user-ID or set-group-ID bit.
  const becomes = noNewPrivileges !== true;
  if (section === "mounts") return may(CAP_SYS_ADMIN);
  if (name === "uid") return becomes || may(CAP_SETUID);
  if (name === "gid" || name === "additional gids") return becomes || may(CAP_SETGID);
  if (name === "oom_score_adj" || name.startsWith("RLIMIT_")) return may(CAP_SYS_RESOURCE);
  return false;
}

const text = (value: Value | undefined): string => [value ?? "nothing"].flat().join(" ");

function line({ section, name, configured, actual, note }: Item): string {
  const shown = actual === undefined ? "" : `it is ${text(actual)}, not ${text(configured)}`;
  return printable([`${section} ${name}`, [shown, note].filter((words) => words).join("; ")].join(": "));
}
