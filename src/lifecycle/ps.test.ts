import { describe, expect, test } from "@jest/globals";
import { linesOf } from "./ps.ts";

describe("linesOf", () => {
  test("keeps the heading and the lines of the processes, whichever column the pid is in", () => {
    const table = "UID   PID  PPID CMD\nroot    7     1 sh -c 12\nroot   12     7 sleep 7\nroot  112     1 init\n";
    expect(linesOf(table, [12])).toEqual(["UID   PID  PPID CMD", "root   12     7 sleep 7"]);
    expect(linesOf("  PID\n   12\n", [12])).toEqual(["  PID", "   12"]);
    expect(linesOf(table, [])).toEqual(["UID   PID  PPID CMD"]);
  });

  test("counts the columns where numbers do not stand below their heading", () => {
    expect(linesOf("PID   USER     COMMAND\n   12 root     sleep 7\n  112 root     init\n", [12])).toEqual([
      "PID   USER     COMMAND",
      "   12 root     sleep 7",
    ]);
    expect(linesOf("USER PID CMD\nverylongname 12 x\nroot   7 12\n", [12])).toEqual([
      "USER PID CMD",
      "verylongname 12 x",
    ]);
  });

  test("looks below the heading when a column before it has blanks", () => {
    const table = "COMMAND                PID\nsleep 12                 7\nsleep 9                 12\n";
    expect(linesOf(table, [12])).toEqual(["COMMAND                PID", "sleep 9                 12"]);
  });

  test("PPID is no PID", () => {
    expect(() => linesOf("PPID CMD\n1 sh\n", [1])).toThrow(expect.objectContaining({ code: "usage" }));
  });
});
