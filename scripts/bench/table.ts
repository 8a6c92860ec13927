/** Reports as tables: columns for a terminal, Markdown for the docs. */
import {
  type Comparison,
  type JudgedRow,
  type JudgedSection,
  OWN,
  type Report,
  type Section,
  subjectsOf,
  type Unit,
} from "./report.ts";
import type { Estimate, Summary } from "./statistics.ts";

/** Three digits at least, as many as a reader needs. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

const formatSummary = ({ n, median, q1, q3 }: Summary): string =>
  n === 1 ? formatNumber(median) : `${formatNumber(median)} (${formatNumber(q1)}–${formatNumber(q3)})`;

function formatRatio({ median, interval }: Estimate): string {
  if (interval === undefined) return median.toFixed(2);
  return `${median.toFixed(2)} (${interval[0].toFixed(2)}–${interval[1].toFixed(2)})`;
}

const signs: Readonly<Record<Comparison["call"], string>> = {
  better: " +",
  worse: " −",
  "no difference seen": " =",
  "too few runs": "",
  "too noisy": " ?",
};
export const legend =
  "Median (quartiles); ÷: tsrun by the other, median of the pairs (95 % interval), + tsrun is better, − worse, = no difference seen, ? the machine was too noisy to say.";

const budgetCell = ({ budget, withinBudget }: JudgedRow): string => {
  if (budget === undefined) return "";
  const met = withinBudget === undefined ? "" : withinBudget === "too noisy" ? " ?" : withinBudget ? " met" : " OVER";
  return `${formatNumber(budget.limit)}${met}`;
};

/** Head and rows of a section. */
export function cellsOf(section: JudgedSection): readonly (readonly string[])[] {
  const subjects = subjectsOf(section);
  const compared = subjects.filter((name) => name !== OWN && subjects.includes(OWN));
  const hasBudget = section.rows.some(({ budget }) => budget !== undefined);
  const plot = section.plot;
  return [
    [
      plot.kind === "lines" ? plot.xTitle : "",
      ...subjects,
      ...compared.map((name) => `÷ ${name}`),
      ...(hasBudget ? ["budget"] : []),
    ],
    ...section.rows.map((row) => [
      row.name,
      ...subjects.map((name) => {
        const summary = row.summaries[name];
        return summary === undefined ? "" : formatSummary(summary);
      }),
      ...compared.map((name) => {
        const comparison = row.comparisons.find((each) => each.with === name);
        return comparison === undefined ? "" : `${formatRatio(comparison.ratio)}${signs[comparison.call]}`;
      }),
      ...(hasBudget ? [budgetCell(row)] : []),
    ]),
  ];
}

const unitText: Readonly<Record<Unit, string>> = {
  ms: "milliseconds",
  KiB: "KiB",
  MiB: "MiB",
  "per second": "per second",
  calls: "system calls",
};
export const titleOf = ({ title, unit }: Pick<Section, "title" | "unit">): string => `${title}, in ${unitText[unit]}`;

/** Text in columns; the first is aligned left, the others right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const count = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function markdown(rows: readonly (readonly string[])[]): string {
  const [head, ...body] = rows.map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
  const rule = `| ${(rows[0] ?? []).map((_, i) => (i === 0 ? "---" : "---:")).join(" | ")} |`;
  return [head, rule, ...body].join("\n");
}

/** What was measured with what, in a line. */
export function describe({ host, runtimes, runs, restMs }: Report): string {
  return [
    `${host.cpu}, ${host.cpus} CPUs, Linux ${host.kernel}, cgroups ${host.cgroups}, Node ${host.node}, load ${host.load} at the beginning`,
    runtimes.map(({ name, version }) => `${name} ${version}`).join(", "),
    `${runs} rounds, ${restMs} ms of rest before each measurement, ${host.date}`,
  ].join("; ");
}

/** A whole report for a terminal. */
export function terminalText(report: Report): string {
  const budgets = report.sections.flatMap(({ rows }) =>
    rows.filter(({ withinBudget }) => withinBudget === false).map(({ name }) => name),
  );
  return [
    `${report.suite}: ${report.about}`,
    describe(report),
    ...report.sections.map((section) => `\n${titleOf(section)}\n${columns(cellsOf(section))}`),
    "",
    ...report.notes.map((note) => `note: ${note}`),
    ...(budgets.length > 0 ? [`over budget: ${budgets.join(", ")}`] : []),
    ...report.verdict.reasons.map((reason) => `too noisy to compare: ${reason}`),
  ].join("\n");
}
