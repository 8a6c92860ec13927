/**
 * npm run coverage [--check]: writes docs/spec-coverage.md: every property of config.json with the steps that apply it, the
 * kernel it needs and its tests. Fails when a property has neither a step nor a reason (notes.ts), or a reason and a step.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import type { Bundle, Place } from "../../conformance-tests/compare/bundle.ts";
import { bundles } from "../../conformance-tests/compare/bundles.ts";
import type { Config } from "../../spec-schemas/config.ts";
import { configSchema } from "../../spec-schemas/config.ts";
import { capabilityNames } from "../../src/compile/capabilities.ts";
import { mountOptionNames } from "../../src/compile/mount-options.ts";
import { rlimitNumbers } from "../../src/compile/rlimits.ts";
import { defaultConfig } from "../../src/lifecycle/spec-template.ts";
import { examples } from "./examples.ts";
import { elsewhere, kernels } from "./notes.ts";
import { stepsOf } from "./plans.ts";
import { type Property, propertiesOf, valuesAt } from "./schema.ts";

const project = resolve(__dirname, "../..");
const output = join(project, "docs/spec-coverage.md");

/** The same on every host: nothing is looked up. */
const place: Place = {
  bundle: "/bundle",
  rootfs: "/bundle/rootfs",
  work: "/work",
  id: "web",
  sandboxPid: 7,
  profile: () => ({
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: ["SCMP_ARCH_X86_64"],
    syscalls: [
      { names: ["read"], action: "SCMP_ACT_ALLOW" },
      { names: ["socket"], action: "SCMP_ACT_ERRNO", errnoRet: 22, args: [{ index: 0, value: 16, op: "SCMP_CMP_EQ" }] },
    ],
  }),
};

function spec(): Config {
  const config = structuredClone(defaultConfig({ rootless: false, unifiedCgroups: false })) as Config & {
    process: { terminal?: boolean };
  };
  config.process.terminal = false;
  config.linux = { ...config.linux, cgroupsPath: "/tsrun-test/web" };
  return config;
}

function configOf(bundle: Bundle): Config {
  const config = spec();
  bundle.edit(config, place);
  return config;
}

/** Fewer show the same: a property of every bundle is compiled in some of them. */
const ENOUGH = 8;

const compared = bundles
  .filter((bundle) => bundle.refused !== true)
  .map((bundle) => ({ name: bundle.name, config: configOf(bundle) }));
const more = examples.map((edit) => {
  const config = spec();
  edit(config);
  return config;
});

/** Test files and their text. */
const tests = testFiles(project).map((path) => ({ name: basename(path), text: readFileSync(path, "utf8") }));

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory())
        return ["node_modules", "build", "dist", ".git", "compare", "vm"].includes(entry.name) ? [] : testFiles(path);
      return entry.name.endsWith(".test.ts") ? [path] : [];
    })
    .sort();
}

/** How many properties end in a name. Of a name of several, and of a common word, the one above has to be there too. */
const names = new Map<string, number>();
const nameOf = (pattern: string): string =>
  pattern
    .split("/")
    .filter((name) => name !== "*")
    .at(-1) ?? "";
const aboveOf = (pattern: string): string =>
  pattern
    .split("/")
    .filter((name) => name !== "*")
    .at(-2) ?? "";

/** Test files that write the property into a configuration. */
function testsOf(pattern: string): string[] {
  const [name, above] = [nameOf(pattern), aboveOf(pattern)];
  const written = (word: string): string => `(?:\\.${word}\\b|["']?\\b${word}["']?\\s*[:(])`;
  const wanted =
    (names.get(name) ?? 0) === 1 && name.length > 8
      ? new RegExp(written(name))
      : new RegExp(`${written(above)}[^;]{0,400}?${written(name)}|\\.${above}\\??\\.${name}\\b`);
  return tests.filter(({ text }) => wanted.test(text)).map((each) => each.name);
}

interface Row {
  readonly pattern: string;
  readonly steps: string;
  readonly kernel: string;
  readonly compared: string;
  readonly tests: string;
}

const problems: string[] = [];

