import { describe, expect, test } from "@jest/globals";
import { expandSlice, unitName } from "./systemd-unit.ts";

describe("linux.cgroupsPath with systemd", () => {
  test.each([
    [undefined, false, "system.slice", "tsrun-web.scope"],
    ["", true, "user.slice", "tsrun-web.scope"],
    ["machine.slice:libpod:0a1b", false, "machine.slice", "libpod-0a1b.scope"],
    ["::", false, "system.slice", "web.scope"],
    ["user.slice:crio:", true, "user.slice", "crio-web.scope"],
    ["-.slice::x", false, "-.slice", "x.scope"],
    ["a-b.slice:p:y", false, "a-b.slice", "p-y.scope"],
  ])("%s (user: %s)", (path, user, slice, unit) => {
    expect(unitName(path, "web", user)).toEqual({ slice, unit });
  });

  test("an id that is no name of a unit is escaped", () => {
    expect(unitName(undefined, "a+b", false).unit).toBe("tsrun-a\\x2bb.scope");
  });

  test.each([
    ["/machine/web", "not SLICE:PREFIX:NAME"],
    ["a.slice:b", "not SLICE:PREFIX:NAME"],
    ["a.slice:b:c:d", "not SLICE:PREFIX:NAME"],
    ["a:b:c", 'no name of a slice, such as "system.slice"'],
    ["a/b.slice:b:c", "no name of a slice"],
    ["../b.slice:b:c", "no name of a slice"],
    [".slice:b:c", "no name of a slice"],
    ["-a.slice:b:c", '"-" stands between'],
    ["a-.slice:b:c", '"-" stands between'],
    ["a--b.slice:b:c", '"-" stands between'],
    ["a.slice:b/c:d", "no name of a unit"],
    ["a.slice:b:c d", "no name of a unit"],
    ["a.slice:b:\u00e9", "no name of a unit"],
    [`a.slice:b:${"c".repeat(250)}`, "longer than 255"],
    ["a.slice:b:c.slice", "no process"],
  ])("%s is refused", (path, why) => {
    expect(() => unitName(path, "web", false)).toThrow(
      expect.objectContaining({ code: "config", message: expect.stringContaining(why) }),
    );
    expect(() => unitName(path, "web", false)).toThrow("/linux/cgroupsPath: ");
  });
});

test.each([
  ["-.slice", ""],
  ["system.slice", "/system.slice"],
  ["a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice"],
  ["kubepods-burstable-pod1_2.slice", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice"],
])("the cgroup of %s", (slice, path) => {
  expect(expandSlice(slice)).toBe(path);
});
