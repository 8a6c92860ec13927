/** The two kinds of chart: bars beside each other for every row, and curves over a number. */
import { type JudgedSection, subjectsOf } from "./report.ts";
import { element, line, picture, SERIES, text } from "./svg.ts";
import { formatNumber, titleOf } from "./table.ts";

const WIDTH = 760;
const TOP = 62;
const BOTTOM = 44;
const RIGHT = 70;

/** Round numbers from 0 to at least `largest`, about five. */
export function ticks(largest: number): readonly number[] {
  if (!(largest > 0)) return [0, 1];
  const rough = largest / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.ceil(largest / step - 1e-9) + 1 }, (_, i) => i * step);
}

const tickText = (value: number): string => String(Number(value.toPrecision(6)));

function legendOf(subjects: readonly string[], from: number): readonly string[] {
  let x = from;
  return subjects.flatMap((name, i) => {
    const at = x;
    x += 26 + name.length * 7.5;
    return [
      element("rect", { x: at, y: 34, width: 12, height: 12, class: `s${i % SERIES}` }),
      text(at + 17, 44, name, "start"),
    ];
  });
}

/** The largest value that the picture shows. */
function largestOf(section: JudgedSection): number {
  return Math.max(
    ...section.rows.flatMap(({ summaries, budget }) => [
      ...Object.values(summaries).map(({ q3 }) => q3),
      budget?.limit ?? 0,
    ]),
  );
}

export function chart(section: JudgedSection): string {
  return section.plot.kind === "lines" ? curves(section, section.plot.xTitle) : bars(section);
}

function bars(section: JudgedSection): string {
  const subjects = subjectsOf(section);
  const left = 24 + 7 * Math.max(...section.rows.map(({ name }) => name.length));
  const BAR = 13;
  const GAP = 12;
  // A row without a sample of somebody has no empty place for them.
  const present = section.rows.map(({ summaries }) => subjects.filter((name) => summaries[name] !== undefined));
  const offsets: number[] = [];
  let y = TOP;
  for (const names of present) {
    offsets.push(y);
    y += names.length * BAR + GAP;
  }
  const scale = ticks(largestOf(section));
  const end = scale.at(-1) as number;
  const at = (value: number): number => left + (value / end) * (WIDTH - left - RIGHT);
  const content = [
    text(16, 22, titleOf(section), "start", "title"),
    ...legendOf(subjects, left),
    ...scale.flatMap((tick) => [
      line(at(tick), TOP - 4, at(tick), y, tick === 0 ? "axis" : "grid"),
      text(at(tick), y + 16, tickText(tick), "middle", "small"),
    ]),
  ];
  for (const [i, row] of section.rows.entries()) {
    const names = present[i] as readonly string[];
    const top = offsets[i] as number;
    content.push(text(left - 8, top + (names.length * BAR) / 2 + 4, row.name, "end"));
    if (row.budget !== undefined) {
      const x = at(row.budget.limit);
      content.push(line(x, top - 3, x, top + names.length * BAR + 1, "budget"));
    }
    for (const [j, name] of names.entries()) {
      const { median, q1, q3 } = row.summaries[name] as NonNullable<(typeof row.summaries)[string]>;
      const middle = top + j * BAR + (BAR - 2) / 2;
      content.push(
        element("rect", {
          x: left,
          y: top + j * BAR,
          width: at(median) - left,
          height: BAR - 2,
          class: `s${subjects.indexOf(name) % SERIES}`,
        }),
        line(at(q1), middle, at(q3), middle, "whisker"),
        text(Math.max(at(q3), at(median)) + 5, middle + 4, formatNumber(median), "start", "small"),
      );
    }
  }
  const hasBudget = section.rows.some(({ budget }) => budget !== undefined);
  const foot = `median, line from quartile to quartile${hasBudget ? "; red: tsrun's budget" : ""}`;
  content.push(text(left, y + 34, foot, "start", "small"));
  return picture(WIDTH, y + BOTTOM, titleOf(section), ...content);
}

function curves(section: JudgedSection, xTitle: string): string {
  const subjects = subjectsOf(section);
  const [left, height] = [70, 260];
  const bottom = TOP + height;
  const scale = ticks(largestOf(section));
  const end = scale.at(-1) as number;
  const numbers = section.rows.map(({ name }) => Number(name));
  const logs = numbers.map((number) => Math.log10(number));
  const [first, last] = [Math.min(...logs), Math.max(...logs)];
  const x = (i: number): number =>
    first === last
      ? (left + WIDTH - RIGHT) / 2
      : left + 20 + (((logs[i] as number) - first) / (last - first)) * (WIDTH - left - RIGHT - 40);
  const y = (value: number): number => bottom - (value / end) * height;
  const content = [
    text(16, 22, titleOf(section), "start", "title"),
    ...legendOf(subjects, left),
    ...scale.flatMap((tick) => [
      line(left, y(tick), WIDTH - RIGHT, y(tick), tick === 0 ? "axis" : "grid"),
      text(left - 8, y(tick) + 4, tickText(tick), "end", "small"),
    ]),
    ...section.rows.map(({ name }, i) => text(x(i), bottom + 17, name, "middle", "small")),
    text(
      (left + WIDTH - RIGHT) / 2,
      bottom + 35,
      `${xTitle}; median, line from quartile to quartile`,
      "middle",
      "small",
    ),
  ];
  for (const [j, subject] of subjects.entries()) {
    const points = section.rows.flatMap(({ summaries }, i) => {
      const summary = summaries[subject];
      return summary === undefined ? [] : [{ x: x(i) + (j - (subjects.length - 1) / 2) * 4, summary }];
    });
    const path = points.map(
      (point, i) => `${i === 0 ? "M" : "L"}${Math.round(point.x)} ${Math.round(y(point.summary.median))}`,
    );
    content.push(
      element("path", { d: path.join(""), class: `curve l${j % SERIES}` }),
      ...points.flatMap((point) => [
        line(point.x, y(point.summary.q1), point.x, y(point.summary.q3), "whisker"),
        element("circle", { cx: point.x, cy: y(point.summary.median), r: 3.5, class: `s${j % SERIES}` }),
      ]),
    );
    const end = points.at(-1);
    if (end !== undefined) {
      content.push(text(end.x + 10, y(end.summary.median) + 4, formatNumber(end.summary.median), "start", "small"));
    }
  }
  return picture(WIDTH, bottom + BOTTOM, titleOf(section), ...content);
}
