/** What of a bundle's observations is wrong: the one judgement of the command and of the test. */
import type { Bundle, Peer } from "./bundle.ts";
import { type Difference, differences } from "./differences.ts";
import type { Observation } from "./observe.ts";

export interface Verdict {
  readonly bundle: Bundle;
  /** Why nothing was compared. */
  readonly skipped: string | undefined;
  /** Facts of tsrun's container that are not as the bundle says, and the comparison's own failures. */
  readonly problems: readonly string[];
  readonly peers: readonly { readonly peer: Peer; readonly differences: readonly Difference[] }[];
  /** What the runtimes said, with their names. */
  readonly messages: readonly string[];
}

export function judge(bundle: Bundle, observations: readonly Observation[]): Verdict {
  const all = observations.filter((each) => each.bundle === bundle.name);
  const own = all.find(({ runtime }) => runtime === "tsrun");
  const messages = all.flatMap((each) => each.messages.map((message) => `${each.runtime}: ${message}`));
  const problems = all.flatMap(({ runtime, failed }) => (failed === undefined ? [] : [`with ${runtime}: ${failed}`]));
  const verdict = { bundle, skipped: undefined, problems, peers: [], messages };
  if (own === undefined) return { ...verdict, skipped: "tsrun was not asked" };
  if (own.skipped !== undefined) return { ...verdict, skipped: own.skipped };
  const wrong = unlike(bundle, own);
  if (bundle.pending && wrong.length > 0) return { ...verdict, skipped: `tsrun does not have it yet: ${wrong[0]}` };
  const marked = bundle.pending ? ["it works: take the mark `pending` away"] : [];
  return {
    ...verdict,
    problems: [...problems, ...wrong, ...marked],
    peers: (["runc", "crun"] as const).flatMap((peer) => {
      const other = all.find(({ runtime }) => runtime === peer);
      return other === undefined ? [] : [{ peer, differences: differences(bundle.name, peer, own.facts, other.facts) }];
    }),
  };
}

/** What tsrun's container does not show although the bundle says so. */
function unlike(bundle: Bundle, { facts }: Observation): string[] {
  const wanted: Readonly<Record<string, string | RegExp>> =
    bundle.refused === true
      ? { "outcome/create": "refused" }
      : {
          "outcome/create": "done",
          "outcome/start": "done",
          "outcome/kill": "done",
          "outcome/delete": "done",
          ...(bundle.exec === "none" ? {} : { "outcome/exec": "done" }),
          ...bundle.shows,
        };
  const found = Object.entries(wanted).flatMap(([key, value]) => {
    const fact = facts[key];
    const right = fact !== undefined && (typeof value === "string" ? fact === value : value.test(fact));
    return right ? [] : [`${key}: wanted ${value}, found ${fact ?? "nothing"}`];
  });
  // Of what is left behind the image's new mount points alone are wanted.
  const left = Object.keys(facts).filter((key) => /^left\/(state|mount|cgroup) /.test(key));
  return [...found, ...left.map((key) => `${key}: there after delete`)];
}
