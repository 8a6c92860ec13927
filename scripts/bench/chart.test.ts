import { describe, expect, test } from "@jest/globals";
import { chart, ticks } from "./chart.ts";
import { type JudgedSection, judge, type Section } from "./report.ts";
import { element, text } from "./svg.ts";

const base = { key: "k", unit: "ms", better: "less" } as const;
const bars: Section = {
  ...base,
  title: 'a "title" <with> & signs',
  plot: { kind: "bars" },
  rows: [
    {
      name: "run",
      samples: { tsrun: [50, 51, 52], crun: [10, 11, 12], "node -e 0": [30, 31, 32] },
      budget: { limit: 60, rule: "x" },
    },
    { name: "state", samples: { tsrun: [40, 41, 42] } },
  ],
};
const lines: Section = {
  ...base,
  title: "create",
  plot: { kind: "lines", xTitle: "running containers" },
  rows: ["1", "10", "100"].map((name, i) => ({ name, samples: { tsrun: [i + 1, i + 2], runc: [5, 6] } })),
};

function judged(section: Section): JudgedSection {
  const host = { kernel: "", cpu: "", cpus: 1, cgroups: "v1", load: "", node: "", date: "" };
  const controls = { node: [], floor: [] };
  const rest = { suite: "s", about: "", host, runtimes: [], runs: 1, restMs: 0, controls, notes: [] };
  return judge({ ...rest, sections: [section] }).sections[0] as JudgedSection;
}

/** Throws unless every element is closed in its order, and every attribute quoted and free of markup. */
function checkWellFormed(svg: string): void {
  const open: string[] = [];
  let rest = svg;
  while (rest !== "") {
    const content = /^[^<>&]*(?:&(?:amp|lt|gt|quot);[^<>&]*)*/.exec(rest)?.[0] ?? "";
    rest = rest.slice(content.length);
    if (rest === "") break;
    const tag = /^<(\/?)([a-z]+)((?: [a-zA-Z][\w:-]*="[^"<>]*")*)(\/?)>/.exec(rest);
    if (tag === null) throw new Error(`not well-formed at: ${rest.slice(0, 60)}`);
    const [whole, closing, name, , empty] = tag;
    if (closing === "/" && open.pop() !== name) throw new Error(`</${name}> closes another element`);
    if (closing === "" && empty === "") open.push(name as string);
    rest = rest.slice(whole.length);
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join(", ")}`);
}

describe("the check of this test", () => {
  test.each(["<a>", "<a></b>", "<a b=c/>", "<a>&</a>", "<a", '<a b="<"/>'])("refuses %s", (bad) => {
    expect(() => checkWellFormed(bad)).toThrow();
  });
});

describe.each([
  ["bars", bars],
  ["lines", lines],
])("a chart with %s", (_, section) => {
  const svg = chart(judged(section));
  test("is well-formed", () => checkWellFormed(svg));
  test("is the same every time", () => expect(chart(judged(section))).toBe(svg));
  test("shows every row and everybody, with their medians, in light and dark", () => {
    for (const { name, samples } of section.rows) {
      expect(svg).toContain(`>${name}</text>`);
      for (const subject of Object.keys(samples)) expect(svg).toContain(`>${subject}</text>`);
    }
    expect(svg).toContain("milliseconds");
    expect(svg).toContain("prefers-color-scheme:dark");
    expect(svg).toContain(section === bars ? ">51.0</text>" : ">3.50</text>");
  });
  test("has no number that is none", () => expect(svg).not.toMatch(/NaN|Infinity|undefined/));
  test("nothing lies outside of the picture", () => {
    const [, width = 0, height = 0] = (/viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? []).map(Number);
    for (const [, axis, value] of svg.matchAll(/ (x|y|x1|x2|y1|y2|cx|cy)="(-?[\d.]+)"/g)) {
      expect(Number(value)).toBeGreaterThanOrEqual(0);
      expect(Number(value)).toBeLessThanOrEqual(axis?.includes("x") ? width : height);
    }
  });
});

test("the budget is a mark of its own", () => {
  expect(chart(judged(bars)).match(/class="budget"/g)).toHaveLength(1);
  expect(chart(judged(bars))).toContain("tsrun's budget");
});

test("one row alone, and rows without a value, are drawn too", () => {
  checkWellFormed(chart(judged({ ...lines, rows: lines.rows.slice(0, 1) })));
  checkWellFormed(chart(judged({ ...bars, rows: [{ name: "nothing", samples: { tsrun: [0] } }] })));
});

test("ticks are round and reach the largest value", () => {
  expect(ticks(63)).toEqual([0, 20, 40, 60, 80]);
  expect(ticks(100)).toEqual([0, 20, 40, 60, 80, 100]);
  expect(ticks(0.07)).toHaveLength(5);
  expect(ticks(0)).toEqual([0, 1]);
});

test("text is escaped", () => {
  expect(text(1, 2.04, "<&>", "end")).toBe('<text x="1" y="2" text-anchor="end">&lt;&amp;&gt;</text>');
  expect(element("a", { b: '"' })).toBe('<a b="&quot;"/>');
});