function rowOf(property: Property): Row {
  const { pattern } = property;
  const having = compared.filter(({ config }) => valuesAt(config, pattern).length > 0);
  const configs = [
    ...having.map(({ config }) => config),
    ...more.filter((config) => valuesAt(config, pattern).length > 0),
  ];
  const kinds = stepsOf(property, spread(configs, ENOUGH));
  const reason = elsewhere[pattern];
  if (configs.length === 0 && reason === undefined) problems.push(`${pattern}: in no bundle and no example`);
  else if (kinds.size === 0 && reason === undefined) problems.push(`${pattern}: no step, and no reason in notes.ts`);
  if (kinds.size > 0 && reason !== undefined) problems.push(`${pattern}: has steps, and a reason for none: ${reason}`);
  const steps = [...kinds].sort().map((kind) => `\`${kind}\``);
  return {
    pattern: `\`${pattern}\``,
    steps: reason ?? steps.join(" "),
    kernel: kernels.find(([of]) => of.test(pattern))?.[1] ?? "",
    compared: having.length > compared.length * 0.8 ? "all" : shorten(having.map(({ name }) => name)),
    tests: shorten(testsOf(pattern).map((name) => name.replace(/\.test\.ts$/, ""))),
  };
}

/** Some of a list, from all over it. */
function spread<T>(all: readonly T[], some: number): T[] {
  if (all.length <= some) return [...all];
  return Array.from({ length: some }, (_, i) => all[Math.floor((i * all.length) / some)] as T);
}

const shorten = (all: readonly string[]): string =>
  all.length <= 5 ? all.join(", ") : `${all.slice(0, 4).join(", ")} and ${all.length - 4} more`;

/** Of the values that a property can have: those in a bundle, and those in none. */
function valuesRow(pattern: string, all: readonly string[]): string {
  const used = new Set(compared.flatMap(({ config }) => valuesAt(config, pattern).flat()).map(String));
  const missing = all.filter((value) => !used.has(value));
  const list = (some: readonly string[]): string => some.map((value) => `\`${value}\``).join(" ");
  return `| \`${pattern}\` | ${list(all.filter((value) => used.has(value)))} | ${list(missing)} |`;
}

function render(): string {
  const properties = propertiesOf(configSchema);
  for (const { pattern } of properties) names.set(nameOf(pattern), (names.get(nameOf(pattern)) ?? 0) + 1);
  const rows = properties.map(rowOf);
  const missing = rows.filter(({ compared, tests }) => compared === "" && tests === "").length;
  const table = rows.map((row) => `| ${row.pattern} | ${row.steps} | ${row.kernel} | ${row.compared} | ${row.tests} |`);
  const lists = [
    ["/mounts/*/options", mountOptionNames],
    ["/process/rlimits/*/type", Object.keys(rlimitNumbers)],
    ["/process/capabilities/bounding", capabilityNames],
  ] as const;
  return `# What of runtime-spec v1.3.0 there is

Made by \`npm run coverage\`; do not edit. ${rows.length} properties of config.json for Linux, ${missing} of them in no test.

- **steps**: kinds of step that differ between the plans of a configuration with the property and without it (docs/plan-format.md)
- **needs**: beyond Linux 5.10
- **compared**: bundles of conformance-tests/compare in which runc and crun show the same, or a difference with a reason
- **tests**: other test files that set it

| property | steps | needs | compared | tests |
| --- | --- | --- | --- | --- |
${table.join("\n")}

## Values

Of properties with a list of values: those in a compared bundle, and those in none.

| property | compared | not compared |
| --- | --- | --- |
${properties.flatMap(({ pattern, values }) => (values === undefined ? [] : [valuesRow(pattern, values)])).join("\n")}
${lists.map(([pattern, values]) => valuesRow(pattern, values)).join("\n")}
`;
}

const text = render();
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exitCode = 1;
} else if (process.argv.includes("--check")) {
  if (readFileSync(output, "utf8") !== text) {
    console.error(`${relative(project, output)} is stale: run npm run coverage`);
    process.exitCode = 1;
  }
} else writeFileSync(output, text);
