/**
 * How the commands slow down with the number of containers there are. One runtime after another: containers of the others would
 * count, too. So the comparison rests on the controls, which are taken all along.
 */
import { readFileSync } from "node:fs";
import type { Bench, SectionBuilder, Suite } from "../bench.ts";
import { makeBundle, SLEEP } from "../bundles.ts";
import { Container, programOf, waitGone } from "../container.ts";
import type { Measurable } from "../programs.ts";

const SIZES = [1, 10, 100, 500];
const measured = ["create", "start", "exec", "state", "list", "kill", "delete"] as const;
type Measured = (typeof measured)[number];
/** The others are as flat, and in the table. */
const drawn: readonly Measured[] = ["create", "exec", "list"];

export const suite: Suite = {
  about: `every command beside ${SIZES.join(", ")} running containers; list, memory, clean-up`,
  oneView: true,
  runs: 8,
  run(bench) {
    const sizes = bench.options.quick ? [1, 3] : SIZES;
    const xTitle = "running containers";
    const sections = Object.fromEntries(
      measured.map((operation) => [
        operation,
        bench.section({
          key: operation,
          title: operation,
          unit: "ms",
          plot: drawn.includes(operation) ? { kind: "lines", xTitle } : { kind: "none" },
        }),
      ]),
    ) as Record<Measured, SectionBuilder>;
    const memory = bench.section({
      key: "memory",
      title: "memory that the machine lacks, for each running container",
      unit: "KiB",
      plot: { kind: "none" },
    });
    const removal = bench.section({
      key: "removal",
      title: "clean-up: delete --force of each, one after another",
      unit: "ms",
      plot: { kind: "none" },
    });
    for (const runtime of bench.runtimes) {
      const before = availableKib();
      const running: Container[] = [];
      const extra = containerOf(bench, runtime, "extra");
      for (const size of sizes) {
        while (running.length < size) {
          const container = containerOf(bench, runtime, String(running.length));
          bench.time(container.runDetached, 0);
          running.push(container);
        }
        // What others allocate meanwhile is spread over too few below.
        if (size >= 100 || bench.options.quick)
          memory.add(String(size), runtime.name, (before - availableKib()) / size);
        for (let i = 0; i < bench.options.runs; i++) {
          // Not the floor: it has cgroups, whose number is what changes here.
          bench.nodeAlone();
          once(bench, runtime, extra, (operation, wallMs) =>
            sections[operation].add(String(size), runtime.name, wallMs),
          );
        }
      }
      for (const container of running) {
        removal.add(String(running.length), runtime.name, bench.time(container.deleteForced, 0).wallMs);
      }
    }
  },
};

function once(
  bench: Bench,
  runtime: Measurable,
  extra: Container,
  add: (operation: Measured, wallMs: number) => void,
): void {
  let pid = 0;
  for (const operation of measured) {
    const command = operation === "list" ? [...programOf(bench, runtime), "list"] : extra.command(operation);
    add(operation, bench.time(command).wallMs);
    if (operation === "create") pid = extra.state().pid;
    if (operation === "kill") waitGone(pid);
  }
}

function containerOf(bench: Bench, runtime: Measurable, name: string): Container {
  const id = `${runtime.name}-${name}`;
  return new Container(bench, runtime, id, makeBundle(bench, "spec", id, SLEEP));
}

function availableKib(): number {
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]);
}
