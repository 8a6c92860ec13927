/** Many creates at the same moment, as when a node starts its pods: how many a second, and how long the last one waits. */
import type { Suite } from "../bench.ts";
import { makeBundle, SLEEP } from "../bundles.ts";
import { Container } from "../container.ts";
import { median } from "../statistics.ts";
import type { Sample } from "../stopwatch.ts";

const AT_ONCE = 16;

export const suite: Suite = {
  about: `${AT_ONCE} creates at once: throughput, and the slowest of them`,
  runs: 10,
  async run(bench) {
    const title = `${AT_ONCE} creates at once`;
    const latency = bench.section({ key: "latency", title, unit: "ms", plot: { kind: "bars" } });
    const throughput = bench.section({
      key: "throughput",
      title: `${title}: containers`,
      unit: "per second",
      better: "more",
      plot: { kind: "bars" },
    });
    const count = bench.options.quick ? 4 : AT_ONCE;
    const containers = new Map(
      bench.runtimes.map((runtime) => [
        runtime.name,
        Array.from({ length: count }, (_, i) => {
          const name = `${runtime.name}-${i}`;
          return new Container(bench, runtime, name, makeBundle(bench, "spec", name, SLEEP));
        }),
      ]),
    );
    await bench.rounds(bench.options.runs, (order) => {
      for (const { name } of order) {
        const own = containers.get(name) ?? [];
        const samples = bench.timeTogether(own.map((container) => container.command("create")));
        const all = spanMs(samples);
        const single = samples.map(({ wallMs }) => wallMs);
        latency.add("one of them, median", name, median(single));
        latency.add("the slowest", name, Math.max(...single));
        throughput.add("create", name, (count / all) * 1000);
        bench.timeTogether(own.map((container) => container.deleteForced));
      }
    });
  },
};

/** From the first begin to the last end. */
function spanMs(samples: readonly Sample[]): number {
  const begins = samples.map(({ beginNs }) => Number(beginNs) / 1e6);
  return Math.max(...samples.map(({ wallMs }, i) => (begins[i] as number) + wallMs)) - Math.min(...begins);
}
