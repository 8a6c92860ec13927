import { describe, expect, test } from "@jest/globals";
import type { Measured, Row, Section } from "./report.ts";
import { judge, subjectsOf } from "./report.ts";
import { cellsOf, columns, markdown, terminalText } from "./table.ts";

const twenty = (value: number, step = 0.01): number[] => Array.from({ length: 20 }, (_, i) => value + (i % 5) * step);
const row = (name: string, samples: Row["samples"], more: Partial<Row> = {}): Row => ({ name, samples, ...more });
const section = (rows: readonly Row[], more: Partial<Section> = {}): Section => ({
  key: "k",
  title: "title",
  unit: "ms",
  better: "less",
  plot: { kind: "bars" },
  rows,
  ...more,
});
const measured = (sections: readonly Section[], more: Partial<Measured> = {}): Measured => ({
  suite: "cli",
  about: "about",
  host: { kernel: "6.1", cpu: "a CPU", cpus: 2, cgroups: "v1", load: "0.1", node: "24.0.0", date: "2026-01-02" },
  runtimes: [{ name: "tsrun", path: "/tsrun", version: "1" }],
  runs: 20,
  restMs: 30,
  controls: { node: twenty(30), floor: twenty(17) },
  sections,
  notes: [],
  ...more,
});

describe("calls", () => {
  const callOf = (ours: readonly number[], theirs: readonly number[], more: Partial<Section> = {}, of = {}) =>
    judge(measured([section([row("run", { tsrun: ours, crun: theirs })], more)], of)).sections[0]?.rows[0]
      ?.comparisons[0]?.call;

  test("by the interval of the ratio", () => {
    expect(callOf(twenty(10), twenty(20))).toBe("better");
    expect(callOf(twenty(20), twenty(10))).toBe("worse");
    expect(callOf(twenty(20), twenty(10), { better: "more", unit: "per second" })).toBe("better");
    expect(callOf([...twenty(9).slice(10), ...twenty(11).slice(10)], twenty(10))).toBe("no difference seen");
    expect(callOf([10, 10, 10], [20, 20, 20])).toBe("too few runs");
  });
  test("none for times when a control was restless; memory is what it is", () => {
    const noisy = { controls: { node: [20, 30, 40, 50, 30, 40], floor: [] } };
    expect(callOf(twenty(10), twenty(20), {}, noisy)).toBe("too noisy");
    expect(callOf(twenty(10), twenty(20), { unit: "KiB" }, noisy)).toBe("better");
    const report = judge(measured([section([])], noisy));
    expect(report.verdict.quiet).toBe(false);
    expect(judge(measured([section([], { unit: "KiB" })], noisy)).verdict.quiet).toBe(true);
    expect(report.verdict.reasons.join()).toMatch(/node -e 0 lie \d+ % apart/);
  });
  test("a machine that became slower is not quiet either", () => {
    const controls = { node: [...twenty(30), ...twenty(35)], floor: twenty(17) };
    expect(judge(measured([section([])], { controls })).verdict.reasons.join()).toMatch(
      /at the end than at the beginning/,
    );
  });
  test("budgets", () => {
    const rows = [5, 15].map((limit) => row(`limit ${limit}`, { tsrun: twenty(10) }, { budget: { limit, rule: "x" } }));
    const report = judge(measured([section(rows)]));
    expect(report.sections[0]?.rows.map(({ withinBudget }) => withinBudget)).toEqual([false, true]);
    expect(terminalText(report)).toContain("over budget: limit 5");
  });
});

describe("tables", () => {
  const judged = judge(
    measured([
      section([
        row("run", { runc: twenty(20), floor: twenty(5), tsrun: twenty(10), "node -e 0": twenty(4) }),
        row("state", { tsrun: twenty(3) }),
      ]),
    ]),
  ).sections[0];
  if (judged === undefined) throw new Error("no section");

  test("tsrun first, the limits last", () => {
    expect(subjectsOf(judged)).toEqual(["tsrun", "runc", "floor", "node -e 0"]);
  });
  test("every row has every column", () => {
    const cells = cellsOf(judged);
    expect(cells.map((each) => each.length)).toEqual([8, 8, 8]);
    expect(cells[1]?.slice(0, 3)).toEqual(["run", "10.0 (10.0–10.0)", "20.0 (20.0–20.0)"]);
    expect(cells[1]?.[5]).toBe("0.50 (0.50–0.50) +");
    expect(cells[2]?.slice(2)).toEqual(["", "", "", "", "", ""]);
  });
  test("columns are aligned, Markdown's bars escaped", () => {
    expect(
      columns([
        ["a", "b"],
        ["long", "1"],
      ]),
    ).toBe("a     b\nlong  1");
    expect(markdown([["a|b"], ["c"]])).toBe("| a\\|b |\n| --- |\n| c |");
  });
});
