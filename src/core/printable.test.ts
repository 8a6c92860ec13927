import { expect, test } from "@jest/globals";
import { printableLines } from "./printable.ts";

test("a message keeps its lines and tabs, and nothing else that is not to be read", () => {
  expect(printableLines("a\tb\n  c\u001b[2J\rd\u009b\u202e\ne\n")).toBe(
    "a\tb\n  c\\u001b[2J\\u000dd\\u009b\\u202e\ne\n",
  );
});
