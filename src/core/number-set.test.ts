import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { MAX_CPU, numberSet } from "./number-set.ts";

describe("lists of numbers", () => {
  test("become bit sets", () => {
    expect(numberSet("", 10)).toEqual([]);
    expect(numberSet("0", 10)).toEqual([1n]);
    expect(numberSet("0-3,7", 10)).toEqual([0x8fn]);
    expect(numberSet(" 1 , ,3-3", 10)).toEqual([0xan]);
    expect(numberSet("63-64,128", 200)).toEqual([1n << 63n, 1n, 1n]);
  });

  test("what is no list is none", () => {
    for (const list of ["a", "-1", "1-", "3-1", "1--2", "1 2", "0x1", "1.5", "11", "0-11", "9999999", "1-2-3"]) {
      expect([list, numberSet(list, 10)]).toEqual([list, undefined]);
    }
  });

  test("every number of a list is in its set, and no other", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(MAX_CPU), { maxLength: 50 }), (numbers) => {
        const words = numberSet(numbers.join(","), MAX_CPU) ?? [];
        const found = words.flatMap((word, i) =>
          Array.from({ length: 64 }, (_, bit) => ((word >> BigInt(bit)) & 1n ? i * 64 + bit : -1)),
        );
        expect(found.filter((number) => number >= 0)).toEqual([...numbers].sort((a, b) => a - b));
      }),
    );
  });
});
