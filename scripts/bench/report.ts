/** What a suite measured, as plain data: it goes from the process that measured to the one that prints, and into --json. */
import type { Controls, Verdict } from "./noise.ts";
import { judgeNoise } from "./noise.ts";
import { type Estimate, pairedRatio, type Summary, summarize } from "./statistics.ts";

export type Unit = "ms" | "KiB" | "MiB" | "per second" | "calls";

export interface Row {
  readonly name: string;
  /** By who was measured: a runtime, `floor` or `node -e 0`. The i-th samples belong to one round. */
  readonly samples: Readonly<Record<string, readonly number[]>>;
  /** What tsrun may take at most, and how that is reckoned. */
  readonly budget?: { readonly limit: number; readonly rule: string };
}

export interface Section {
  /** In the names of files. */
  readonly key: string;
  readonly title: string;
  readonly unit: Unit;
  readonly better: "less" | "more";
  /** `lines`: the rows' names are numbers, and `xTitle` what they count. */
  readonly plot:
    | { readonly kind: "bars" }
    | { readonly kind: "lines"; readonly xTitle: string }
    | { readonly kind: "none" };
  readonly rows: readonly Row[];
}

export interface Host {
  readonly kernel: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly cgroups: string;
  readonly load: string;
  readonly node: string;
  readonly date: string;
}

export interface Measured {
  readonly suite: string;
  readonly about: string;
  readonly host: Host;
  readonly runtimes: readonly { readonly name: string; readonly path: string; readonly version: string }[];
  readonly runs: number;
  readonly restMs: number;
  readonly controls: Controls;
  readonly sections: readonly Section[];
  readonly notes: readonly string[];
}

/** tsrun beside another one in a row. */
export interface Comparison {
  readonly with: string;
  /** tsrun's by the other's. */
  readonly ratio: Estimate;
  readonly call: "better" | "worse" | "no difference seen" | "too few runs" | "too noisy";
}

export interface JudgedRow extends Row {
  readonly summaries: Readonly<Record<string, Summary>>;
  readonly comparisons: readonly Comparison[];
  readonly withinBudget?: boolean | "too noisy";
}

export interface JudgedSection extends Section {
  readonly rows: readonly JudgedRow[];
}

export interface Report extends Measured {
  readonly verdict: Verdict;
  readonly sections: readonly JudgedSection[];
}

export const OWN = "tsrun";
/** Noise of the machine spoils times, nothing else. */
const isTime = (unit: Unit): boolean => unit === "ms" || unit === "per second";
const LAST = ["floor", "node -e 0"];

/** Who has samples in a section, in the order of the tables: tsrun, its peers, the limits. */
export function subjectsOf(section: Section): readonly string[] {
  const all = [...new Set(section.rows.flatMap(({ samples }) => Object.keys(samples)))];
  const rank = (name: string): number => (name === OWN ? -1 : LAST.indexOf(name) + 1);
  return all.sort((a, b) => rank(a) - rank(b));
}

function call(ratio: Estimate, { unit, better }: Section, quiet: boolean): Comparison["call"] {
  if (!quiet && isTime(unit)) return "too noisy";
  if (ratio.interval === undefined) return "too few runs";
  const [low, high] = ratio.interval;
  if (low > 1) return better === "less" ? "worse" : "better";
  if (high < 1) return better === "less" ? "better" : "worse";
  return "no difference seen";
}

/** Summaries, comparisons and budgets; of a noisy machine only the first. */
export function judge(measured: Measured): Report {
  const isTimed = measured.sections.some(({ unit }) => isTime(unit));
  const verdict: Verdict = isTimed ? judgeNoise(measured.controls) : { quiet: true, reasons: [] };
  const judgeRow = (row: Row, section: Section): JudgedRow => {
    const own = row.samples[OWN];
    const summaries = Object.fromEntries(
      Object.entries(row.samples).map(([name, samples]) => [name, summarize(samples)] as const),
    );
    const comparisons = Object.entries(row.samples)
      .filter(([name]) => own !== undefined && name !== OWN)
      .map(([name, samples]) => {
        const ratio = pairedRatio(own as readonly number[], samples);
        return { with: name, ratio, call: call(ratio, section, verdict.quiet) };
      });
    const median = summaries[OWN]?.median;
    if (row.budget === undefined || median === undefined) return { ...row, summaries, comparisons };
    return {
      ...row,
      summaries,
      comparisons,
      withinBudget: verdict.quiet || !isTime(section.unit) ? median <= row.budget.limit : "too noisy",
    };
  };
  return {
    ...measured,
    verdict,
    sections: measured.sections.map((section) => ({
      ...section,
      rows: section.rows.map((row) => judgeRow(row, section)),
    })),
  };
}
