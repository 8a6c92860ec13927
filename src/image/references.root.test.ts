/** References of bundles: whom they name, and what collecting takes. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { AbsPath } from "../core/brands.ts";
import { ownIdentity } from "../host/process.ts";
import {
  collectBundles,
  listReferences,
  type Reference,
  readReference,
  referencedLayers,
  referencePath,
  removeReferenced,
  writeReference,
} from "./references.ts";

let store: AbsPath;
beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), "tsrun-references-")) as AbsPath;
});
afterEach(() => rmSync(store, { recursive: true }));

const dead = { pid: 2 ** 22 + 1, startTime: 1n };
const layers = ["/store/layers/a", "/store/layers/b"] as AbsPath[];
/** A bundle with all its parts, and its reference. */
function bundle(key: string, more: Partial<Reference> = {}): { readonly path: AbsPath; readonly reference: AbsPath } {
  const path = join(store, key) as AbsPath;
  for (const part of ["rootfs", "overlay/upper/etc", "overlay/work"]) mkdirSync(join(path, part), { recursive: true });
  writeFileSync(join(path, "config.json"), "{}");
  const reference = referencePath(store, key);
  writeReference(reference, { bundle: path, layers, by: dead, ...more });
  return { path, reference };
}
const container = { root: "/run/tsrun" as AbsPath, id: "web" };
const none = () => false;

test("what is written is read again, start times to the last digit", () => {
  const by = { pid: 7, startTime: 2n ** 60n + 1n };
  const { path, reference } = bundle("a", { by, container });
  expect(readReference(reference)).toEqual({ bundle: path, layers, by, container });
  expect(referencedLayers(store)).toEqual(new Set(layers));
});

test("a store without bundles has none", () => {
  expect([listReferences(store), collectBundles(store, none)]).toEqual([[], []]);
});

test("a bundle of the caller's that is whole is not collected, whatever of it is missing", () => {
  const { path, reference } = bundle("a", { whole: true });
  rmSync(join(path, "config.json"));
  expect(collectBundles(store, none)).toEqual([]);
  expect(existsSync(join(path, "overlay/upper/etc"))).toBe(true);
  rmSync(path, { recursive: true });
  expect(collectBundles(store, none)).toHaveLength(1);
  expect(existsSync(reference)).toBe(false);
});

test("what a writer of a reference that was killed has left goes", () => {
  bundle("a", { by: ownIdentity() });
  const own = ownIdentity();
  const names = [`${dead.pid}-${dead.startTime}.json.new`, `${own.pid}-${own.startTime}.json.new`];
  for (const name of names) writeFileSync(join(store, "bundles", name), "{");
  expect(collectBundles(store, none)).toEqual([]);
  expect(readdirSync(join(store, "bundles")).sort()).toEqual(["a.json", names[1]].sort());
});

test("a bundle of the caller's in the making stays as long as its config.json is there, which comes last", () => {
  const { path, reference } = bundle("a");
  expect(collectBundles(store, none)).toEqual([]);
  rmSync(join(path, "config.json"));
  expect(collectBundles(store, none)).toEqual([`${path}: removed a bundle that no container needs`]);
  expect([existsSync(path), existsSync(reference)]).toEqual([false, false]);
});

test("a bundle of a container stays as long as that has it, or its maker lives", () => {
  const { path } = bundle("a", { container });
  expect(collectBundles(store, (each, of) => each.id === "web" && of === path)).toEqual([]);
  const living = bundle("b", { container, by: ownIdentity() });
  expect(collectBundles(store, none)).toHaveLength(1);
  expect([existsSync(path), existsSync(living.path)]).toEqual([false, true]);
});

test("removing takes what tsrun has made, and leaves what somebody else has put there", () => {
  const { path, reference } = bundle("a");
  writeFileSync(join(path, "notes"), "mine");
  removeReferenced(reference);
  expect([readdirSync(path), existsSync(reference)]).toEqual([["notes"], false]);
  // Once more: nothing to remove.
  removeReferenced(reference);
});

test("a bundle of which only the reference came to be, or that is gone, is none to remove", () => {
  writeReference(referencePath(store, "a"), { bundle: join(store, "a") as AbsPath, layers, by: dead });
  expect(collectBundles(store, none)).toHaveLength(1);
  expect(listReferences(store)).toEqual([]);
});

test("a damaged reference is an error, so that its layers are not taken for unused", () => {
  for (const text of [
    "",
    "{",
    "null",
    '{"format":2}',
    '{"format":1}',
    '{"format":1,"by":{"pid":"x","startTime":"1"}}',
  ]) {
    const { reference } = bundle("a");
    writeFileSync(reference, text);
    expect(() => referencedLayers(store)).toThrow(/a\.json is damaged/);
    rmSync(reference);
  }
});
