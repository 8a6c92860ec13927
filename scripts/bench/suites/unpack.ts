/** `tsrun unpack` beside `tar -x` and `umoci unpack`, on a tree of many small files, as images are. */
import { execFileSync, spawnSync } from "node:child_process";
import { linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../../conformance-tests/runtimes.ts";
import type { Bench, Suite } from "../bench.ts";
import { Missing } from "../programs.ts";
import { OWN } from "../report.ts";

/** Of each folder: small files of several sizes, a link of each kind. Some large files besides. */
const FOLDERS = 100;
const FILES = 60;
const LARGE = 8;
const LARGE_BYTES = 8 << 20;

export const suite: Suite = {
  about: `tsrun unpack, tar -x and umoci unpack on ${FOLDERS * FILES} small files and ${LARGE} of ${LARGE_BYTES >> 20} MiB`,
  needs: ["tar"],
  oneView: true,
  runs: 8,
  async run(bench) {
    const { tsrun } = bench;
    if (tsrun === undefined) throw new Missing("tsrun (npm run build)");
    if (spawnSync(tsrun.path, ["unpack", "--help"], { stdio: "ignore" }).status !== 0) {
      throw new Missing("tsrun has no command unpack");
    }
    const wall = bench.section({ key: "wall", title: "unpacking", unit: "ms", plot: { kind: "bars" } });
    const cpu = bench.section({ key: "cpu", title: "unpacking, CPU time", unit: "ms", plot: { kind: "none" } });
    const peak = bench.section({
      key: "peak",
      title: "unpacking: largest process",
      unit: "KiB",
      plot: { kind: "bars" },
    });
    const inputs = makeInputs(bench);
    const target = join(bench.options.work, "target");
    await bench.rounds(bench.options.runs, (_, index) => {
      for (const [row, programs] of inputs) {
        const order = Object.entries(programs).sort(([a], [b]) => (index % 2 === 0 ? 1 : -1) * a.localeCompare(b));
        for (const [subject, command] of order) {
          mkdirSync(target);
          const sample = bench.time(command(target));
          wall.add(row, subject, sample.wallMs);
          cpu.add(row, subject, sample.cpuMs);
          peak.add(row, subject, sample.peakKib);
          for (const made of [target, join(target, "../store")]) rmSync(made, { recursive: true, force: true });
        }
      }
    });
  },
};

type Unpackers = Readonly<Record<string, (target: string) => readonly string[]>>;

function makeInputs(bench: Bench): ReadonlyMap<string, Unpackers> {
  const { work } = bench.options;
  const tree = join(work, "tree");
  makeTree(tree, bench.options.quick ? 4 : FOLDERS);
  const plain = join(work, "tree.tar");
  execFileSync("tar", ["-C", tree, "--sort=name", "-cf", plain, "."]);
  const packed = join(work, "tree.tar.gz");
  execFileSync("tar", ["-C", tree, "--sort=name", "-czf", packed, "."]);
  // Of its own: nothing is to stay in the host's, and nothing to be there already.
  const own = (archive: string) => (target: string) => [
    ...[bench.tsrun?.path ?? "", "unpack", "--store", join(target, "../store")],
    ...[archive, target],
  ];
  const tar = (archive: string) => (target: string) => ["tar", "--numeric-owner", "-xpf", archive, "-C", target];
  const inputs = new Map<string, Unpackers>([
    ["tar archive", { [OWN]: own(plain), tar: tar(plain) }],
    ["tar archive with gzip", { [OWN]: own(packed), tar: tar(packed) }],
  ]);
  const umoci = findProgram("umoci");
  if (umoci === undefined) {
    bench.note("no image: umoci, which writes and unpacks it, is not in PATH (Debian: umoci)");
    return inputs;
  }
  const layout = join(work, "layout");
  const image = `${layout}:bench`;
  execFileSync(umoci, ["init", "--layout", layout]);
  execFileSync(umoci, ["new", "--image", image]);
  execFileSync(umoci, ["raw", "add-layer", "--image", image, plain], { stdio: ["ignore", "ignore", "inherit"] });
  inputs.set("OCI image layout", {
    [OWN]: own(layout),
    umoci: (target) => [umoci, "unpack", "--image", image, join(target, "bundle")],
  });
  return inputs;
}

function makeTree(tree: string, folders: number): void {
  for (let i = 0; i < folders; i++) {
    const folder = join(tree, `usr/share/package-${i}`);
    mkdirSync(folder, { recursive: true });
    for (let j = 0; j < FILES; j++) {
      // Neither empty nor all alike: from some bytes to some pages.
      writeFileSync(join(folder, `file-${j}`), `${i} ${j}\n`.repeat(1 + ((i * 7 + j * 131) % 1200)));
    }
    symlinkSync("file-0", join(folder, "symlink"));
    linkSync(join(folder, "file-1"), join(folder, "hardlink"));
  }
  mkdirSync(join(tree, "usr/lib"));
  for (let i = 0; i < (folders < FOLDERS ? 1 : LARGE); i++) {
    writeFileSync(join(tree, `usr/lib/library-${i}`), Buffer.alloc(LARGE_BYTES, `library ${i} of the benchmark`));
  }
}
