/** End to end: `ctr` with a containerd of its own, whose shim calls the runtime. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { IMAGE } from "../../../conformance-tests/busybox-image.ts";
import { Containerd } from "../../../conformance-tests/containerd/engine.ts";
import type { Suite } from "../bench.ts";

export const suite: Suite = {
  about: "ctr run and ctr task exec, from the command to its end",
  needs: ["containerd", "ctr", "tar"],
  oneView: true,
  runs: 12,
  async run(bench) {
    const section = bench.section({ key: "ctr", title: "under containerd", unit: "ms", plot: { kind: "bars" } });
    const work = join(bench.options.work, "containerd");
    mkdirSync(work);
    const engine = await Containerd.start(bench.runtimes[0]?.path ?? "", work);
    try {
      let count = 0;
      const ctr = (...args: readonly string[]): readonly string[] => [
        "ctr",
        "--address",
        join(work, "containerd.sock"),
        ...args,
      ];
      const run = (runtime: string, flag: string, id: string, ...program: readonly string[]): readonly string[] =>
        ctr("run", flag, "--runc-binary", runtime, "--fifo-dir", join(work, "fifo"), IMAGE, id, ...program);
      for (const { name, path } of bench.runtimes)
        bench.time(run(path, "--detach", `${name}-long`, "sleep", "1000000"));
      await bench.rounds(bench.options.runs, (order) => {
        for (const { name, path } of order) {
          const id = `c${count++}`;
          section.add("ctr run --rm", name, bench.time(run(path, "--rm", id, "true")).wallMs);
        }
        for (const { name } of order) {
          const exec = ["task", "exec", "--fifo-dir", join(work, "fifo"), "--exec-id", `e${count++}`];
          section.add("ctr task exec", name, bench.time(ctr(...exec, `${name}-long`, "true")).wallMs);
        }
      });
      for (const { name } of bench.runtimes) await engine.remove(`${name}-long`);
    } finally {
      await engine.close();
    }
  },
};
