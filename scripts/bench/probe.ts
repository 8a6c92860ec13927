/** Which of the runtimes can run the bundles here at all. */
import type { Bench } from "./bench.ts";
import { makeBundle } from "./bundles.ts";
import { Container } from "./container.ts";
import type { Measurable } from "./programs.ts";
import { OWN } from "./report.ts";

/** Runs each bundle once with each of them; a peer that fails is left out, and a note says why. tsrun must not fail. */
export function leaveOutUnable(bench: Bench, runtimes: readonly Measurable[]): readonly Measurable[] {
  return runtimes.filter((runtime) => {
    for (const kind of ["spec", "docker"] as const) {
      const name = `${runtime.name}-probe-${kind}`;
      const container = new Container(bench, runtime, name, makeBundle(bench, kind, name, ["/bin/true"]));
      try {
        bench.time(container.command("run"), 0);
      } catch (error) {
        if (runtime.name === OWN || !(error instanceof Error)) throw error;
        bench.note(
          `${runtime.name} is left out, because it cannot run the ${kind} bundle here: ${reason(error.message)}`,
        );
        return false;
      }
    }
    return true;
  });
}

/** Without the command, whose paths are those of this run. */
const reason = (message: string): string => message.replace(/^.*?: (?=exit status)/, "").trim();
