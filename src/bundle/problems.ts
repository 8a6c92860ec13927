import { didYouMean } from "../core/did-you-mean.ts";
import { TsrunError } from "../core/errors.ts";
import { printable } from "../core/printable.ts";
import { type Position, pointerOf, positionsOf } from "./json.ts";

/** Something wrong with a configuration. A warning does not stop anything. */
export interface Problem {
  /** JSON pointer of the value, "" for the whole file. */
  readonly pointer: string;
  readonly found: string;
  readonly wanted: string;
  readonly suggestion?: string;
  readonly severity: "error" | "warning";
}

export interface LocatedProblem extends Problem, Position {}

/** The part of a zod issue that is used here. */
interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly expected?: unknown;
  readonly values?: readonly unknown[];
  readonly pattern?: string | undefined;
  readonly minimum?: number | bigint;
  readonly maximum?: number | bigint;
  readonly origin?: string;
}

/** A value as a message shows it: short, on one line. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "bigint") return String(value);
  // JSON.parse's for what is larger than any number, such as 1e400.
  if (typeof value === "number" && !Number.isFinite(value)) return "a number that is too large";
  const shown =
    JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? String(inner) : inner)) ?? String(value);
  return shown.length > 60 ? `${shown.slice(0, 57)}…` : shown;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const segment of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, segment)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[segment];
  }
  return value;
}

/** A schema's issue in our words: what was found, what is wanted. */
export function problemOfIssue(issue: Issue, root: unknown): Problem {
  const value = valueAt(root, issue.path);
  const pointer = pointerOf(issue.path.map((segment) => (typeof segment === "symbol" ? String(segment) : segment)));
  const base = { pointer, found: show(value), severity: "error" as const };
  switch (issue.code) {
    case "invalid_value": {
      const words = (issue.values ?? []).map(String);
      const suggestion = typeof value === "string" ? didYouMean(value, words) : undefined;
      return { ...base, wanted: `one of ${words.join(", ")}`, ...(suggestion !== undefined && { suggestion }) };
    }
    case "invalid_type":
      return { ...base, wanted: wantedType(String(issue.expected), value) };
    case "too_small":
      return {
        ...base,
        wanted: issue.origin === "array" ? `at least ${issue.minimum} element` : `at least ${issue.minimum}`,
      };
    case "too_big":
      return { ...base, wanted: `at most ${issue.maximum}` };
    default:
      return { ...base, wanted: issue.message };
  }
}

function wantedType(expected: string, value: unknown): string {
  // What a number cannot hold exactly comes as a bigint.
  const large = typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value));
  if (large && (expected === "number" || expected === "int")) return "a smaller number";
  if (expected === "int") return "an integer";
  return `${/^[aeiou]/.test(expected) ? "an" : "a"} ${expected}`;
}

/** Finds line and column of each problem; the nearest holder's where the value itself is missing. */
export function locate(text: string, problems: readonly Problem[]): LocatedProblem[] {
  if (problems.length === 0) return [];
  const positions = positionsOf(text);
  return problems.map((problem) => {
    let pointer = problem.pointer;
    while (!positions.has(pointer) && pointer !== "") pointer = pointer.slice(0, pointer.lastIndexOf("/"));
    const position = positions.get(pointer) ?? { line: 1, column: 1 };
    return { ...problem, ...position };
  });
}

/** One line a problem: `config.json:12:7: /process/cwd: found "x", wanted an absolute path (did you mean "/x"?)`. */
export function formatProblems(file: string, problems: readonly LocatedProblem[]): string {
  return problems
    .map((problem) => {
      const hint = problem.suggestion === undefined ? "" : ` (did you mean ${JSON.stringify(problem.suggestion)}?)`;
      const warning = problem.severity === "warning" ? "warning: " : "";
      const pointer = problem.pointer === "" ? "" : `${printable(problem.pointer)}: `;
      return `${file}:${problem.line}:${problem.column}: ${warning}${pointer}found ${problem.found}, wanted ${problem.wanted}${hint}`;
    })
    .join("\n");
}

/** The error that carries all problems of a configuration at once. */
export function configError(file: string, problems: readonly LocatedProblem[]): TsrunError {
  const errors = problems.filter((problem) => problem.severity === "error");
  return new TsrunError("config", `invalid configuration\n${formatProblems(file, errors)}`);
}
