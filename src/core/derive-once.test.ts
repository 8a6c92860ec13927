import { expect, test } from "@jest/globals";
import { deriveOnce } from "./derive-once.ts";

test("a value is derived once for each object, undefined too", () => {
  const seen: object[] = [];
  const derive = deriveOnce((from: { readonly name?: string }) => {
    seen.push(from);
    return from.name;
  });
  const [named, nameless] = [{ name: "a" }, {}];
  expect([derive(named), derive(nameless), derive(named), derive(nameless)]).toEqual(["a", undefined, "a", undefined]);
  expect(seen).toEqual([named, nameless]);
});

test("what throws is tried again", () => {
  let calls = 0;
  const derive = deriveOnce((_: object) => {
    calls++;
    throw new Error("no");
  });
  const from = {};
  expect(() => derive(from)).toThrow("no");
  expect(() => derive(from)).toThrow("no");
  expect(calls).toBe(2);
});
