/**
 * Every command of the lifecycle as a process of its own, as callers run it. Beside the peers: `node -e 0` of tsrun's Node, which
 * any command in it costs at least, and the floor, what the kernel charges for the container.
 */
import type { Bench, SectionBuilder, Suite } from "../bench.ts";
import { type BundleKind, lackingOfDocker, makeBundle, SLEEP } from "../bundles.ts";
import { Container, type Operation, waitGone } from "../container.ts";
import { OWN } from "../report.ts";
import { median } from "../statistics.ts";

const NODE = "node -e 0";
const operations: readonly Operation[] = ["run", "create", "state", "start", "exec", "kill", "delete"];
/** What callers do to a container from its creation to its end. */
const lifecycle: readonly Operation[] = ["create", "start", "kill", "delete"];
/** Times `node -e 0`, and whether the floor's time comes on top. */
const budgets: readonly { readonly operation: Operation; readonly factor: number; readonly floor: boolean }[] = [
  { operation: "run", factor: 1.8, floor: true },
  { operation: "create", factor: 1.8, floor: true },
  { operation: "exec", factor: 1.8, floor: true },
  { operation: "state", factor: 1.6, floor: false },
  { operation: "start", factor: 1.6, floor: false },
  { operation: "kill", factor: 1.6, floor: false },
  { operation: "delete", factor: 1.6, floor: false },
];
/** Of so many in a row without a rest the first does not count. */
const IN_A_ROW = 4;

export const suite: Suite = {
  about:
    "every command as a process: spec's bundle and a docker-like one (seccomp, limits, 30 mounts), rested and in a row",
  runs: 20,
  async run(bench) {
    for (const kind of ["spec", "docker"] as const) await rested(bench, kind);
    await inARow(bench);
    for (const lack of lackingOfDocker()) bench.note(lack);
  },
};

async function rested(bench: Bench, kind: BundleKind): Promise<void> {
  const what = kind === "spec" ? "spec's bundle" : "docker-like bundle";
  const rest = `${bench.options.restMs} ms of rest before each`;
  const wall = bench.section({ key: kind, title: `${what}, ${rest}`, unit: "ms", plot: { kind: "bars" } });
  const cpu = bench.section({ key: `${kind}-cpu`, title: `${what}, CPU time`, unit: "ms", plot: { kind: "none" } });
  const containers = containersOf(bench, kind);
  await bench.rounds(bench.options.runs, (order) => {
    const total = new Map<string, number>();
    for (const operation of operations) {
      wall.add(operation, NODE, bench.nodeAlone().wallMs);
      if (operation === "run" || operation === "create" || operation === "exec") {
        wall.add(operation, "floor", bench.floorAlone().wallMs);
      }
      for (const runtime of order) {
        const { short, long } = containers.get(runtime.name) as Pair;
        const sample = bench.time((operation === "run" ? short : long).command(operation));
        wall.add(operation, runtime.name, sample.wallMs);
        cpu.add(operation, runtime.name, sample.cpuMs);
        if (lifecycle.includes(operation)) {
          total.set(runtime.name, (total.get(runtime.name) ?? 0) + sample.wallMs);
        }
        if (operation === "create") pids.set(long, long.state().pid);
        if (operation === "kill") waitGone(pids.get(long) as number);
      }
    }
    for (const { name } of bench.runtimes) wall.add(lifecycle.join(" + "), name, total.get(name) as number);
  });
  if (bench.tsrun !== undefined) setBudgets(wall);
}

function setBudgets(wall: SectionBuilder): void {
  for (const { operation, factor, floor } of budgets) {
    if (wall.samples(operation, OWN).length === 0) continue;
    const node = factor * median(wall.samples(operation, NODE));
    const limit = node + (floor ? median(wall.samples(operation, "floor")) : 0);
    wall.budget(operation, limit, `${factor} × ${NODE}${floor ? " + floor" : ""}`);
  }
}

async function inARow(bench: Bench): Promise<void> {
  const section = bench.section({
    key: "row",
    title: "spec's bundle, run in a row without rest",
    unit: "ms",
    plot: { kind: "bars" },
  });
  const containers = containersOf(bench, "spec");
  const several = (subject: string, command: readonly string[]): void => {
    for (let i = 0; i < IN_A_ROW; i++) {
      const { wallMs } = bench.time(command, 0);
      if (i > 0) section.add("run", subject, wallMs);
    }
  };
  await bench.rounds(Math.ceil(bench.options.runs / (IN_A_ROW - 1)), (order) => {
    for (const { name } of order) several(name, (containers.get(name) as Pair).short.command("run"));
    several("floor", bench.floorCommand());
  });
}

interface Pair {
  /** Ends by itself. */
  readonly short: Container;
  readonly long: Container;
}
const pids = new WeakMap<Container, number>();
let made = 0;

function containersOf(bench: Bench, kind: BundleKind): ReadonlyMap<string, Pair> {
  return new Map(
    bench.runtimes.map((runtime) => {
      const name = `${runtime.name}-${kind}-${made++}`;
      const make = (which: string, args: readonly string[]): Container =>
        new Container(bench, runtime, `${name}-${which}`, makeBundle(bench, kind, `${name}-${which}`, args));
      return [runtime.name, { short: make("short", ["/bin/true"]), long: make("long", SLEEP) }] as const;
    }),
  );
}
