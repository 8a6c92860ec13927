import { describe, expect, test } from "@jest/globals";
import { drift, estimateMedian, pairedRatio, quantile, relativeSpread, summarize } from "./statistics.ts";

/** 1 to n, out of order. */
const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => ((i * 7) % n) + 1);

describe("summaries", () => {
  test("median, quartiles and median absolute deviation", () => {
    expect(summarize([5, 1, 4, 2, 3])).toEqual({ n: 5, median: 3, q1: 2, q3: 4, mad: 1 });
    expect(summarize([7])).toEqual({ n: 1, median: 7, q1: 7, q3: 7, mad: 0 });
  });
  test("one outlier moves neither", () => {
    expect(summarize([1, 2, 3, 4, 1e9])).toMatchObject({ median: 3, q1: 2, q3: 4, mad: 1 });
  });
  test("between two samples by proportion; the samples keep their order", () => {
    const samples = [10, 0];
    expect([0, 0.25, 0.5, 1].map((share) => quantile(samples, share))).toEqual([0, 2.5, 5, 10]);
    expect(samples).toEqual([10, 0]);
    expect(() => quantile([], 0.5)).toThrow("no samples");
  });
});

describe("the interval of a median", () => {
  test("none below six samples: 2 × 0.5⁵ is more than 5 %", () => {
    expect(estimateMedian(numbers(5))).toEqual({ median: 3 });
    expect(estimateMedian(numbers(6))).toEqual({ median: 3.5, interval: [1, 6] });
  });
  test("the ranks of the sign test's tables", () => {
    // n and the rank of the lower end at 95 %, as in every table of the binomial sign test.
    for (const [n, rank] of [
      [8, 1],
      [9, 2],
      [11, 2],
      [12, 3],
      [20, 6],
      [25, 8],
      [30, 10],
      [50, 18],
    ] as const) {
      expect([n, estimateMedian(numbers(n)).interval]).toEqual([n, [rank, n + 1 - rank]]);
    }
  });
  test("covers the true median as often as it says", () => {
    // A skewed distribution with median 1, from a generator with a fixed seed.
    let seed = 1;
    const random = (): number => {
      seed = (seed * 48271) % 0x7fffffff;
      return seed / 0x7fffffff;
    };
    let covered = 0;
    for (let i = 0; i < 2000; i++) {
      const samples = Array.from({ length: 20 }, () => -Math.log2(random()));
      const [low, high] = estimateMedian(samples).interval ?? [0, 0];
      if (low <= 1 && 1 <= high) covered++;
    }
    expect(covered / 2000).toBeGreaterThan(0.95);
  });
});

describe("ratios", () => {
  test("pair by pair: what disturbed a round cancels", () => {
    const theirs = [10, 20, 10, 40, 10, 80, 10];
    const ours = theirs.map((each) => each * 1.5);
    expect(pairedRatio(ours, theirs)).toEqual({ median: 1.5, interval: [1.5, 1.5] });
  });
  test("a sample without a partner is left out", () => {
    expect(pairedRatio([2, 2, 2, 9], [1, 1, 1]).median).toBe(2);
  });
});

test("spread and drift", () => {
  expect(relativeSpread(summarize([90, 100, 110]))).toBeCloseTo(0.1);
  expect(drift([10, 10, 10, 12, 12, 12])).toBeCloseTo(0.2);
  expect(drift([10])).toBe(0);
});
