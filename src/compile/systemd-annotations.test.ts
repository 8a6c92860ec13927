import { describe, expect, test } from "@jest/globals";
import { annotatedProperties, DELEGATE_ANNOTATION, SUBGROUP_ANNOTATION, subgroups } from "./systemd-annotations.ts";

const of = (name: string, value: string) => annotatedProperties({ [`org.systemd.property.${name}`]: value })[0];

describe("org.systemd.property.NAME", () => {
  test.each([
    ["true", "b", true],
    ["'text'", "s", "text"],
    ['"it\'s \\"quoted\\""', "s", 'it\'s "quoted"'],
    ["5", "i", 5],
    ["-5", "i", -5],
    ["uint64 18446744073709551615", "t", 18446744073709551615n],
    ["@t 5", "t", 5n],
    ["int64 -1", "x", -1n],
    ["byte 255", "y", 255],
    ["1.5", "d", 1.5],
    ["double 2", "d", 2],
    ["objectpath '/a'", "o", "/a"],
    ["['a', 'b,]']", "as", ["a", "b,]"]],
    ["@as []", "as", []],
    ["[uint32 1, uint32 2]", "au", [1, 2]],
    ["@au [1, 2]", "au", [1, 2]],
    [" [ true , false ] ", "ab", [true, false]],
  ])("%s", (text, signature, value) => {
    expect(of("Some", text)).toEqual({ name: "Some", signature, value });
  });

  test.each([
    ["", "cannot be read"],
    ["text", "cannot be read"],
    ["'open", "cannot be read"],
    ["'a' 'b'", "cannot be read"],
    ["[1, 'a']", "cannot be read"],
    ["[[1]]", "cannot be read"],
    ["[1 2]", "cannot be read"],
    ["[1,]", "cannot be read"],
    ["[1", "cannot be read"],
    ["uint64 'a'", "cannot be read"],
    ["uint64 int64 1", "cannot be read"],
    ["string 5", "cannot be read"],
    ["(1, 2)", "cannot be read"],
    ["0x10", "cannot be read"],
    ["1e400000000000", undefined],
    ["[]", "of what type"],
    ["4294967296", "outside of"],
    ["byte 256", "outside of"],
    ["uint64 -1", "outside of"],
    ["'\\u0041'", "is not known"],
  ])("%s is refused", (text, why) => {
    if (why === undefined) return expect(of("Some", text)?.value).toBe(Number.POSITIVE_INFINITY);
    expect(() => of("Some", text)).toThrow(
      expect.objectContaining({
        code: "config",
        message: expect.stringMatching(new RegExp(`^/annotations/org\\.systemd\\.property\\.Some: .*${why}`)),
      }),
    );
  });

  test("times in seconds become microseconds, as in runc", () => {
    expect(of("TimeoutStopSec", "uint64 7")).toEqual({ name: "TimeoutStopUSec", signature: "t", value: 7_000_000n });
    expect(of("TimeoutStopSec", "0.5")).toEqual({ name: "TimeoutStopUSec", signature: "t", value: 500_000n });
    expect(of("TimeoutStopUSec", "uint64 7")).toEqual({ name: "TimeoutStopUSec", signature: "t", value: 7n });
  });

  test.each(["PIDs", "Slice", "Delegate"])("%s is not for the caller to say", (name) => {
    expect(() => of(name, "true")).toThrow("for tsrun to say");
  });
  test.each(["", "a", "Memory.Max", "Memory Max"])("%j is no property", (name) => {
    expect(() => of(name, "true")).toThrow("no name of a property");
  });
  test("other annotations are none", () => {
    expect(annotatedProperties({ "org.systemd": "x", other: "y" })).toEqual([]);
    expect(annotatedProperties(undefined)).toEqual([]);
  });
});

describe("cgroups below the scope", () => {
  test("none, one, two", () => {
    expect(subgroups(undefined)).toEqual([]);
    expect(subgroups({ [SUBGROUP_ANNOTATION]: "" })).toEqual([]);
    expect(subgroups({ [SUBGROUP_ANNOTATION]: "container" })).toEqual(["container"]);
    expect(subgroups({ [SUBGROUP_ANNOTATION]: "a", [DELEGATE_ANNOTATION]: "b" })).toEqual(["a", "b"]);
  });
  test.each(["..", ".", "a/b", "/a", "a\0", "a".repeat(256)])("%j is refused", (name) => {
    expect(() => subgroups({ [SUBGROUP_ANNOTATION]: name })).toThrow("no name of a cgroup");
  });
  test("delegated without one of its own", () => {
    expect(() => subgroups({ [DELEGATE_ANNOTATION]: "b" })).toThrow(SUBGROUP_ANNOTATION);
  });
});
