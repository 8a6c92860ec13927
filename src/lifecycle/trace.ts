/** `--trace FILE`: the times of a plan's steps as a Chrome trace (chrome://tracing, Perfetto). */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import type { StepReport } from "../native/native.ts";
import { renderFields } from "../plan/render.ts";
import type { Plan, Step } from "../plan/vocabulary.ts";

interface TraceEvent {
  readonly name: string;
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts?: number;
  readonly dur?: number;
  readonly args: Readonly<Record<string, unknown>>;
}

/** Collects the steps of one or several plans (run: create, then start). */
export class Trace {
  readonly #events: TraceEvent[] = [];
  readonly #path: string;
  readonly #fd: number;

  /** Before anything is done: throws `usage` when the file cannot be made. */
  constructor(path: string) {
    this.#path = resolve(path);
    try {
      this.#fd = openSync(this.#path, "w");
    } catch (error) {
      throw new TsrunError("usage", `cannot make the trace ${this.#path}: ${reasonOf(error)}`);
    }
  }

  add(plan: Plan, reports: { readonly host: readonly StepReport[]; readonly container: readonly StepReport[] }): void {
    this.#list(1, plan.title, plan.host, reports.host);
    this.#list(2, plan.title, plan.container, reports.container);
  }

  #list(tid: number, title: string, steps: readonly Step[], reports: readonly StepReport[]): void {
    for (const [i, step] of steps.entries()) {
      const report = reports[i];
      if (report === undefined || report.endNs === 0n) continue;
      this.#events.push({
        name: step.kind,
        ph: "X",
        pid: 1,
        tid,
        ts: Number(report.beginNs) / 1000,
        dur: Number(report.endNs - report.beginNs) / 1000,
        args: { plan: title, step: i, state: report.state, fields: renderFields(step) },
      });
    }
  }

  /** Writes and closes the file. Returns what kept it from that: the steps that it tells of are done all the same. */
  write(): string | undefined {
    const names = ["", "host", "container"].entries();
    const meta = [...names].slice(1).map(([tid, name]): TraceEvent => {
      return { name: "thread_name", ph: "M", pid: 1, tid, args: { name } };
    });
    try {
      writeFileSync(this.#fd, JSON.stringify({ displayTimeUnit: "ns", traceEvents: [...meta, ...this.#events] }));
      return undefined;
    } catch (error) {
      return `cannot write the trace ${this.#path}: ${reasonOf(error)}`;
    } finally {
      closeSync(this.#fd);
    }
  }
}
