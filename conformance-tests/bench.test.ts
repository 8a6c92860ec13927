/** `npm run bench`: each suite measures something, and leaves nothing. How long anything takes is no matter of this test. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Report } from "../scripts/bench/report.ts";
import { findProgram } from "./runtimes.ts";

const root = resolve(__dirname, "..");
const program = [join(root, "scripts/ts.cjs"), join(root, "scripts/bench/main.ts")];
const missing = ["cc", "unshare", "setpriv"].filter((name) => findProgram(name) === undefined);
if (missing.length > 0) console.warn(`skipped: not installed here: ${missing.join(", ")}`);
const where = missing.length > 0 ? describe.skip : describe;

/** What it did say when it was not good: noise and budgets are judged, and no matter here. */
const JUDGED = 3;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync("/tmp/tsrun-bench-test-");
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (args: readonly string[]) =>
  spawnSync(process.execPath, [...program, ...args], { encoding: "utf8", env: { ...process.env, TMPDIR: folder } });

/** Its folders: each is removed when its suite has ended. */
const left = (): readonly string[] => readdirSync(folder).filter((name) => name.startsWith("tsrun-bench-"));

where("bench", () => {
  test.each(["cli", "floor", "memory", "concurrent", "scale", "startup"])(
    "%s has samples in every row, a table and charts",
    (suite) => {
      const json = join(folder, `${suite}.json`);
      const charts = join(folder, suite);
      const { status, stdout, stderr } = run(["--suite", suite, "--quick", "--json", json, "--svg", charts]);
      expect([0, JUDGED, `${status}: ${stderr}`]).toContain(status);
      const reports: readonly Report[] = JSON.parse(readFileSync(json, "utf8"));
      expect(reports.length).toBeGreaterThan(0);
      for (const { sections } of reports) {
        expect(sections.length).toBeGreaterThan(0);
        for (const { title, rows } of sections) {
          expect(stdout).toContain(title);
          expect(rows.length).toBeGreaterThan(0);
          const samples = rows.flatMap((row) => Object.values(row.samples).flat());
          expect(samples.filter((sample) => !Number.isFinite(sample))).toEqual([]);
          for (const row of rows) expect(Object.values(row.samples).flat().length).toBeGreaterThan(0);
        }
      }
      expect(readdirSync(charts).length).toBeGreaterThan(0);
      expect(left()).toEqual([]);
    },
    120_000,
  );

  test("what is missing is named; a wrong option too", () => {
    const none = run(["--runtimes", "no-such-runtime", "--quick"]);
    expect([none.status, none.stderr]).toEqual([2, expect.stringContaining("no-such-runtime")]);
    const wrong = run(["--suite", "no-such-suite"]);
    expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining("containerd")]);
    expect(run(["--runs", "many"]).status).toBe(2);
    expect(run(["--no-such-option"]).status).toBe(2);
  });

  test("interrupted in the middle it leaves no file, process or cgroup", async () => {
    const child = spawn(process.execPath, [...program, "--suite", "scale", "--runs", "1000"], {
      stdio: "ignore",
      env: { ...process.env, TMPDIR: folder },
    });
    const ended = new Promise<number | null>((done) => child.once("close", done));
    // It makes its first container in here.
    while (!left().some((name) => readdirSync(join(folder, name)).some((entry) => entry.startsWith("state-")))) {
      if (child.exitCode !== null) throw new Error(`it has ended with ${child.exitCode}`);
      await new Promise((done) => setTimeout(done, 20));
    }
    const [work = ""] = left();
    child.kill("SIGINT");
    expect(await ended).toBe(1);
    expect(left()).toEqual([]);
    expect(mentioning(join(folder, work))).toEqual([]);
  });
});

/** Processes whose command line names a path. */
function mentioning(path: string): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return command.includes(path) ? [command] : [];
      } catch (error) {
        if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
        throw error;
      }
    });
}
