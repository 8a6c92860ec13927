/**
 * node scripts/ts.cjs scripts/bench/inside.ts REQUEST: runs one suite. `main.ts` starts it in `conformance-tests/isolated`, so
 * that nothing it leaves can outlive it: mounts and processes end with its namespaces, cgroups and `work` are removed outside.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { Bench, type BenchOptions } from "./bench.ts";
import { describeHost } from "./host.ts";
import { Missing, ownNode } from "./programs.ts";
import type { Measured } from "./report.ts";
import { suites } from "./suites.ts";

export interface Request extends BenchOptions {
  readonly suite: string;
  /** Gets a `Measured`, or what is missing. */
  readonly output: string;
}
export type Answer = { readonly measured: Measured } | { readonly missing: string };

async function measure(request: Request): Promise<Answer> {
  const suite = suites[request.suite];
  if (suite === undefined) throw new Error(`no suite ${request.suite}`);
  // Read before anything is measured: the load is that of the others.
  const host = describeHost(execFileSync(ownNode(), ["--version"], { encoding: "utf8" }).trim().replace(/^v/, ""));
  const bench = new Bench(request);
  try {
    await suite.run(bench);
  } catch (error) {
    if (error instanceof Missing) return { missing: error.message };
    throw error;
  }
  return {
    measured: {
      suite: request.suite,
      about: suite.about,
      host,
      runtimes: bench.runtimes,
      runs: request.runs,
      restMs: request.restMs,
      controls: bench.controls,
      sections: bench.sections.map((section) => section.result()),
      notes: bench.notes,
    },
  };
}

const request: Request = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));
measure(request).then(
  (answer) => writeFileSync(request.output, JSON.stringify(answer)),
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
