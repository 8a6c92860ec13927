/** `--trace FILE`: the times of a plan's steps as a Chrome trace (chrome://tracing, Perfetto). */
import { writeFileSync } from "node:fs";
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

  /** Throws `usage` when the file cannot be written. */
  write(path: string): void {
    const names = ["", "host", "container"].entries();
    const meta = [...names].slice(1).map(([tid, name]): TraceEvent => {
      return { name: "thread_name", ph: "M", pid: 1, tid, args: { name } };
    });
    try {
      writeFileSync(path, JSON.stringify({ displayTimeUnit: "ns", traceEvents: [...meta, ...this.#events] }));
    } catch (error) {
      throw new TsrunError("usage", `cannot write the trace ${path}: ${reasonOf(error)}`);
    }
  }
}
