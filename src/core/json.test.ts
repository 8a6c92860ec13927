import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { encodeJson } from "./json.ts";

test("bigints keep every digit, texts that look like them stay texts", () => {
  expect(encodeJson({ max: 18_446_744_073_709_551_615n, low: -1n, text: "@5", more: ["@@5", 7] })).toBe(
    '{"max":18446744073709551615,"low":-1,"text":"@5","more":["@@5",7]}',
  );
  expect(encodeJson([1n], "  ")).toBe("[\n  1\n]");
});

test("without bigints it is JSON.stringify", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(encodeJson(value)).toBe(JSON.stringify(value));
    }),
  );
});
