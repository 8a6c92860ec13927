/**
 * npm run compare -- [BUNDLE…] [--runtimes tsrun,runc,crun=PROGRAM] [--json] [--all]: what a bundle's container shows with each
 * runtime, and where tsrun's differs. BUNDLE is the name of one of ours (all of them by default) or the path of yours. Exits with 1 when a difference is not expected or something that the bundle says does
 * not show. --all prints the expected differences too, --json the observations.
 */
import { parseArgs } from "node:util";
import { bundles, findBundle } from "./bundles.ts";
import { joinInsides, renderDifference } from "./differences.ts";
import { judge, type Verdict } from "./judge.ts";
import type { Runtime } from "./observe.ts";
import { findRuntime, observeAll } from "./run.ts";

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runtimes: { type: "string", default: "tsrun,runc,crun" },
      json: { type: "boolean", default: false },
      all: { type: "boolean", default: false },
    },
  });
  const runtimes = values.runtimes.split(",").map((name): Runtime => {
    const found = findRuntime(name);
    if (found === undefined) throw new Error(`${name} is not installed`);
    return found;
  });
  const wanted = positionals.length > 0 ? positionals.map(findBundle) : bundles;
  const observations = await observeAll(wanted, runtimes);
  if (values.json) {
    console.log(JSON.stringify(observations, null, 2));
    return 0;
  }
  let failures = 0;
  for (const bundle of wanted) failures += print(judge(bundle, observations), values.all);
  return failures > 0 ? 1 : 0;
}

/** How many failures there were. */
function print({ bundle, skipped, problems, peers, messages }: Verdict, all: boolean): number {
  console.log(`${bundle.name}: ${bundle.about}`);
  for (const problem of problems) console.log(`  FAILED ${problem}`);
  if (skipped !== undefined) console.log(`  skipped: ${skipped}`);
  let failures = problems.length;
  for (const { peer, differences } of peers) {
    const open = differences.filter(({ expected }) => expected === undefined);
    console.log(`  ${peer}: ${differences.length - open.length} expected differences, ${open.length} others`);
    for (const each of joinInsides(all ? differences : open))
      console.log(renderDifference(peer, each).replace(/^/gm, "    "));
    failures += open.length;
  }
  if (failures > 0) for (const message of messages) console.log(`  ${message}`);
  return failures;
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 2;
  },
);
