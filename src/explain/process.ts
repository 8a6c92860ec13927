/** Who init runs as and what holds it: ids, no_new_privs, seccomp, the security module's label, oom score, limits. */
import { keepsOriginalGroups } from "../compile/identity.ts";
import { rlimitNumbers } from "../compile/rlimits.ts";
import type { Observed } from "../core/observed.ts";
import { idInside, parseIdMap } from "./id-maps.ts";
import type { ExplainInput } from "./input.ts";
import { graveIf, type Item, itemsOf } from "./item.ts";
import { fieldsOf, type StatusFields, statusFields } from "./status.ts";

const { ok, compare, differs, info, unknown } = itemsOf("process");

export function explainProcess(input: ExplainInput): Item[] {
  if (input.config.process === undefined) return [];
  const field = statusFields(input.probe);
  return [
    ...ids(input, field),
    ...groups(input, field),
    noNewPrivileges(input, field),
    seccomp(input, field),
    ...label(input),
    oomScore(input),
    ...rlimits(input),
  ];
}

/** Real, effective, saved and file system id, which are one unless a program has changed some of them. */
function ids({ config, probe }: ExplainInput, field: StatusFields): Item[] {
  const { uid = 0, gid = 0 } = config.process?.user ?? {};
  return (
    [
      ["uid", "Uid", "uid_map", uid],
      ["gid", "Gid", "gid_map", gid],
    ] as const
  ).map(([name, line, file, wanted]) => {
    const shown = field(line);
    const map = probe.text(file);
    if ("unreadable" in shown) return unknown(name, String(wanted), shown.unreadable);
    if ("unreadable" in map) return unknown(name, String(wanted), map.unreadable);
    const ranges = parseIdMap(map.value);
    const all = shown.value.split(/\s+/).map((id) => String(idInside(ranges, Number(id)) ?? "not mapped"));
    const [first = ""] = all;
    const actual = all.every((each) => each === first) ? first : all;
    const note = `real, effective, saved and file system ${name} are not one`;
    return compare(name, String(wanted), actual, typeof actual === "string" ? undefined : note, true);
  });
}

function groups({ config, probe }: ExplainInput, field: StatusFields): Item[] {
  const name = "additional gids";
  const sorted = (gids: readonly number[]): string[] => [...new Set(gids)].sort((a, b) => a - b).map(String);
  const wanted = sorted(config.process?.user?.additionalGids ?? []);
  const shown = field("Groups");
  const map = probe.text("gid_map");
  if ("unreadable" in shown) return [unknown(name, wanted, shown.unreadable)];
  if ("unreadable" in map) return [unknown(name, wanted, map.unreadable)];
  const ranges = parseIdMap(map.value);
  const outside = shown.value.split(/\s+/).filter((gid) => gid !== "");
  // What is not mapped is no right to anything that the container sees.
  const actual = sorted(outside.flatMap((gid) => idInside(ranges, Number(gid)) ?? []));
  if (keepsOriginalGroups(config.annotations)) return [info(name, actual, "the caller's groups were to be kept")];
  const more = actual.some((gid) => !wanted.includes(gid));
  return [compare(name, wanted, actual, undefined, more)];
}

const yesNo = (value: boolean): string => (value ? "yes" : "no");

function noNewPrivileges({ config }: ExplainInput, field: StatusFields): Item {
  const name = "no_new_privs";
  const wanted = yesNo(config.process?.noNewPrivileges === true);
  const shown = field("NoNewPrivs");
  if ("unreadable" in shown) return unknown(name, wanted, shown.unreadable);
  const note = "a program can set it, and nobody can take it back";
  return compare(name, wanted, yesNo(shown.value === "1"), note, shown.value !== "1");
}

const modes: Readonly<Record<string, string>> = { "0": "none", "1": "strict", "2": "filter" };

