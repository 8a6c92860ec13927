/**
 * node scripts/ts.cjs conformance-tests/table.ts [--reuse]
 *
 * Runs the suites with tsrun, runc and crun and writes what they gave into README.md. --reuse takes results of an earlier call
 * from build/conformance where they are.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { expectations } from "./oci/expected.ts";
import type { CaseResult, SuiteResult } from "./outcome.ts";

const results = resolve(__dirname, "../build/conformance");
const readme = join(__dirname, "README.md");
const suites = ["oci", "containerd", "podman", "docker"];
const runtimes = [resolve(__dirname, "../bin/tsrun"), "runc", "crun"];
const BEGIN = "<!-- begin of what npm run conformance:table writes -->";
const END = "<!-- end of what npm run conformance:table writes -->";

const { values } = parseArgs({ options: { reuse: { type: "boolean", default: false } } });
mkdirSync(results, { recursive: true });
const all = suites.map((suite) => runtimes.map((runtime) => resultOf(suite, runtime)));
const [before, rest] = readFileSync(readme, "utf8").split(BEGIN) as [string, string];
const after = rest.split(END)[1] ?? "";
writeFileSync(readme, `${before}${BEGIN}\n\n${render(all)}\n${END}${after}`);

function resultOf(suite: string, runtime: string): SuiteResult {
  const file = join(results, `${suite}-${runtime.split("/").at(-1)}.json`);
  if (!values.reuse || !existsSync(file)) {
    const main = [resolve(__dirname, "../scripts/ts.cjs"), join(__dirname, "main.ts")];
    const ended = spawnSync(process.execPath, [...main, suite, "--raw", "--runtime", runtime, "--json", file], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    // 1: cases failed, which the table tells.
    if (ended.status !== 0 && ended.status !== 1) throw new Error(`${suite} with ${runtime}: status ${ended.status}`);
  }
  const [result] = JSON.parse(readFileSync(file, "utf8")) as SuiteResult[];
  if (result === undefined) throw new Error(`${file} is empty`);
  return result;
}

function render(table: readonly (readonly SuiteResult[])[]): string {
  const names = (table[0] ?? []).map(({ runtime }) => `${runtime.name} ${runtime.version}`);
  const count = (result: SuiteResult, kind: string): number =>
    result.cases.filter(({ outcome }) => outcome.kind === kind).length;
  const sums = table.map((row) => {
    const cells = row.map(
      (result) => `${count(result, "passed")} / ${count(result, "failed")} / ${count(result, "skipped")}`,
    );
    return `| ${row[0]?.suite} | ${row[0]?.cases.length} | ${cells.join(" | ")} |`;
  });
  return `Linux ${release().split(/[^\d.]/)[0]}, ${process.arch}; passed / failed / skipped, without regard to what is expected:

| suite | cases | ${names.join(" | ")} |
| --- | --- | ${names.map(() => "---").join(" | ")} |
${sums.join("\n")}

What did not pass everywhere:

| suite | case | ${(table[0] ?? []).map(({ runtime }) => runtime.name).join(" | ")} | why not tsrun |
| --- | --- | ${names.map(() => "---").join(" | ")} | --- |
${table.flatMap(details).join("\n")}
`;
}

function details(row: readonly SuiteResult[]): string[] {
  const [own] = row;
  if (own === undefined) return [];
  return own.cases.flatMap((result) => {
    const outcomes = row.map(({ cases }) => cases.find(({ name }) => name === result.name)?.outcome.kind ?? "missing");
    if (outcomes.every((kind) => kind === "passed")) return [];
    return [`| ${own.suite} | ${result.name} | ${outcomes.join(" | ")} | ${why(own, result)} |`];
  });
}

function why({ suite, runtime }: SuiteResult, { name, outcome }: CaseResult): string {
  if (outcome.kind === "passed") return "";
  if (outcome.kind === "skipped") return outcome.reason;
  const known = suite === "oci" ? expectations[name]?.impossible(runtime) : undefined;
  return known ?? `**${outcome.detail.split("\n")[0]?.replaceAll("|", "\\|")}**`;
}
