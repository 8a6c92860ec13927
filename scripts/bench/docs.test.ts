import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { insert } from "./docs.ts";
import { suites } from "./suites.ts";

const page = "before\n<!-- bench: cli -->\nold\n<!-- end of bench: cli -->\nafter\n";

test("replaces what is between the markers of a suite, and nothing else", () => {
  const once = insert(page, "cli", "new");
  expect(once).toBe("before\n<!-- bench: cli -->\nnew\n<!-- end of bench: cli -->\nafter\n");
  expect(insert(once, "cli", "new")).toBe(once);
});

test("refuses a page without the markers, or with more than one pair", () => {
  expect(() => insert(page, "scale", "new")).toThrow("<!-- bench: scale -->");
  expect(() => insert(page + page, "cli", "new")).toThrow("once");
  expect(() => insert(page.replace("end of", ""), "cli", "new")).toThrow("once");
});

test("docs/performance.md has a place for every suite", () => {
  const text = readFileSync(join(__dirname, "../../docs/performance.md"), "utf8");
  for (const name of [...Object.keys(suites), "legend"]) expect(insert(text, name, "")).not.toBe(text);
});