/** Filters are inherited: the container's own comes on top of those of the tsrun that made it, which may be those of this one. */
function seccomp({ config, probe }: ExplainInput, field: StatusFields): Item {
  const name = "seccomp";
  const own = config.linux?.seccomp === undefined ? 0 : 1;
  const inherited = fieldsOf(probe.own("status"))("Seccomp_filters");
  const mode = field("Seccomp");
  const count = field("Seccomp_filters");
  const of = (number: number): string => (number === 0 ? "none" : `filter, ${number} of them`);
  for (const each of [mode, count, inherited]) if ("unreadable" in each) return unknown(name, of(own), each.unreadable);
  const [shownMode, filters, before] = [mode, count, inherited].map((each) => ("value" in each ? each.value : ""));
  const expected = of(Number(filters) === own ? own : own + Number(before));
  const actual = shownMode === "2" ? of(Number(filters)) : (modes[shownMode ?? ""] ?? `mode ${shownMode}`);
  const note =
    Number(filters) > own + Number(before) ? "a program can add filters, and nobody can remove one" : undefined;
  return compare(name, expected, actual, note);
}

/** The label comes with execve: until then it is announced in attr/exec. */
function label({ config, atGate, facts, probe }: ExplainInput): Item[] {
  const { apparmorProfile, selinuxLabel } = config.process ?? {};
  const attribute = atGate ? "exec" : "current";
  const items: Item[] = [];
  const one = (
    name: string,
    wanted: string | undefined,
    shown: Observed<string>,
    of: (text: string) => string,
  ): void => {
    const given = wanted === "" ? undefined : wanted;
    if ("unreadable" in shown) items.push(unknown(name, given, shown.unreadable));
    else if (given === undefined) items.push(info(name, of(shown.value)));
    else items.push(compare(name, given, of(shown.value)));
  };
  const text = (value: string): string => value.replace(/[\0\n]+$/, "");
  if (facts.lsm.apparmor) {
    const directory = probe.text(`attr/apparmor/${attribute}`);
    // `profile (mode)`, and before execve the word exec.
    one("apparmor profile", apparmorProfile, directory, (value) =>
      text(value)
        .replace(/^exec /, "")
        .replace(/ \((?:enforce|complain|kill|unconfined|prompt|mixed)\)$/, ""),
    );
  }
  if (facts.lsm.selinux) one("selinux label", selinuxLabel, probe.text(`attr/${attribute}`), text);
  return items;
}

function oomScore({ config, probe }: ExplainInput): Item {
  const name = "oom_score_adj";
  const wanted = config.process?.oomScoreAdj;
  const shown = probe.text("oom_score_adj");
  if ("unreadable" in shown) return unknown(name, wanted === undefined ? undefined : String(wanted), shown.unreadable);
  const actual = shown.value.trim();
  return wanted === undefined
    ? info(name, actual)
    : compare(name, String(wanted), actual, undefined, Number(actual) < wanted);
}

/** Names of /proc/<pid>/limits by number of RLIMIT_*. */
const limitNames = [
  "cpu time",
  "file size",
  "data size",
  "stack size",
  "core file size",
  "resident set",
  "processes",
  "open files",
  "locked memory",
  "address space",
  "file locks",
  "pending signals",
  "msgqueue size",
  "nice priority",
  "realtime priority",
  "realtime timeout",
];
const UNLIMITED = 2n ** 64n - 1n;

function rlimits({ config, probe }: ExplainInput): Item[] {
  const shown = probe.text("limits");
  return (config.process?.rlimits ?? []).map(({ type, soft, hard }) => {
    const text = (value: number | bigint): string => (BigInt(value) === UNLIMITED ? "unlimited" : String(value));
    const configured = `soft ${text(soft)}, hard ${text(hard)}`;
    if ("unreadable" in shown) return unknown(type, configured, shown.unreadable);
    const line = limitNames[rlimitNumbers[type] ?? -1];
    const [, has, maximum] = new RegExp(`^Max ${line} +(\\S+) +(\\S+)`, "m").exec(shown.value) ?? [];
    const actual = `soft ${has}, hard ${maximum}`;
    if (configured === actual) return ok(type, actual);
    const most = maximum === "unlimited" ? UNLIMITED : BigInt(maximum ?? 0);
    return differs(type, { configured, actual, ...graveIf(most > BigInt(hard)) });
  });
}
