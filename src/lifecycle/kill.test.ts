import { describe, expect, test } from "@jest/globals";
import { parseSignal } from "./kill.ts";

describe("signals", () => {
  test.each([
    ["9", 9],
    ["0", 0],
    ["KILL", 9],
    ["SIGKILL", 9],
    ["sigterm", 15],
    ["64", 64],
    ["RTMIN", 34],
    ["SIGRTMIN+3", 37],
    ["RTMAX-1", 63],
    ["SIGRTMAX", 64],
  ])("%s is %d", (text, number) => expect(parseSignal(text)).toBe(number));

  test.each(["", "65", "-9", "999", "SIG", "NOPE", "SIGSIGTERM", "RTMIN-1", "RTMAX+1", "9x", " 9"])(
    "%j is none",
    (text) => {
      expect(() => parseSignal(text)).toThrow(expect.objectContaining({ code: "usage" }));
    },
  );
});
