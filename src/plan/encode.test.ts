import { describe, expect, test } from "@jest/globals";
import { encodePlan, HEADER_BYTES, PLAN_MAGIC, slotNames } from "./encode.ts";
import { vocabularyHash } from "./hash.gen.ts";
import type { HostStep, Plan } from "./vocabulary.ts";
import { limits, operations, vocabulary } from "./vocabulary.ts";

const plan = (...host: HostStep[]): Plan => ({ title: "test", host, container: [] });
const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

describe("encodePlan", () => {
  test("writes a header that counts what follows", () => {
    const bytes = encodePlan({
      title: "t",
      host: [{ kind: "gate.listen", directory: "/d", name: "gate", slot: "gate" }],
      container: [
        { kind: "gate.wait", slot: "gate" },
        { kind: "process.setsid", optional: true },
      ],
    });
    const header = view(bytes);
    expect(header.getBigUint64(0, true)).toBe(PLAN_MAGIC);
    expect(header.getUint32(8, true)).toBe(vocabularyHash);
    expect(header.getUint32(12, true)).toBe(bytes.length);
    expect([16, 20, 24].map((at) => header.getUint32(at, true))).toEqual([1, 2, 1]);
    expect(bytes.length % 8).toBe(0);
  });

  test("lays a record out as cells and a heap of NUL-terminated text", () => {
    const bytes = encodePlan(plan({ kind: "gate.open", directory: "/run/x", name: "gate" }));
    const record = view(bytes.subarray(HEADER_BYTES));
    expect(record.getUint16(0, true)).toBe(vocabulary["gate.open"].code);
    expect(record.getUint32(4, true)).toBe(bytes.length - HEADER_BYTES);
    const [at, count] = [record.getUint32(8, true), record.getUint32(12, true)];
    expect(Buffer.from(bytes.subarray(HEADER_BYTES + at, HEADER_BYTES + at + count + 1)).toString()).toBe("/run/x\0");
  });

  test("keeps 64-bit integers exact, negative ones as two's complement", () => {
    const bytes = encodePlan(
      plan(
        { kind: "process.rlimit", resource: 7, soft: 18446744073709551615n, hard: 2n ** 53n + 1n },
        { kind: "process.oomScoreAdj", value: -1000 },
      ),
    );
    const record = view(bytes.subarray(HEADER_BYTES));
    expect(record.getBigUint64(16, true)).toBe(18446744073709551615n);
    expect(record.getBigUint64(24, true)).toBe(2n ** 53n + 1n);
    expect(record.getBigInt64(32 + 8, true)).toBe(-1000n);
  });

  test("refuses text with NUL, inexact integers and too many elements", () => {
    expect(() => encodePlan(plan({ kind: "gate.open", directory: "/a\0b", name: "gate" }))).toThrow(/NUL/);
    const exec = { kind: "process.exec", program: "x", path: "", args: ["a", "b\0"], env: [], home: false } as const;
    expect(() => encodePlan({ title: "t", host: [], container: [exec] })).toThrow(
      "process.exec.args: text contains NUL",
    );
    expect(() => encodePlan(plan({ kind: "process.oomScoreAdj", value: 2 ** 60 }))).toThrow(/exact integer/);
    expect(() => encodePlan(plan({ kind: "process.oomScoreAdj", value: 0.5 }))).toThrow(/exact integer/);
    const env = Array.from({ length: limits.elements + 1 }, () => "A=1");
    expect(() =>
      encodePlan({
        title: "t",
        host: [],
        container: [{ kind: "process.exec", program: "x", path: "", args: [], env, home: false }],
      }),
    ).toThrow(/elements/);
  });

  test.each([
    ["ASCII", ["", "1", "12", "1234567", "12345678", "123456789", "", "x".repeat(20_000), "end"]],
    ["other text", ["", "ä", "1234567", "€uro", "", "end"]],
  ])("a list of texts of whatever length: %s", (_, texts) => {
    const bytes = encodePlan({
      title: "t",
      host: [],
      container: [{ kind: "process.exec", program: "x", path: "", args: texts, env: [], home: false }],
    });
    const record = view(bytes.subarray(HEADER_BYTES));
    const list = 8 + 8 * Object.keys(vocabulary["process.exec"].fields).indexOf("args");
    const [at, count] = [record.getUint32(list, true), record.getUint32(list + 4, true)];
    const written = Array.from({ length: count }, (_, i) => {
      const [from, length] = [record.getUint32(at + 8 * i, true), record.getUint32(at + 8 * i + 4, true)];
      expect(from % 8).toBe(0);
      const text = Buffer.from(bytes.subarray(HEADER_BYTES + from, HEADER_BYTES + from + length + 1)).toString();
      expect(text.at(-1)).toBe("\0");
      return text.slice(0, -1);
    });
    expect(written).toEqual(texts);
  });

  test("grows beyond its first buffer", () => {
    const value = "x".repeat(100_000);
    const bytes = encodePlan(plan({ kind: "cgroup.write", hierarchy: "/h", path: "p", file: "f", value }));
    expect(Buffer.from(bytes).toString("latin1")).toContain(value);
  });
});

test("slots are numbered in order of first use", () => {
  expect(
    slotNames({
      title: "t",
      host: [
        { kind: "console.pair", slot: "console" },
        { kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 },
      ],
      container: [
        { kind: "seccomp.load", slot: "filter", flags: 0, listener: false, dumpable: false },
        { kind: "gate.wait", slot: "console" },
      ],
    }),
  ).toEqual(["console", "filter"]);
});

test("codes and operations are unique", () => {
  const codes = Object.values(vocabulary).map((shape) => shape.code);
  expect(new Set(codes).size).toBe(codes.length);
  expect(new Set(operations).size).toBe(operations.length);
});
