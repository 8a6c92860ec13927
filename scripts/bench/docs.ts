/** Puts reports into docs/performance.md, between the markers of their suite, and their charts into docs/bench/. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chart } from "./chart.ts";
import type { Report } from "./report.ts";
import { cellsOf, describe, legend, markdown, titleOf } from "./table.ts";

const beginOf = (suite: string): string => `<!-- bench: ${suite} -->`;
const endOf = (suite: string): string => `<!-- end of bench: ${suite} -->`;

/** The text with other content between the markers; throws when they are not there exactly once. */
export function insert(text: string, suite: string, content: string): string {
  const [before, rest, ...more] = text.split(beginOf(suite));
  const [, after, ...others] = rest?.split(endOf(suite)) ?? [];
  if (before === undefined || after === undefined || more.length > 0 || others.length > 0) {
    throw new Error(`docs/performance.md must have ${beginOf(suite)} and ${endOf(suite)} once, in this order`);
  }
  return `${before}${beginOf(suite)}\n${content}\n${endOf(suite)}${after}`;
}

const chartName = (report: Report, key: string): string => `${report.suite}-${report.host.cgroups}-${key}.svg`;

/** What stands between the markers: the reports of one suite, one for each view of the cgroups. */
export function suiteMarkdown(reports: readonly Report[]): string {
  return reports
    .map((report) =>
      [
        `*${describe(report)}.*`,
        ...(report.verdict.quiet
          ? []
          : [`**The machine was too noisy to compare: ${report.verdict.reasons.join("; ")}.**`]),
        ...report.sections.flatMap((section) => [
          `**${titleOf(section)}**`,
          markdown(cellsOf(section)),
          ...(section.plot.kind === "none" ? [] : [`![${titleOf(section)}](bench/${chartName(report, section.key)})`]),
        ]),
        ...report.notes.map((note) => `- ${note}`),
      ].join("\n\n"),
    )
    .join("\n\n");
}

/** Writes one suite's part of the docs below `root`. */
export function writeDocs(root: string, suite: string, reports: readonly Report[]): void {
  const page = join(root, "docs/performance.md");
  const folder = join(root, "docs/bench");
  let text = insert(readFileSync(page, "utf8"), suite, suiteMarkdown(reports));
  text = insert(text, "legend", legend);
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) if (name.startsWith(`${suite}-`)) rmSync(join(folder, name));
  for (const report of reports) {
    for (const section of report.sections) {
      if (section.plot.kind !== "none") writeFileSync(join(folder, chartName(report, section.key)), chart(section));
    }
  }
  writeFileSync(page, text);
}
