/**
 * node scripts/ts.cjs conformance-tests/main.ts SUITE [--runtime PATH]… [--cgroups VIEW] [--raw] [--json FILE] [CASE…]
 *
 * Runs cases of a suite (all by default) with each runtime (bin/tsrun by default, or $RUNTIME) and prints a line a case. Exits
 * with 1 when a case failed that is not expected to, or passed that is not. --cgroups shows it another cgroup layout (v1, v2 or
 * host, see `isolated`). --raw leaves the expectations out.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { containerd, containerdSystemd } from "./containerd/suite.ts";
import { docker } from "./docker/suite.ts";
import { ociSuite } from "./oci/programs.ts";
import type { CaseResult, Outcome, Runtime, Suite, SuiteResult } from "./outcome.ts";
import { podman } from "./podman/suite.ts";
import { findRuntime } from "./runtimes.ts";
import { scenarioSuite } from "./scenarios.ts";

const suites: readonly Suite[] = [
  ociSuite,
  scenarioSuite(containerd),
  scenarioSuite(containerdSystemd),
  scenarioSuite(podman),
  scenarioSuite(docker),
];

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runtime: { type: "string", multiple: true },
      raw: { type: "boolean", default: false },
      json: { type: "string" },
      cgroups: { type: "string" },
    },
  });
  const [suiteName, ...wanted] = positionals;
  const suite = suites.find(({ name }) => name === suiteName);
  if (suite === undefined) throw new Error(`which suite? ${suites.map(({ name }) => name).join(", ")}`);
  const names = wanted.length > 0 ? wanted : suite.caseNames();
  const unknown = names.filter((name) => !suite.caseNames().includes(name));
  if (unknown.length > 0) throw new Error(`${suite.name} has no ${unknown.join(", ")}`);
  const { cgroups } = values;
  if (cgroups !== undefined && cgroups !== "v1" && cgroups !== "v2" && cgroups !== "host") {
    throw new Error(`--cgroups: v1, v2 or host, not ${cgroups}`);
  }
  const missing = suite.prepare();
  const results: SuiteResult[] = [];
  for (const name of values.runtime ?? [process.env.RUNTIME ?? resolve(__dirname, "../bin/tsrun")]) {
    const runtime: Runtime = { ...findRuntime(name), ...(cgroups !== undefined && { cgroups }) };
    console.log(`${suite.name} with ${runtime.name} ${runtime.version} (${runtime.path})`);
    const cases: CaseResult[] = [];
    const report = async (raw: CaseResult): Promise<void> => {
      const result = values.raw ? raw : { ...raw, outcome: await suite.judge(runtime, raw) };
      cases.push(result);
      print(result);
    };
    if (missing === undefined) await suite.run(runtime, names, report);
    else
      for (const each of names) await report({ name: each, seconds: 0, outcome: { kind: "skipped", reason: missing } });
    results.push({ suite: suite.name, runtime, cases });
    console.log(summary(suite.name, cases));
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
  return results.some(({ cases }) => cases.some(({ outcome }) => outcome.kind === "failed")) ? 1 : 0;
}

function explanation(outcome: Outcome): string {
  switch (outcome.kind) {
    case "passed":
      return outcome.note ?? "";
    case "failed":
      return outcome.detail;
    case "skipped":
      return outcome.reason;
  }
}

function print({ name, outcome, seconds }: CaseResult): void {
  const [first, ...more] = explanation(outcome).split("\n");
  console.log(`  ${outcome.kind.padEnd(8)}${name.padEnd(36)} ${seconds.toFixed(1).padStart(5)} s  ${first}`.trimEnd());
  if (outcome.kind === "failed") for (const line of more.slice(0, 8)) console.log(`            ${line}`);
}

function summary(suite: string, cases: readonly CaseResult[]): string {
  const count = (kind: string): number => cases.filter(({ outcome }) => outcome.kind === kind).length;
  return `${suite}: ${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`;
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  },
);
