/** Whether the machine was quiet enough to say anything: judged by programs that are the same in every run. */
import { drift, relativeSpread, summarize } from "./statistics.ts";

/** Milliseconds of `node -e 0` and of the floor, taken all along a suite. */
export interface Controls {
  readonly node: readonly number[];
  readonly floor: readonly number[];
}

export interface Verdict {
  readonly quiet: boolean;
  /** What was too much, a sentence each. */
  readonly reasons: readonly string[];
}

/**
 * On an idle machine `node -e 0` keeps within a few per cent. The floor is a few milliseconds, of which a single one that the kernel
 * takes for itself is much, so it spreads more even there.
 */
const limits = { node: { spread: 0.15, drift: 0.1 }, floor: { spread: 0.35, drift: 0.25 } } as const;
const names = { node: "node -e 0", floor: "the floor" } as const;

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

export function judgeNoise(controls: Controls): Verdict {
  const reasons: string[] = [];
  for (const which of ["node", "floor"] as const) {
    const samples = controls[which];
    if (samples.length === 0) continue;
    const spread = relativeSpread(summarize(samples));
    const moved = drift(samples);
    const limit = limits[which];
    if (spread > limit.spread) {
      reasons.push(`the quartiles of ${names[which]} lie ${percent(spread)} apart (limit ${percent(limit.spread)})`);
    }
    if (Math.abs(moved) > limit.drift) {
      reasons.push(
        `${names[which]} took ${percent(moved)} more at the end than at the beginning (limit ${percent(limit.drift)})`,
      );
    }
  }
  return { quiet: reasons.length === 0, reasons };
}
