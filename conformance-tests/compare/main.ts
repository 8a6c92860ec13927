/**
 * npm run compare -- [BUNDLE…] [--runtimes tsrun,runc,crun] [--json] [--facts]: what a bundle's container shows under each
 * runtime, and where tsrun's differs. Exits with 1 when a difference is not expected. --json prints the observations,
 * --facts tsrun's own.
 */
import { parseArgs } from "node:util";
import type { Peer } from "./bundle.ts";
import { bundles, findBundle } from "./bundles.ts";
import { differences, joinInsides, renderDifference } from "./differences.ts";
import type { Observation, Runtime } from "./observe.ts";
import { findRuntime, observeAll } from "./run.ts";

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runtimes: { type: "string", default: "tsrun,runc,crun" },
      json: { type: "boolean", default: false },
      facts: { type: "boolean", default: false },
      verbose: { type: "boolean", default: false },
    },
  });
  const runtimes = values.runtimes.split(",").map((name): Runtime => {
    const found = findRuntime(name);
    if (found === undefined) throw new Error(`${name} is not installed`);
    return found;
  });
  const wanted = positionals.length > 0 ? positionals.map(findBundle) : bundles;
  const observations = [false, true].flatMap((unified) => {
    const names = wanted.filter((bundle) => (bundle.unified ?? false) === unified).map(({ name }) => name);
    return names.length === 0 ? [] : observeAll(names, runtimes, unified);
  });
  if (values.json) {
    console.log(JSON.stringify(observations, null, 2));
    return 0;
  }
  let unexplained = 0;
  for (const { name, about } of wanted) {
    console.log(`${name}: ${about}`);
    const of = (runtime: string): Observation | undefined =>
      observations.find((each) => each.bundle === name && each.runtime === runtime);
    const own = of("tsrun");
    for (const { runtime, messages, failed } of observations.filter((each) => each.bundle === name)) {
      for (const message of messages) console.log(`  ${runtime}: ${message}`);
      if (failed === undefined) continue;
      console.log(`  the comparison with ${runtime} failed: ${failed}`);
      unexplained++;
    }
    if (own === undefined) continue;
    if (own.skipped !== undefined) {
      console.log(`  skipped: ${own.skipped}`);
      continue;
    }
    if (values.facts) for (const [key, value] of Object.entries(own.facts)) console.log(`  ${key}: ${value}`);
    for (const peer of ["runc", "crun"] as const satisfies readonly Peer[]) {
      const other = of(peer);
      if (other === undefined) continue;
      const found = differences(name, peer, own.facts, other.facts);
      const open = found.filter(({ expected }) => expected === undefined);
      unexplained += open.length;
      console.log(`  ${peer}: ${found.length - open.length} expected differences, ${open.length} others`);
      for (const each of joinInsides(values.verbose ? found : open))
        console.log(renderDifference(peer, each).replace(/^/gm, "    "));
    }
  }
  return unexplained > 0 ? 1 : 0;
}

process.exitCode = main();
