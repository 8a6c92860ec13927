import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { TsrunError } from "../core/errors.ts";
import { errorsIn, findCriu, lastErrors, withLog, writeConfig } from "./criu.ts";

let top: string;
const { PATH: path } = process.env;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "tsrun-criu-"));
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(top, { recursive: true });
});

/** A program of that name which says this, and runs before any that is installed. */
function install(output: string): string {
  const program = join(top, "criu");
  writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' ${JSON.stringify(output)} $LD_PRELOAD\n`);
  chmodSync(program, 0o755);
  process.env.PATH = top;
  return program;
}

describe("the program", () => {
  test("is found in PATH, with what configures it", () => {
    const program = install("Version: 3.16");
    expect(findCriu("restore web", undefined)).toEqual({ program, configFile: "/etc/criu/runc.conf" });
    expect(findCriu("restore web", { "org.criu.config": "/c" }).configFile).toBe("/c");
    expect(findCriu("restore web", { "org.criu.config": "" }).configFile).toBeUndefined();
    install("Version: 4.1.1\nGitID: v4.1.1");
    expect(findCriu("restore web", undefined).program).toBe(program);
  });

  test.each([
    ["Version: 3.15", "CRIU 3.15, which is too old"],
    ["Version: 2.20", "too old"],
    ["something", "does not say a version"],
  ])("that says %j is refused, with what to install", (output, words) => {
    install(output);
    expect(() => findCriu("checkpoint web", undefined)).toThrow(
      expect.objectContaining({
        code: "unsupported",
        message: expect.stringMatching(new RegExp(`^checkpoint web: .*${words}`)),
        advice: expect.stringContaining("install the package criu"),
      }),
    );
  });
});

describe("its log", () => {
  const log = [
    "(00.000001) Version: 4.1",
    "(00.1) Error (criu/first.c:1): first",
    "(00.2) Error (criu/files-reg.c:1824): Can't lookup mount=23 for fd=0 path=/dev/null",
    "(00.3) Warn  (criu/x.c:1): Error in words only",
    "(00.4) Error (criu/cgroup.c:1): cg: cgroupd: recv req error: No such file or directory",
    "(00.5) Error (criu/cr-dump.c:2111): Dumping FAILED.",
  ].join("\n");

  test("says why: the last error but what follows from every one", () => {
    expect(errorsIn(log)).toBe("Can't lookup mount=23 for fd=0 path=/dev/null");
    expect(errorsIn("(00.4) Error (criu/cr-dump.c:2111): Dumping FAILED.")).toBe("Dumping FAILED.");
    expect(errorsIn("nothing")).toBeUndefined();
    expect(errorsIn(`Error (a.c:1): ${"x".repeat(5000)}`)).toHaveLength(400);
  });

  test("is read from its end, through no link", () => {
    const file = join(top, "dump.log");
    expect(lastErrors(file)).toBeUndefined();
    writeFileSync(file, `${"x\n".repeat(100_000)}${log}`);
    expect(lastErrors(file)).toMatch(/^Can't lookup/);
    symlinkSync(file, join(top, "link"));
    expect(() => lastErrors(join(top, "link"))).toThrow("ELOOP");
  });

  test("is part of the message of a failed step, and of no other", () => {
    writeFileSync(join(top, "dump.log"), log);
    const failed = withLog(new TsrunError("step", "checkpoint web: CRIU failed"), top, "dump.log", "/kept/dump.log");
    expect(failed).toMatchObject({
      message: "checkpoint web: CRIU failed: Can't lookup mount=23 for fd=0 path=/dev/null",
      advice: "CRIU's log: /kept/dump.log",
    });
    const other = new TsrunError("usage", "x");
    expect(withLog(other, top, "dump.log", "")).toBe(other);
  });
});

test("its configuration names the work directory, and then what the administrator wants", () => {
  const config = join(top, "runc.conf");
  writeFileSync(config, "tcp-established\n");
  expect(readFileSync(writeConfig(top, config), "utf8")).toBe(`work-dir "${top}"\ntcp-established\n`);
  rmSync(join(top, "criu.conf"));
  expect(readFileSync(writeConfig(top, join(top, "none")), "utf8")).toBe(`work-dir "${top}"\n`);
  expect(existsSync(join(top, "none"))).toBe(false);
});
