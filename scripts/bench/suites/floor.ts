/** What the kernel takes for a container, phase by phase: no runtime can be faster. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Bench, SectionBuilder, Suite } from "../bench.ts";

export const suite: Suite = {
  about: "a program of ours doing nothing but the system calls of spec's bundle: the limit for every runtime",
  runs: 30,
  async run(bench) {
    const total = bench.section({
      key: "total",
      title: "the floor as a process",
      unit: "ms",
      plot: { kind: "none" },
    });
    const phases = bench.section({ key: "phases", title: "where its time goes", unit: "ms", plot: { kind: "bars" } });
    await bench.rounds(bench.options.runs, () => {
      for (let i = 0; i < 4; i++) {
        // The kernel puts off work that the next one finds done, or waiting.
        const subject = i === 0 ? "rested" : i === 3 ? "in a row" : undefined;
        one(bench, subject, i === 0 ? bench.options.restMs : 0, total, phases);
      }
    });
  },
};

function one(
  bench: Bench,
  subject: string | undefined,
  restMs: number,
  total: SectionBuilder,
  phases: SectionBuilder,
): void {
  const times = join(bench.options.work, "times");
  const { wallMs } = bench.time([...bench.floorCommand(), times], restMs);
  if (subject === undefined) return;
  total.add("all", subject, wallMs);
  for (const line of readFileSync(times, "utf8").trim().split("\n")) {
    const at = line.indexOf(" ");
    phases.add(line.slice(at + 1), subject, Number(line.slice(0, at)) / 1e6);
  }
}
