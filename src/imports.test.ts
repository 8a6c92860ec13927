/**
 * Who may import whom: the table of docs/architecture.md as a test. An exception names its file and its reason, and fails
 * when it is no longer needed.
 */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "@jest/globals";

interface Rule {
  /** Folders whose values may be imported, beside the folder's own. */
  readonly values: readonly string[];
  /** Folders of which types may be imported, too. */
  readonly types?: readonly string[];
  /** Packages and Node's modules; `node:*` for all of Node's. */
  readonly packages: readonly string[];
}

const all = [
  "core",
  "spec-schemas",
  "bundle",
  "host",
  "plan",
  "compile",
  "explain",
  "native",
  "state",
  "image",
  "log",
  "lifecycle",
];
const rules: Readonly<Record<string, Rule>> = {
  "spec-schemas": { values: [], packages: ["zod/mini"] },
  core: { values: [], packages: ["node:*"] },
  bundle: { values: ["core", "spec-schemas"], packages: ["node:*"] },
  host: { values: ["core"], packages: ["node:*"] },
  plan: { values: ["core"], packages: ["node:crypto"] },
  // Pure. node:path works on text; nothing else of Node's is within reach.
  compile: { values: ["core", "plan"], types: ["bundle", "host", "spec-schemas"], packages: ["node:path"] },
  // Pure, too.
  explain: {
    values: ["core", "plan", "compile"],
    types: ["host", "spec-schemas"],
    packages: ["node:path", "node:crypto"],
  },
  native: { values: ["core", "plan"], packages: ["node:*"] },
  state: { values: ["core", "host", "spec-schemas"], packages: ["node:*"] },
  image: { values: ["core", "spec-schemas", "host", "native"], packages: ["node:*"] },
  log: { values: ["core"], packages: ["node:*", "pino"] },
  lifecycle: { values: all, packages: ["node:*"] },
  cli: { values: all, packages: ["node:*", "yargs", "yargs-parser"] },
};

/** `targets` are folders or packages. */
const exceptions: readonly { readonly file: string; readonly targets: readonly string[]; readonly why: string }[] = [
  { file: "src/host/facts-json.ts", targets: ["zod/mini"], why: "reads facts from a file, which may hold anything" },
];

const root = join(__dirname, "..");
const sources = ["src", "spec-schemas"]
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  )
  .filter((name) => name.endsWith(".ts") && !/\.(test|fixture)\.ts$/.test(name));
const textOf = (file: string): string => readFileSync(join(root, file), "utf8");
const folderOf = (file: string): string => {
  const [first, second] = file.split("/");
  return first === "src" ? (second as string) : (first as string);
};

interface Import {
  readonly from: string;
  /** A file of ours, relative to the root, or a package. */
  readonly to: string;
  readonly own: boolean;
  readonly typeOnly: boolean;
}

