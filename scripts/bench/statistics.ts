/** All statistics of the benchmarks: of samples that have outliers on one side, so nothing here uses a mean. */

export interface Summary {
  readonly n: number;
  readonly median: number;
  /** Lower and upper quartile. */
  readonly q1: number;
  readonly q3: number;
  /** Median absolute deviation from the median. */
  readonly mad: number;
}

/** A median with an interval that covers the true one with at least 95 %; without one when there are too few samples. */
export interface Estimate {
  readonly median: number;
  readonly interval?: readonly [low: number, high: number];
}

/** The value that this share of the sorted samples lies below, between two samples by proportion. */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new Error("a quantile of no samples");
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  const [below, above] = [sorted[low] as number, sorted[Math.ceil(at)] as number];
  return below + (above - below) * (at - low);
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);

export function summarize(samples: readonly number[]): Summary {
  const middle = median(samples);
  return {
    n: samples.length,
    median: middle,
    q1: quantile(samples, 0.25),
    q3: quantile(samples, 0.75),
    mad: median(samples.map((sample) => Math.abs(sample - middle))),
  };
}

const CONFIDENCE = 0.95;

/**
 * The median, and between which two of the sorted samples the true one lies: a sample is below it as often as a coin shows
 * heads, whatever the distribution (the interval of the sign test). From 6 samples on.
 */
export function estimateMedian(samples: readonly number[]): Estimate {
  const n = samples.length;
  const sorted = [...samples].sort((a, b) => a - b);
  let tail = 0;
  let probability = 0.5 ** n;
  let rank = 0;
  // The largest rank whose sample the true median is below with at most half of what is left of the confidence.
  for (let k = 0; k < n / 2; k++) {
    tail += probability;
    if (2 * tail > 1 - CONFIDENCE) break;
    rank = k + 1;
    probability *= (n - k) / (k + 1);
  }
  if (rank === 0) return { median: median(samples) };
  return { median: median(samples), interval: [sorted[rank - 1] as number, sorted[n - rank] as number] };
}

/** Ours by theirs, sample by sample: what disturbed a round disturbed both. Samples without a partner are left out. */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): Estimate {
  const pairs = Math.min(ours.length, theirs.length);
  return estimateMedian(Array.from({ length: pairs }, (_, i) => (ours[i] as number) / (theirs[i] as number)));
}

/** The distance between the quartiles, as a share of the median. */
export const relativeSpread = ({ median: middle, q1, q3 }: Summary): number => (q3 - q1) / middle;

/** By which share the median of the second half is away from that of the first. */
export function drift(samples: readonly number[]): number {
  const half = Math.floor(samples.length / 2);
  if (half === 0) return 0;
  return median(samples.slice(-half)) / median(samples.slice(0, half)) - 1;
}
