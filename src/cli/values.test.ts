import { describe, expect, test } from "@jest/globals";
import { parseBytes, parseDurationMs, parseInteger } from "./values.ts";

const usage = expect.objectContaining({ code: "usage", message: expect.stringContaining("--x") });

describe("parseBytes", () => {
  test.each([
    ["-1", -1n],
    ["0", 0n],
    ["1048576", 1_048_576n],
    ["64m", 67_108_864n],
    ["64M", 67_108_864n],
    ["64mb", 67_108_864n],
    ["64MiB", 67_108_864n],
    ["1.5g", 1_610_612_736n],
    ["32 k", 32_768n],
    ["100b", 100n],
    ["9223372036854775807", 9_223_372_036_854_775_807n],
  ])("%s", (text, bytes) => {
    expect(parseBytes(text, "--x")).toBe(bytes);
  });

  test.each(["", "m", "-2", "1e3", "0x10", "64q", "64mm", "1,5g", "9223372036854775808", "9000p", " 1"])(
    "%j is refused",
    (text) => {
      expect(() => parseBytes(text, "--x")).toThrow(usage);
    },
  );
});

describe("parseInteger", () => {
  test("all of 64 bits and nothing else", () => {
    expect(parseInteger("18446744073709551615", "--x", "unsigned")).toBe(2n ** 64n - 1n);
    expect(parseInteger("-9223372036854775808", "--x", "signed")).toBe(-(2n ** 63n));
    for (const text of ["18446744073709551616", "-1", "", "1.0", "5k"]) {
      expect(() => parseInteger(text, "--x", "unsigned")).toThrow(usage);
    }
    expect(() => parseInteger("9223372036854775808", "--x", "signed")).toThrow(usage);
  });
});

describe("parseDurationMs", () => {
  test.each([
    ["5s", 5000],
    ["100ms", 100],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["250us", 0.25],
  ])("%s", (text, ms) => {
    expect(parseDurationMs(text, "--x")).toBe(ms);
  });

  test.each(["", "5", "s", "0s", "-1s", "5 s", "5sx", "x5s"])("%j is refused", (text) => {
    expect(() => parseDurationMs(text, "--x")).toThrow(usage);
  });
});
