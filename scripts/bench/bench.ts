/** What a suite works with: the programs, rounds in which all take their turn, and the samples. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Controls } from "./noise.ts";
import { leaveOutUnable } from "./probe.ts";
import { compiled, type Measurable, ownNode, root } from "./programs.ts";
import { OWN, type Row, type Section } from "./report.ts";
import { median } from "./statistics.ts";
import { type Sample, sleepMs, timeTogether } from "./stopwatch.ts";

/** One file of suites/ each. */
export interface Suite {
  readonly about: string;
  /** Programs that it needs beside those of all. */
  readonly needs?: readonly string[];
  /** Seen with one view of the cgroups only, the host's first: the other shows nothing new. */
  readonly oneView?: true;
  /** Rounds, unless --runs says otherwise. */
  readonly runs: number;
  run(bench: Bench): void | Promise<void>;
}

export interface BenchOptions {
  readonly runs: number;
  readonly restMs: number;
  /** As little as shows that it works: for the tests. */
  readonly quick: boolean;
  readonly runtimes: readonly Measurable[];
  readonly work: string;
}

/** Rounds at the beginning that do not count: caches of the kernel and of the runtimes fill. */
const WARM_UP = 2;

export class Bench {
  readonly options: BenchOptions;
  readonly sections: SectionBuilder[] = [];
  readonly notes: string[] = [];
  readonly rootfs: string;
  /** Those that can run containers here. */
  readonly runtimes: readonly Measurable[];
  readonly #node = ownNode();
  readonly #controls: { node: number[]; floor: number[] } = { node: [], floor: [] };
  #counts = true;

  constructor(options: BenchOptions) {
    this.options = options;
    this.rootfs = join(options.work, "rootfs");
    mkdirSync(this.rootfs);
    execFileSync("bash", [join(root, "scripts/make-rootfs"), this.rootfs]);
    this.runtimes = options.runtimes;
    this.runtimes = leaveOutUnable(this, options.runtimes);
  }

  get tsrun(): Measurable | undefined {
    return this.runtimes.find(({ name }) => name === OWN);
  }
  get controls(): Controls {
    return this.#controls;
  }

  note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text);
  }

  section(description: Omit<Section, "rows" | "better"> & { readonly better?: Section["better"] }): SectionBuilder {
    const section = new SectionBuilder(
      { better: "less", ...description },
      {
        counts: () => this.#counts,
        order: this.runtimes.map(({ name }) => name),
      },
    );
    this.sections.push(section);
    return section;
  }

  /**
   * Runs `round` so many times, after some that do not count. Each begins with the controls; `order` is the runtimes, each time
   * beginning with another, so that nobody is always the one after somebody.
   */
  async rounds(
    runs: number,
    round: (order: readonly Measurable[], index: number) => void | Promise<void>,
  ): Promise<void> {
    for (let i = this.options.quick ? 0 : -WARM_UP; i < runs; i++) {
      this.#counts = i >= 0;
      const shift = i + WARM_UP;
      this.nodeAlone();
      this.floorAlone();
      await round(
        this.runtimes.map((_, j) => this.runtimes[(j + shift) % this.runtimes.length] as Measurable),
        i,
      );
    }
    this.#counts = true;
  }

  /**
   * Rests, runs a program and measures it. Resting matters: moving a process into a v1 cgroup waits for a grace period of the
   * kernel, unless somebody has just waited for it.
   */
  time(command: readonly string[], restMs = this.options.restMs): Sample {
    sleepMs(restMs);
    return timeTogether([command], this.#errors)[0] as Sample;
  }

  timeTogether(commands: readonly (readonly string[])[]): readonly Sample[] {
    sleepMs(this.options.restMs);
    return timeTogether(commands, this.#errors);
  }

  /** The Node that runs tsrun with an empty program: what any command in it costs at least. Also a control. */
  nodeAlone(): Sample {
    const sample = this.time(this.nodeCommand());
    if (this.#counts) this.#controls.node.push(sample.wallMs);
    return sample;
  }

  /** The system calls of a container and nothing else, from the program's start to its end. Also a control. */
  floorAlone(): Sample {
    const sample = this.time(this.floorCommand());
    if (this.#counts) this.#controls.floor.push(sample.wallMs);
    return sample;
  }

  nodeCommand(): readonly string[] {
    return [this.#node, "-e", "0"];
  }
  floorCommand(): readonly string[] {
    return [compiled("floor"), this.rootfs, "bench/floor", "/bin/true"];
  }

  get #errors(): string {
    return join(this.options.work, "errors");
  }
}

/** Collects samples of a section, row by row in the order of their first sample. */
export class SectionBuilder {
  readonly description: Omit<Section, "rows">;
  readonly #frame: { readonly counts: () => boolean; readonly order: readonly string[] };
  readonly #rows = new Map<string, Map<string, number[]>>();
  readonly #budgets = new Map<string, NonNullable<Row["budget"]>>();

  /** `order`: of the runtimes in the tables. */
  constructor(
    description: Omit<Section, "rows">,
    frame: { readonly counts: () => boolean; readonly order: readonly string[] },
  ) {
    this.description = description;
    this.#frame = frame;
  }

  /** Outside of rounds and in those that count. */
  add(row: string, subject: string, value: number): void {
    if (!this.#frame.counts()) return;
    const subjects = this.#rows.get(row) ?? new Map<string, number[]>();
    this.#rows.set(row, subjects);
    const samples = subjects.get(subject) ?? [];
    subjects.set(subject, samples);
    samples.push(value);
  }

  samples(row: string, subject: string): readonly number[] {
    return this.#rows.get(row)?.get(subject) ?? [];
  }

  /** Leaves only the rows with the largest medians (of whoever has the largest), largest first. */
  keepLargest(count: number): void {
    const size = (subjects: ReadonlyMap<string, readonly number[]>): number =>
      Math.max(...[...subjects.values()].map(median));
    const kept = [...this.#rows].sort(([, a], [, b]) => size(b) - size(a)).slice(0, count);
    this.#rows.clear();
    for (const [name, subjects] of kept) this.#rows.set(name, subjects);
  }

  budget(row: string, limit: number, rule: string): void {
    this.#budgets.set(row, { limit, rule });
  }

  result(): Section {
    const { order } = this.#frame;
    const rank = ([name]: readonly [string, unknown]): number =>
      order.includes(name) ? order.indexOf(name) : order.length;
    return {
      ...this.description,
      rows: [...this.#rows].map(([name, subjects]) => {
        const budget = this.#budgets.get(name);
        return {
          name,
          samples: Object.fromEntries([...subjects].sort((a, b) => rank(a) - rank(b))),
          ...(budget !== undefined && { budget }),
        };
      }),
    };
  }
}
