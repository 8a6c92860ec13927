import { describe, expect, test } from "@jest/globals";
import { matches, readBlocks } from "./transcript.ts";

describe("console sessions in markdown", () => {
  test("commands with further lines and what they print", () => {
    const text =
      "# Title\n```console v1\n$ cat <<END\n> a\n> END\na\n$ true\n```\ntext\n## Next\n```console\n$ x\n> not a line of it\n```";
    expect(readBlocks(text.replace("> not a line of it", "out\n> printed"))).toEqual([
      {
        heading: "Title",
        host: "v1",
        line: 2,
        commands: [
          { text: "cat <<END\na\nEND", expected: ["a"], line: 3 },
          { text: "true", expected: [], line: 7 },
        ],
      },
      {
        heading: "Next",
        host: undefined,
        line: 11,
        commands: [{ text: "x", expected: ["out", "> printed"], line: 12 }],
      },
    ]);
  });

  test.each(["```sh\n$ x\n```", "```console\n```", "```console\nx\n```", "```console\n$ x", "```console v3\n$ x\n```"])(
    "%j would be passed over, so it is an error",
    (text) => expect(() => readBlocks(text)).toThrow(/^line \d/),
  );

  test("… is for anything within a line, or for any lines", () => {
    expect(matches(["a … c", "(d)"], "a b c\n(d)\n")).toBe(true);
    expect(matches(["a … c"], "a b\n c\n")).toBe(false);
    expect(matches(["a", "…", "b"], "a\nb\n")).toBe(true);
    expect(matches(["a", "…", "b"], "a\nx\ny\nb")).toBe(true);
    expect(matches(["a"], "a\nb\n")).toBe(false);
    expect(matches(["a"], "xa\n")).toBe(false);
    expect(matches([], "")).toBe(true);
    expect(matches([], "x\n")).toBe(false);
  });
});
