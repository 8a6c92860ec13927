/** Overlay layers in the form that the kernel at hand takes. */
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { overlayOptions } from "./overlay.ts";

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
