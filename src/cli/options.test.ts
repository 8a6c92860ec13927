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
    [["--tty=true"], true],
    [["--tty=1"], true],
    [["-t=T"], true],
    [["--tty=false"], false],
    [["-t", "--tty=0"], false],
    [["--tty=false", "--tty"], true],
  ])("%j: a flag takes Go's words for true and false", (args, tty) => {
    expect(parse(args, table, false).options.tty).toBe(tty);
  });

  test("only what is an option's is looked at for that", () => {
    expect(parse(["--", "--tty=maybe"], table, true).positionals).toEqual(["--tty=maybe"]);
    expect(parse(["--bundle=--tty=maybe"], table, true).options.bundle).toBe("--tty=maybe");
    expect(parse(["sh", "--tty=maybe"], table, true).positionals).toEqual(["sh", "--tty=maybe"]);
    expect(parse(["-te", "tty=maybe", "web", "--tty=0"], table, true)).toMatchObject({
      options: { tty: true, env: ["tty=maybe"] },
      positionals: ["web", "--tty=0"],
    });
  });

  test("an option whose value may be left out takes none but behind =, and none of the program's", () => {
    const bare = { rootless: { type: "text", bare: "true", describe: "" } } as const;
    const { options, positionals } = parse(["--rootless", "exec", "--rootless"], bare, true);
    expect([options.rootless, positionals]).toEqual(["true", ["exec", "--rootless"]]);
    expect(parse(["--rootless=auto"], bare, true).options.rootless).toBe("auto");
  });

  test("--help behind an option that wants a value asks for help", () => {
    const withHelp = { ...table, help: { type: "flag", alias: "h", describe: "" } } as const;
    expect(parse(["--bundle", "--help"], withHelp, false).options).toMatchObject({ help: true, bundle: undefined });
    expect(parse(["-b", "-h"], withHelp, true).options).toMatchObject({ help: true });
  });

  test("a name that was probably meant is suggested", () => {
    const advice = (name: string) => {
      try {
        return parse([name], table, false);
      } catch (error) {
        return (error as { advice?: string }).advice;
      }
    };
    expect(advice("--bundel")).toMatch(/^did you mean --bundle\?/);
    expect(advice("--frobnicate")).toBe("--help lists the options");
  });

  test.each([
    [["--tty=maybe"], '--tty: "maybe" is neither true nor false'],
    [["--bundle"], "--bundle: a value is missing"],
    [["--env"], "--env: a value is missing"],
    [["-e", "--tty"], "--env: a value is missing"],
    [["-e", "A=1", "-e", "-t", "web"], "--env: a value is missing"],
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
