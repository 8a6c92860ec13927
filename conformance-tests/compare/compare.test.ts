/** All bundles with tsrun, runc and crun: no difference without a reason, no reason without a difference. */
import { beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun } from "../harness.ts";
import { bundles } from "./bundles.ts";
import { renderDifference } from "./differences.ts";
import { expected } from "./expected.ts";
import { judge, type Verdict } from "./judge.ts";
import { findRuntime, observeAll } from "./run.ts";

const runtimes = ["tsrun", "runc", "crun"].flatMap((name) => findRuntime(name) ?? []);

// skipped: for RUNTIME=…, since tsrun is what is compared with the others
(isTsrun ? describe : describe.skip)("compared with runc and crun", () => {
  const verdicts = new Map<string, Verdict>();

  beforeAll(async () => {
    const observations = await observeAll(bundles, runtimes);
    for (const bundle of bundles) verdicts.set(bundle.name, judge(bundle, observations));
  }, 600_000);

  test.each(bundles.map(({ name, about }) => [name, about]))("%s: %s", (name) => {
    const { problems, peers, messages } = verdicts.get(name) as Verdict;
    const open = peers.flatMap(({ peer, differences }) =>
      differences.filter((each) => each.expected === undefined).map((each) => renderDifference(peer, each)),
    );
    const wrong = [...problems, ...open];
    if (wrong.length > 0) throw new Error([...wrong, ...messages].join("\n"));
    expect(wrong).toEqual([]);
  });

  // skipped: where a peer is missing, its differences are too
  (runtimes.length === 3 ? test : test.skip)("every expected difference is still there", () => {
    const skipped = new Set(
      [...verdicts.values()].filter((each) => each.skipped !== undefined).map(({ bundle }) => bundle.name),
    );
    const used = new Set(
      [...verdicts.values()].flatMap(({ peers }) =>
        peers.flatMap(({ differences }) => differences.map((each) => each.expected)),
      ),
    );
    const stale = expected.filter(
      (each) => !used.has(each) && each.sometimes !== true && !(each.bundles ?? []).some((name) => skipped.has(name)),
    );
    expect(stale.map(({ key, reason }) => `${key}: ${reason}`)).toEqual([]);
  });
});
