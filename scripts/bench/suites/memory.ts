/** How much memory each command needs at its height, and what a container that waits for start keeps. */
import { spawn } from "node:child_process";
import type { Bench, Suite } from "../bench.ts";
import { makeBundle, SLEEP } from "../bundles.ts";
import { Container, memoryOf, type Operation, programOf, waitGone } from "../container.ts";
import { OWN } from "../report.ts";
import { sleepMs } from "../stopwatch.ts";

const operations: readonly Operation[] = ["run", "create", "state", "start", "exec", "kill", "delete"];
const WAITING = "a created container's init: VmRSS";
/** Of the init of a created container (docs/architecture.md). */
const BUDGET_KIB = 1024;

export const suite: Suite = {
  about: "peak memory of every command; memory of a created container's init, and of `run` while it waits",
  oneView: true,
  runs: 10,
  async run(bench) {
    const peak = bench.section({
      key: "peak",
      title: "largest process of a command",
      unit: "KiB",
      plot: { kind: "bars" },
    });
    const kept = bench.section({ key: "kept", title: "while a container waits", unit: "KiB", plot: { kind: "bars" } });
    const containers = bench.runtimes.map((runtime) => {
      const make = (name: string, args: readonly string[]): Container =>
        new Container(
          bench,
          runtime,
          `${runtime.name}-${name}`,
          makeBundle(bench, "spec", `${runtime.name}-${name}`, args),
        );
      return { runtime, short: make("short", ["/bin/true"]), long: make("long", SLEEP) };
    });
    await bench.rounds(bench.options.runs, async () => {
      for (const operation of operations) peak.add(operation, "node -e 0", bench.nodeAlone().peakKib);
      for (const { runtime, short, long } of containers) {
        let pid = 0;
        for (const operation of operations) {
          const sample = bench.time((operation === "run" ? short : long).command(operation));
          peak.add(operation, runtime.name, sample.peakKib);
          if (operation === "create") {
            pid = long.state().pid;
            const memory = memoryOf(pid);
            kept.add(WAITING, runtime.name, memory.residentKib);
            kept.add("a created container's init: private", runtime.name, memory.privateKib);
          }
          if (operation === "kill") waitGone(pid);
        }
        peak.add("list", runtime.name, bench.time([...programOf(bench, runtime), "list"]).peakKib);
        kept.add("`run` while the program runs: VmRSS", runtime.name, await foreground(bench, long));
      }
    });
    if (kept.samples(WAITING, OWN).length > 0) kept.budget(WAITING, BUDGET_KIB, "under 1 MiB");
  },
};

/** The resident set of a `run` whose container runs. */
async function foreground(bench: Bench, container: Container): Promise<number> {
  const [program = "", ...args] = container.command("run");
  const child = spawn(program, args, { stdio: "ignore" });
  const ended = new Promise((done) => child.once("close", done));
  try {
    // Until it says so: what it is then waiting for lasts as long as the container.
    for (;;) {
      try {
        if (container.state().status === "running") break;
      } catch (error) {
        if (child.exitCode !== null) throw error;
      }
      await new Promise((done) => setTimeout(done, 10));
    }
    sleepMs(bench.options.restMs);
    return memoryOf(child.pid as number).residentKib;
  } finally {
    // `run` removes it.
    bench.time(container.command("kill"));
    await ended;
  }
}
