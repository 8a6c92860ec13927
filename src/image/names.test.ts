import { describe, expect, test } from "@jest/globals";
import { pathBelowRoot, whiteoutOf } from "./names.ts";

const path = (name: string): string => pathBelowRoot(name, 8, "entry");

describe("names", () => {
  test.each([
    ["a/b", "a/b"],
    ["./a//b/.", "a/b"],
    ["/etc/passwd", "etc/passwd"],
    ["./", ""],
    ["", ""],
    ["..a/b..", "..a/b.."],
    ["\xff", "\xff"],
  ])("%s is %s below the root", (name, wanted) => {
    expect(path(name)).toBe(wanted);
  });
  test.each([
    ["..", '".."'],
    ["a/../b", '".."'],
    ["../../etc/passwd", '".."'],
    ["a\0b", "NUL"],
    ["x".repeat(256), "longer than 255"],
    ["a/".repeat(9), "deeper than the limit of 8"],
  ])("%j is refused", (name, why) => {
    expect(() => path(name)).toThrow(why);
  });
  test("no longer than Linux takes", () => {
    const long = `${"x".repeat(200)}/`.repeat(21);
    expect(() => pathBelowRoot(long, 256, "entry")).toThrow("longer than 4095");
  });
});

describe("whiteouts", () => {
  test.each([
    ["a/.wh.b", { kind: "path", path: "a/b" }],
    [".wh.b", { kind: "path", path: "b" }],
    ["a/.wh..wh..opq", { kind: "opaque", directory: "a" }],
    [".wh..wh..opq", { kind: "opaque", directory: "" }],
    [".wh..wh.plnk", { kind: "aufs" }],
    [".wh..wh.plnk/55.12", { kind: "aufs" }],
    ["a/b.wh.c", undefined],
    ["a/.whb", undefined],
  ])("%s", (name, wanted) => {
    expect(whiteoutOf(name)).toEqual(wanted);
  });
  test.each(["a/.wh.", "a/.wh..", "a/.wh...", ".wh.a/b", ".wh..wh..opq/b"])("%s is refused", (name) => {
    expect(() => whiteoutOf(name)).toThrow(/whiteout/);
  });
});
