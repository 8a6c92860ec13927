/**
 * Where the time of a command goes: Node's start, reading the program, evaluating its modules, deciding, the steps of the plan
 * (from --trace), Node's end. Measured on a copy of the installation that notes when it gets where.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../../conformance-tests/runtimes.ts";
import type { Bench, SectionBuilder, Suite } from "../bench.ts";
import { makeBundle, SLEEP } from "../bundles.ts";
import { Container, type Operation, waitGone } from "../container.ts";
import { groupOf, instrument, type Marks } from "../instrumented.ts";
import { Missing } from "../programs.ts";
import type { Sample } from "../stopwatch.ts";

const operations: readonly Operation[] = ["create", "state", "start", "exec", "kill", "delete"];
const traced: readonly Operation[] = ["create", "start", "exec"];
/** Of modules and of steps, the ones that take longest. */
const MOST = 15;

export const suite: Suite = {
  about: "where tsrun's time goes: Node, reading itself, its modules, the plan's steps; and everybody's system calls",
  runs: 20,
  oneView: true,
  async run(bench) {
    const { tsrun } = bench;
    if (tsrun === undefined) throw new Missing("tsrun (npm run build)");
    const sections = {
      stages: bench.section({
        key: "stages",
        title: "a command from its begin to its end",
        unit: "ms",
        plot: { kind: "bars" },
      }),
      groups: bench.section({
        key: "groups",
        title: "evaluating modules, by package or folder",
        unit: "ms",
        plot: { kind: "none" },
      }),
      modules: bench.section({
        key: "modules",
        title: "evaluating modules: the slowest",
        unit: "ms",
        plot: { kind: "none" },
      }),
      steps: bench.section({
        key: "steps",
        title: "create's steps by kind: the longest",
        unit: "ms",
        plot: { kind: "bars" },
      }),
    };
    const copy = instrument(tsrun, join(bench.options.work, "instrumented"));
    const own = new Container(
      bench,
      { ...tsrun, path: copy.program },
      "startup",
      makeBundle(bench, "spec", "startup", SLEEP),
    );
    await bench.rounds(bench.options.runs, () => {
      let pid = 0;
      for (const operation of operations) {
        const trace = traced.includes(operation) ? join(bench.options.work, "trace.json") : undefined;
        const sample = bench.time(withTrace(own.command(operation), operation, trace));
        const steps = trace === undefined ? [] : readTrace(trace);
        const marks = copy.marks();
        addStages(sections.stages, operation, sample, marks, steps);
        addModules(sections, operation, marks);
        if (operation === "create") for (const [kind, ms] of byKind(steps)) sections.steps.add(kind, "create", ms);
        if (operation === "create") pid = own.state().pid;
        if (operation === "kill") waitGone(pid);
      }
    });
    sections.modules.keepLargest(MOST);
    sections.steps.keepLargest(MOST);
    countCalls(bench);
  },
};

/** The option goes behind the command's name. */
function withTrace(command: readonly string[], operation: Operation, trace: string | undefined): readonly string[] {
  if (trace === undefined) return command;
  return command.flatMap((word) => (word === operation ? [word, "--trace", trace] : [word]));
}

interface Step {
  readonly kind: string;
  readonly beginNs: number;
  readonly endNs: number;
}

function readTrace(path: string): readonly Step[] {
  const { traceEvents } = JSON.parse(readFileSync(path, "utf8"));
  return traceEvents
    .filter(({ ph }: { ph: string }) => ph === "X")
    .map(({ name, ts, dur, tid }: { name: string; ts: number; dur: number; tid: number }) => ({
      kind: `${name}${tid === 2 ? " (container)" : ""}`,
      beginNs: ts * 1000,
      endNs: (ts + dur) * 1000,
    }));
}

function addStages(
  section: SectionBuilder,
  operation: Operation,
  { beginNs, wallMs }: Sample,
  marks: Marks,
  steps: readonly Step[],
): void {
  const begin = Number(beginNs);
  const evaluation = Object.values(marks.modules).reduce((sum, each) => sum + each, 0);
  const firstStep = steps.length === 0 ? undefined : Math.min(...steps.map((step) => step.beginNs));
  const lastStep = Math.max(...steps.map((step) => step.endNs));
  const stages: readonly (readonly [name: string, ns: number])[] = [
    ["launcher, Node's start", marks.mainNs - begin],
    ["read bundle and code cache", marks.readNs - marks.mainNs],
    ["give V8 the code cache", marks.scriptNs - marks.readNs],
    ["evaluate modules", evaluation],
    ["the command itself", (firstStep ?? marks.exitNs) - marks.scriptNs - evaluation],
    ...(firstStep === undefined
      ? []
      : ([
          ["the plan's steps", lastStep - firstStep],
          ["record, answer", marks.exitNs - lastStep],
        ] as const)),
    ["Node's end", begin + wallMs * 1e6 - marks.exitNs],
  ];
  for (const [name, ns] of stages) section.add(name, operation, ns / 1e6);
}

function addModules(
  { groups, modules }: { readonly groups: SectionBuilder; readonly modules: SectionBuilder },
  operation: Operation,
  marks: Marks,
): void {
  const sums = new Map<string, number>();
  for (const [module, ns] of Object.entries(marks.modules)) {
    modules.add(module, operation, ns / 1e6);
    const group = groupOf(module);
    sums.set(group, (sums.get(group) ?? 0) + ns / 1e6);
  }
  for (const [group, ms] of sums) groups.add(group, operation, ms);
}

function byKind(steps: readonly Step[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const { kind, beginNs, endNs } of steps) sums.set(kind, (sums.get(kind) ?? 0) + (endNs - beginNs) / 1e6);
  return sums;
}

/** System calls of each command with its children. Not of create: what it leaves behind would be waited for. */
function countCalls(bench: Bench): void {
  const strace = findProgram("strace");
  if (strace === undefined) {
    bench.note("system calls are not counted: strace is not in PATH (Debian: strace)");
    return;
  }
  const section = bench.section({
    key: "calls",
    title: "with all its processes",
    unit: "calls",
    plot: { kind: "none" },
  });
  const count = (row: string, subject: string, command: readonly string[]): void => {
    const output = join(bench.options.work, "strace");
    const { status, stderr } = spawnSync(strace, ["-f", "-c", "-U", "calls,name", "-o", output, "--", ...command], {
      encoding: "utf8",
      stdio: ["ignore", "ignore", "pipe"],
    });
    if (status !== 0) throw new Error(`strace ${command.join(" ")}: ${stderr}`);
    const total = /^\s*(\d+) total$/m.exec(readFileSync(output, "utf8"))?.[1];
    if (total === undefined) throw new Error(`strace wrote no total:\n${readFileSync(output, "utf8")}`);
    section.add(row, subject, Number(total));
  };
  for (const runtime of bench.runtimes) {
    const id = `${runtime.name}-calls`;
    const short = new Container(bench, runtime, `${id}-short`, makeBundle(bench, "spec", `${id}-short`, ["/bin/true"]));
    const long = new Container(bench, runtime, id, makeBundle(bench, "spec", id, SLEEP));
    count("run", runtime.name, short.command("run"));
    const [program = "", ...args] = long.command("create");
    execFileSync(program, args, { stdio: "ignore" });
    for (const operation of ["state", "start", "exec", "kill"] as const)
      count(operation, runtime.name, long.command(operation));
    waitGone(long.state().pid);
    count("delete", runtime.name, long.command("delete"));
  }
  for (const operation of ["run", "state", "start", "exec", "kill", "delete"])
    count(operation, "node -e 0", bench.nodeCommand());
}
