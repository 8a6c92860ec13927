import { describe, expect, test } from "@jest/globals";
import { type OptionTable, parse } from "./options.ts";

const table = {
  bundle: { type: "text", alias: "b", describe: "" },
  env: { type: "texts", alias: "e", describe: "" },
  "no-pivot": { type: "flag", describe: "" },
  pivot: { type: "flag", describe: "" },
  tty: { type: "flag", alias: "t", describe: "" },
  detach: { type: "flag", alias: "d", describe: "" },
  "preserve-fds": { type: "count", describe: "" },
} as const satisfies OptionTable;

describe("arguments arrive as they were written", () => {
  test("ids that look like numbers stay texts", () => {
    for (const id of ["123", "0x10", "1e3", "007", "1.0", "-"]) {
      expect(parse([id], table, false).positionals).toEqual([id]);
      expect(parse(["--bundle", id], table, false).options.bundle).toBe(id);
    }
  });

  test("--no-x is an option of that name, not the negation of x", () => {
    const { options } = parse(["--no-pivot"], table, false);
    expect(options["no-pivot"]).toBe(true);
    expect(options.pivot).toBe(false);
    expect(parse(["--no-pivot=false"], table, false).options["no-pivot"]).toBe(false);
  });

  test("short options join, values follow by space or =", () => {
    const { options } = parse(["-td", "-b", "/x y", "-e", "A=1", "--env=B=2=3", "-e", ""], table, false);
    expect(options).toMatchObject({ tty: true, detach: true, bundle: "/x y", env: ["A=1", "B=2=3", ""] });
  });

  test("a repeated single option: the last one counts", () => {
    expect(parse(["-b", "one", "--bundle", "two"], table, false).options.bundle).toBe("two");
  });

  test("a list option takes one value a time and leaves the arguments alone", () => {
    expect(parse(["-e", "A=1", "web", "ls"], table, true)).toMatchObject({
      options: { env: ["A=1"] },
      positionals: ["web", "ls"],
    });
  });

  test("behind the first argument everything belongs to the program", () => {
    const { positionals, options } = parse(["-t", "web", "ls", "-l", "--env", "--", "-d"], table, true);
    expect(positionals).toEqual(["web", "ls", "-l", "--env", "--", "-d"]);
    expect(options).toMatchObject({ tty: true, detach: false, env: [] });
  });

  test("options may also follow the argument where no program does", () => {
    expect(parse(["web", "-d"], table, false)).toMatchObject({ options: { detach: true }, positionals: ["web"] });
  });

  test.each([
    [["--frobnicate"], "unknown option --frobnicate"],
    [["-x"], "unknown option -x"],
    [["--bundle"], "bundle"],
    [["--preserve-fds", "x"], "--preserve-fds"],
    [["--preserve-fds", "-1"], "--preserve-fds"],
    [["--preserve-fds", "4294967296"], "--preserve-fds"],
    [["--a.b", "1"], "unknown option --a.b"],
  ])("%j is refused by name", (args, message) => {
    expect(() => parse(args, table, false)).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringContaining(message) }),
    );
  });
});
