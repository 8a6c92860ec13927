/** A container straight from an image: what `run --image` costs beyond `run` of a bundle, with its layers unpacked or not. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { writeBusyboxImage } from "../../../conformance-tests/busybox-image.ts";
import type { Suite } from "../bench.ts";
import { makeBundle } from "../bundles.ts";
import { Container, programOf } from "../container.ts";
import { Missing } from "../programs.ts";
import { OWN } from "../report.ts";

/** As the bundle, which has none. */
const noFilter = ["--security-opt", "seccomp=unconfined"];

export const suite: Suite = {
  about: "tsrun run --image beside run --bundle: layers unpacked already, and the first time",
  needs: ["tar"],
  oneView: true,
  runs: 15,
  async run(bench) {
    const { tsrun } = bench;
    if (tsrun === undefined) throw new Missing("tsrun (npm run build)");
    if (!/--image/.test(spawnSync(tsrun.path, ["run", "--help"], { encoding: "utf8" }).stdout)) {
      throw new Missing("tsrun's run has no option --image");
    }
    const section = bench.section({ key: "run", title: "run of /bin/true", unit: "ms", plot: { kind: "bars" } });
    const { work } = bench.options;
    const archive = join(work, "image.tar");
    writeBusyboxImage(join(work, "image"), archive);
    const bundle = new Container(bench, tsrun, "image-bundle", makeBundle(bench, "spec", "bundle", ["/bin/true"]));
    const run = (store: string): readonly string[] => [
      ...programOf(bench, tsrun),
      ...["run", "--store", join(work, store), "--image", archive, "--name", "image", ...noFilter, "--", "/bin/true"],
    ];
    bench.time(run("warm"), 0);
    await bench.rounds(bench.options.runs, () => {
      section.add("--bundle", OWN, bench.time(bundle.command("run")).wallMs);
      section.add("--image, layers unpacked", OWN, bench.time(run("warm")).wallMs);
      section.add("--image, the first time", OWN, bench.time(run("cold")).wallMs);
      rmSync(join(work, "cold"), { recursive: true });
      for (const row of ["--bundle", "--image, layers unpacked"])
        section.add(row, "node -e 0", bench.nodeAlone().wallMs);
    });
  },
};
