/** Overlay layers in the form that the kernel at hand takes. */
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { isTooLong, overlayOptions, overlayStep } from "./overlay.ts";

const kernel = (major: number, minor: number) => ({ release: "", major, minor });
const long = (count: number, name = "x".repeat(60)) => Array.from({ length: count }, (_, i) => `/layer/${name}${i}`);
const made = (options: string[], version = kernel(6, 8)) => overlayOptions(options, version, "/mounts/0");

test("a short list stays as it is, whatever the kernel", () => {
  const options = ["ro", "lowerdir=/a:/b::/c", "index=off"];
  for (const version of [kernel(5, 10), kernel(6, 8)]) expect(made(options, version)).toEqual(options);
});

test("a long one is an option a layer, in its place, since Linux 6.8", () => {
  const layers = long(5);
  const options = ["ro", `lowerdir=${layers.join(":")}`, "upperdir=/u", "workdir=/w"];
  const expanded = ["ro", ...layers.map((layer) => `lowerdir+=${layer}`), "upperdir=/u", "workdir=/w"];
  expect(made(options)).toEqual(expanded);
  expect(made(options, kernel(7, 0))).toEqual(expanded);
  expect(made(options, kernel(6, 7))).toEqual(options);
});

test("data-only layers keep their kind, escaped characters lose their backslash", () => {
  const [a = "", b = "", c = "", d = ""] = long(4);
  expect(made([`lowerdir=${a}\\:x:${b}\\\\::${c}::${d}`])).toEqual([
    `lowerdir+=${a}:x`,
    `lowerdir+=${b}\\`,
    `datadir+=${c}`,
    `datadir+=${d}`,
  ]);
});

test("what fsconfig could not take either goes to mount(2) as a whole", () => {
  for (const options of [
    [`lowerdir=/${"x".repeat(255)}:/b`],
    [`lowerdir=${long(5).join(":")}`, `upperdir=/${"u".repeat(255)}`],
    [`lowerdir=${long(5).join(":")}:/with\\,comma`],
    [`lowerdir=${long(5).join(":")}:relative`],
  ])
    expect(made(options)).toEqual(options);
});

test("more than mount(2) takes is refused, with the version that takes it", () => {
  const options = [`lowerdir=${long(80).join(":")}`];
  expect(() => made(options, kernel(6, 7))).toThrow(/\/mounts\/0\/options: \d+ bytes of options.* 4095/);
  expect(made(options)).toHaveLength(80);
});

test("no layer is lost or changed", () => {
  const name = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => !/[,\0]/.test(text));
  fc.assert(
    fc.property(fc.array(name, { minLength: 12, maxLength: 30 }), (names) => {
      const layers = names.map((each, i) => `/${"p".repeat(20)}${i}/${each}`);
      const escaped = layers.map((layer) => layer.replaceAll(/[\\:]/g, "\\$&"));
      expect(made([`lowerdir=${escaped.join(":")}`])).toEqual(layers.map((layer) => `lowerdir+=${layer}`));
    }),
  );
});

test("what neither call takes is too long, and the kernel's version decides", () => {
  const options = [`lowerdir=${long(80).join(":")}`];
  expect(isTooLong(options, kernel(6, 7))).toBe(true);
  expect(isTooLong(options, kernel(6, 8))).toBe(false);
  expect(isTooLong([`lowerdir=${long(5).join(":")}`], kernel(5, 10))).toBe(false);
});

describe("an overlay that the host makes", () => {
  const step = (options: string[], version = kernel(6, 1), userns: string | null = null) =>
    overlayStep(options, { userns, slot: "mount-0" }, { kernel: version, pointer: "/mounts/0" });
  test("has its layers in order, the writable one relative to the directory of both", () => {
    expect(step(["lowerdir=/b:/a\\:x", "upperdir=/c/overlay/upper", "workdir=/c/overlay/work", "index=off"])).toEqual({
      kind: "mount.overlay",
      lowers: ["/b", "/a:x"],
      writable: "/c/overlay",
      upper: "upper",
      work: "work",
      options: ["index=off"],
      userns: null,
      slot: "mount-0",
    });
  });
  test("may have no writable layer", () => {
    expect(step(["lowerdir=/b:/a", "ro"])).toMatchObject({ writable: "", upper: "", work: "", options: [] });
  });
  test.each([
    ["relative layers", ["lowerdir=a:/b"], /\/mounts\/0\/options: lowerdir: "a" is not an absolute path/],
    ["no layers", ["upperdir=/u/u", "workdir=/u/w"], /lowerdir: "" is not an absolute path/],
    ["layers for data only", ["lowerdir=/a::/b"], /data only/],
    ["an upper layer alone", ["lowerdir=/a:/b", "upperdir=/u"], /of one directory/],
    ["an upper layer elsewhere", ["lowerdir=/a", "upperdir=/u/u", "workdir=/w/w"], /of one directory/],
    ["an escaped upper layer", ["lowerdir=/a", "upperdir=/u/\\:", "workdir=/u/w"], /backslash/],
    [
      "more layers than the kernel takes",
      [`lowerdir=${long(501).join(":")}`],
      /501 layers, of which the kernel takes 500/,
    ],
  ])("refuses %s", (_, options, message) => {
    expect(() => step(options)).toThrow(message);
  });
  test("maps ids since Linux 5.19", () => {
    expect(step(["lowerdir=/a"], kernel(5, 19), "idmap-0")).toMatchObject({ userns: "idmap-0" });
    expect(() => step(["lowerdir=/a"], kernel(5, 18), "idmap-0")).toThrow(/need Linux 5\.19/);
  });
});
