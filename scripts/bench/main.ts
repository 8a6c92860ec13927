/**
 * npm run bench -- [OPTIONS]: measures tsrun beside its peers on this machine, all in one run, taking turns. Installs nothing:
 * what is missing is named. Exit status: 0; 1 when something failed; 2 for what is missing or a wrong option; 3 when the machine
 * was too noisy to say anything, or tsrun is over a budget.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { reasonOf } from "../../src/core/errno.ts";
import type { Suite } from "./bench.ts";
import { chart } from "./chart.ts";
import { writeDocs } from "./docs.ts";
import { cgroupMode } from "./host.ts";
import type { Answer, Request } from "./inside.ts";
import { compiled, findRuntimes, type Measurable, Missing, need, root } from "./programs.ts";
import { judge, type Measured, type Report } from "./report.ts";
import { suites } from "./suites.ts";
import { legend, terminalText } from "./table.ts";

const usage = `npm run bench -- [OPTIONS]
  --suite NAME[,NAME…]   default: cli; all: every one
  --runs N               rounds, instead of each suite's own number
  --rest MS              rest before each measurement (default 30)
  --runtimes A,B,C=PATH  default: tsrun,runc,crun
  --cgroups VIEW         host, v1 or v2; default: what the host has, on a hybrid v1 and v2 (crun refuses the mixture)
  --json FILE            all samples and what follows from them
  --svg DIRECTORY        the charts
  --docs                 every suite (or those of --suite) into docs/performance.md and docs/bench
  --quick                one round of little: shows that it works, not how fast

suites:`;

const options = {
  suite: { type: "string" },
  runs: { type: "string" },
  rest: { type: "string", default: "30" },
  runtimes: { type: "string", default: "tsrun,runc,crun" },
  cgroups: { type: "string" },
  json: { type: "string" },
  svg: { type: "string" },
  docs: { type: "boolean", default: false },
  quick: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

function optionValues() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new Missing(`${reasonOf(error)}; --help lists the options`);
  }
}

/** A number from `least` on; throws `Missing` for anything else. */
function count(name: string, text: string, least: number): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) < least) throw new Missing(`--${name}: a number from ${least} on`);
  return Number(text);
}

