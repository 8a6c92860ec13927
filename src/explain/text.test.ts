import { describe, expect, test } from "@jest/globals";
import { printable } from "../core/printable.ts";
import type { Explanation, Item } from "./item.ts";
import { explanationToJson, explanationToText } from "./text.ts";

const items: Item[] = [
  { section: "process", name: "uid", verdict: "ok", configured: "0", actual: "0" },
  { section: "process", name: "gid", verdict: "differs", configured: "0", actual: "5", note: "why" },
  { section: "cgroups", name: "pids.max", verdict: "unknown", configured: "4", note: "no permission" },
  {
    section: "mounts",
    name: `/${"long".repeat(10)}`,
    verdict: "info",
    actual: ["tmpfs", "x".repeat(40), "y".repeat(40)],
  },
];
const explanation: Explanation = { id: "web", status: "running", pid: 7, bundle: "/b", items };

describe("explain's text", () => {
  test("a word marks what differs; long values go on below", () => {
    expect(
      explanationToText(explanation, { colour: false }),
    ).toBe(`web: running, process 7, bundle /b: 1 thing is not as configured
process
  ok        uid                         0
  DIFFERS   gid                         5
                                        configured: 0
                                        (why)
mounts
  -         /longlonglonglonglonglonglonglonglonglong
                                        tmpfs xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                                        yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy
cgroups
  unknown   pids.max                    not looked at
                                        configured: 4
                                        (no permission)
`);
  });

  test("colours are on the mark only, and only when asked for", () => {
    const text = explanationToText(explanation, { colour: true });
    expect(text).toContain("\u001b[31m  DIFFERS   \u001b[0mgid");
    expect(text.replaceAll("\u001b[0m", "").replaceAll(/.\[3\dm/g, "")).toBe(
      explanationToText(explanation, { colour: false }),
    );
  });
});

test("what moves cursors, colours, turns or hides text is escaped, and JSON stays JSON", () => {
  expect(printable("a\u001b[2J\u009b\u202e\u200b\r\n\t\u2028ä€𝄞")).toBe(
    "a\\u001b[2J\\u009b\\u202e\\u200b\\u000d\\u000a\\u0009\\u2028ä€𝄞",
  );
  const bundle = '/b\u001b\u009b\u202e\n"\\';
  const json = explanationToJson({ ...explanation, bundle });
  expect(json).not.toMatch(/[^\n\x20-\x7e]/);
  expect(JSON.parse(json)).toMatchObject({ bundle, differences: 1 });
});
