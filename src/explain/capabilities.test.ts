import { expect, test } from "@jest/globals";
import { afterExec } from "./capabilities.ts";

const masks = { bounding: 0b0111n, permitted: 0b0011n, effective: 0b0001n, inheritable: 0b1000n, ambient: 0b0010n };

// What the kernel really does is in conformance-tests/runtime/explain.test.ts.
test("execve gives root the bounding and the inheritable set, unless no_new_privs holds it to what was permitted", () => {
  expect(afterExec(masks, 0, false)).toEqual({ ...masks, permitted: 0b1111n, effective: 0b1111n });
  expect(afterExec(masks, 0, true)).toEqual({ ...masks, permitted: 0b0011n, effective: 0b0011n });
});

test("execve leaves others what is ambient", () => {
  expect(afterExec(masks, 7, false)).toEqual({ ...masks, permitted: 0b0010n, effective: 0b0010n });
});