async function main(): Promise<number> {
  const values = optionValues();
  if (values.help) {
    console.log(usage);
    for (const [name, { about }] of Object.entries(suites)) console.log(`  ${name.padEnd(12)} ${about}`);
    return 0;
  }
  const all = values.suite === "all" || (values.docs && values.suite === undefined);
  const names = all ? Object.keys(suites) : (values.suite ?? "cli").split(",");
  const unknown = names.filter((name) => !Object.hasOwn(suites, name));
  if (unknown.length > 0)
    throw new Missing(`no suite ${unknown.join(", ")}: there is ${Object.keys(suites).join(", ")}`);
  const restMs = count("rest", values.rest, 0);
  const runs = values.runs === undefined ? undefined : count("runs", values.runs, 1);
  const views = values.cgroups === undefined ? viewsOfHost() : [values.cgroups];
  if (!views.every((view) => ["host", "v1", "v2"].includes(view))) throw new Missing("--cgroups: host, v1 or v2");
  if (process.geteuid?.() !== 0) throw new Missing("root: containers with cgroups and devices are measured");
  need("unshare", "setpriv", "busybox");
  const { runtimes, missing } = findRuntimes(values.runtimes.split(","));
  if (missing.length > 0) console.error(`left out, because missing: ${missing.join(", ")}`);
  if (runtimes.length === 0) throw new Missing("none of the runtimes is there");
  // Here, so that no measurement waits for a compiler.
  compiled("floor");
  compiled("stopwatch");

  const reports: Report[] = [];
  let failed = 0;
  for (const name of names) {
    const suite = suites[name] as Suite;
    const own: Report[] = [];
    try {
      for (const view of suite.oneView ? views.slice(0, 1) : views) {
        const ask = { runs: values.quick ? (runs ?? 1) : (runs ?? suite.runs), restMs, quick: values.quick, runtimes };
        const report = await measure(name, suite, view, ask, values.docs && !values.quick);
        own.push(report);
        console.log(`${terminalText(report)}\n`);
      }
    } catch (error) {
      if (interrupted !== undefined || names.length === 1) throw error;
      // The others' minutes are not to be lost.
      console.error(error instanceof Missing ? `${name} is left out, because missing: ${error.message}` : error);
      if (!(error instanceof Missing)) failed++;
    }
    if (values.docs && own.length > 0) writeDocs(root, name, own);
    reports.push(...own);
  }
  if (reports.length > 0) console.log(legend);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(reports, null, 2)}\n`);
  if (values.svg !== undefined) writeCharts(values.svg, reports);
  if (failed > 0) return 1;
  if (reports.length === 0) return 2;
  const good = reports.every(
    ({ verdict, sections }) =>
      verdict.quiet && sections.every(({ rows }) => rows.every(({ withinBudget }) => withinBudget !== false)),
  );
  return good ? 0 : 3;
}

function viewsOfHost(): readonly string[] {
  return cgroupMode() === "hybrid" ? ["v1", "v2"] : ["host"];
}

function writeCharts(folder: string, reports: readonly Report[]): void {
  mkdirSync(folder, { recursive: true });
  for (const report of reports) {
    for (const section of report.sections) {
      if (section.plot.kind === "none") continue;
      writeFileSync(join(folder, `${report.suite}-${report.host.cgroups}-${section.key}.svg`), chart(section));
    }
  }
}

type Ask = Pick<Request, "runs" | "restMs" | "quick"> & { readonly runtimes: readonly Measurable[] };

/** Measures a suite; `patient`: once more when the machine was too noisy the first time. Throws `Missing`. */
async function measure(name: string, suite: Suite, view: string, ask: Ask, patient: boolean): Promise<Report> {
  need(...(suite.needs ?? []));
  console.error(`${name}, cgroups ${view}: ${ask.runs} rounds …`);
  const report = judge(await isolated(name, view, ask));
  if (report.verdict.quiet || !patient) return report;
  console.error(`once more, because the machine was too noisy: ${report.verdict.reasons.join("; ")}`);
  const again = judge(await isolated(name, view, ask));
  return again.verdict.quiet ? again : report;
}

let running: ChildProcess | undefined;
let interrupted: NodeJS.Signals | undefined;

/** Runs inside.ts where nothing that it leaves can outlive it, and removes its files. */
async function isolated(suite: string, view: string, ask: Ask): Promise<Measured> {
  const work = mkdtempSync(join(tmpdir(), "tsrun-bench-"));
  try {
    const request: Request = { ...ask, suite, work, output: join(work, "answer.json") };
    writeFileSync(join(work, "request.json"), JSON.stringify(request));
    const inside = [process.execPath, join(root, "scripts/ts.cjs"), join(__dirname, "inside.ts")];
    const child = spawn(
      join(root, "conformance-tests/isolated"),
      ["--cgroups", view, ...inside, join(work, "request.json")],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    running = child;
    const status = await new Promise<number | null>((done, failed) => {
      child.once("error", failed);
      child.once("close", done);
    });
    running = undefined;
    if (interrupted !== undefined) throw new Error(`interrupted by ${interrupted}`);
    if (status !== 0) throw new Error(`the suite ${suite} ended with status ${status}`);
    const answer: Answer = JSON.parse(readFileSync(request.output, "utf8"));
    if ("missing" in answer) throw new Missing(answer.missing);
    return answer.measured;
  } finally {
    rmSync(work, { recursive: true });
  }
}

// `isolated` ends everything when it is told to; then it is our turn.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    interrupted = signal;
    running?.kill("SIGTERM");
  });
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error) => {
    console.error(`bench: ${error instanceof Missing || interrupted !== undefined ? error.message : error.stack}`);
    process.exitCode = error instanceof Missing ? 2 : 1;
  },
);
