import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { makeDirectories } from "./directories.ts";

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "tsrun-directories-"));
});
afterAll(() => rmSync(work, { recursive: true }));

test("makes what is missing, with its mode, and says whether it did", () => {
  const path = join(work, "a/b");
  expect(makeDirectories(path, 0o700)).toBe(true);
  expect(makeDirectories(path, 0o700)).toBe(false);
  expect([path, join(work, "a")].map((each) => statSync(each).mode & 0o777)).toEqual([0o700, 0o700]);
});
test("takes a link to a directory for one", () => {
  symlinkSync(work, join(work, "link"));
  expect(makeDirectories(join(work, "link"))).toBe(false);
  expect(makeDirectories(join(work, "link/c"))).toBe(true);
  expect(existsSync(join(work, "c"))).toBe(true);
});
test("fails with mkdir's words, also where a new entry is ENOENT", () => {
  writeFileSync(join(work, "file"), "");
  expect(() => makeDirectories(join(work, "file"))).toThrow(/EEXIST/);
  expect(() => makeDirectories(join(work, "file/x"))).toThrow(/ENOTDIR|EEXIST/);
  expect(() => makeDirectories("/proc/tsrun/x")).toThrow(/ENOENT.*mkdir '\/proc\/tsrun'/);
});