function importsOf(file: string, text: string): Import[] {
  const found: { specifier: string; typeOnly: boolean }[] = [];
  for (const [, clause = "", specifier = ""] of text.matchAll(/^(?:import|export)\b([^;"]*?)from\s+"([^"]+)"/gm)) {
    const names = /\{([^}]*)\}/.exec(clause)?.[1]?.split(",") ?? [];
    const onlyTypes = names.length > 0 && names.every((name) => name.trim() === "" || /^\s*type\s/.test(name));
    found.push({ specifier, typeOnly: /^\s*type\s/.test(clause) || onlyTypes });
  }
  for (const [, specifier = ""] of text.matchAll(/^import\s+"([^"]+)"/gm)) found.push({ specifier, typeOnly: false });
  for (const [, specifier = ""] of text.matchAll(/\b(?:import|require)\(\s*"([^"]+)"/g)) {
    found.push({ specifier, typeOnly: false });
  }
  return found.map(({ specifier, typeOnly }) => {
    const own = specifier.startsWith(".");
    return { from: file, to: own ? relative(root, join(root, dirname(file), specifier)) : specifier, own, typeOnly };
  });
}

function isAllowed({ from, to, own, typeOnly }: Import): boolean {
  const rule = rules[folderOf(from)];
  if (rule === undefined) return false;
  if (!own) return rule.packages.some((name) => name === to || (name === "node:*" && to.startsWith("node:")));
  const folder = folderOf(to);
  return folder === folderOf(from) || [...rule.values, ...(typeOnly ? (rule.types ?? []) : [])].includes(folder);
}

const imports = sources.flatMap((file) => importsOf(file, textOf(file)));

describe("the scan", () => {
  const scan = (text: string) => importsOf("src/compile/x.ts", text);
  test("sees every form of import", () => {
    expect(
      scan(`import a from "../core/a.ts";
import { b, type C } from "./b.ts";
import { type D, type E } from "../host/d.ts";
import type { F } from "../bundle/f.ts";
import * as g from "node:fs";
import "../h.ts";
import {
  type I,
  j,
} from "../plan/i.ts";
export { k } from "../native/k.ts";
const l = await import("../lifecycle/l.ts");`).map(({ to, typeOnly }) => `${to}${typeOnly ? " type" : ""}`),
    ).toEqual([
      "src/core/a.ts",
      "src/compile/b.ts",
      "src/host/d.ts type",
      "src/bundle/f.ts type",
      "node:fs",
      "src/plan/i.ts",
      "src/native/k.ts",
      "src/h.ts",
      "src/lifecycle/l.ts",
    ]);
  });
  test("refuses what the table does not have", () => {
    const allowed = (text: string) => scan(text).map(isAllowed);
    expect(allowed('import { a } from "../core/a.ts";\nimport type { b } from "../host/b.ts";')).toEqual([true, true]);
    expect(allowed('import { a } from "../host/a.ts";\nimport type { b } from "../native/b.ts";')).toEqual([
      false,
      false,
    ]);
    expect(allowed('import { readFileSync } from "node:fs";\nimport pino from "pino";')).toEqual([false, false]);
  });
});

test("every folder of src has a rule", () => {
  const folders = new Set(
    sources.filter((file) => file.split("/").length > 2 || !file.startsWith("src/")).map(folderOf),
  );
  expect([...folders].filter((folder) => rules[folder] === undefined)).toEqual([]);
  expect(imports.length).toBeGreaterThan(100);
});

const bad = imports.filter((each) => !isAllowed(each));
const targetOf = ({ to, own }: Import): string => (own ? folderOf(to) : to);

test("no import is against the table", () => {
  const unknown = bad
    .filter((each) => !exceptions.some(({ file, targets }) => file === each.from && targets.includes(targetOf(each))))
    .map(({ from, to, typeOnly }) => `${from} imports ${typeOnly ? "types of " : ""}${to}`);
  expect(unknown).toEqual([]);
});

test("no exception is left over", () => {
  const left = exceptions.flatMap(({ file, targets }) =>
    targets
      .filter((target) => !bad.some((each) => each.from === file && targetOf(each) === target))
      .map((target) => `${file}: ${target}`),
  );
  expect(left).toEqual([]);
});

test("there is no cycle of values", () => {
  const targets = new Map(sources.map((file) => [file, [] as string[]]));
  for (const { from, to, own, typeOnly } of imports) if (own && !typeOnly) targets.get(from)?.push(to);
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) cycles.push([...path.slice(at), file].join(" → "));
    if (at >= 0 || done.has(file)) return;
    for (const next of targets.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of sources) visit(file, []);
  expect(cycles).toEqual([]);
});

test("only src/native loads the addon", () => {
  const loaders = sources.filter((file) =>
    /\bdlopen\b|\.node["'`]/.test(textOf(file).replaceAll(/^\s*(?:\*|\/\/).*$/gm, "")),
  );
  expect(loaders.filter((file) => !["native", "core"].includes(folderOf(file)))).toEqual([]);
  expect(sources.filter((file) => /\bdlopen\b/.test(textOf(file)))).toEqual(["src/native/addon.ts"]);
});

test("only src/host reads /proc and /sys", () => {
  const readers = sources
    .filter((file) => folderOf(file) !== "host")
    .filter((file) => /from "node:fs(?:\/promises)?"/.test(textOf(file)))
    .filter((file) => /["'`]\/(?:proc|sys)\//.test(textOf(file)));
  expect(readers).toEqual([]);
});
