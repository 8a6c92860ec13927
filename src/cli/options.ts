/**
 * Arguments, in two phases: the global options up to the command's name, then the command's own. yargs-parser does the
 * splitting, with everything off that guesses (numbers, negation, dots, camel case): ids like 123 and flags like
 * --no-pivot arrive as they were written. yargs itself is only loaded to print help.
 */
import parser from "yargs-parser";
import { didYouMean } from "../core/did-you-mean.ts";
import { TsrunError } from "../core/errors.ts";

export interface OptionSpec {
  /** `flag`: no value; `text`: one, the last counts; `texts`: repeatable; `count`: an integer from 0 on. */
  readonly type: "flag" | "text" | "texts" | "count";
  readonly alias?: string;
  readonly describe: string;
  /** The value where none is given. Others stand behind "=" only. */
  readonly bare?: string;
  /** For callers of runc or for tests; not in the help. */
  readonly hidden?: boolean;
}
export type OptionTable = Readonly<Record<string, OptionSpec>>;

type ValueOf<S extends OptionSpec> = S["type"] extends "flag"
  ? boolean
  : S["type"] extends "texts"
    ? readonly string[]
    : S["type"] extends "count"
      ? number | undefined
      : string | undefined;
export type Values<T extends OptionTable> = { readonly [K in keyof T]: ValueOf<T[K]> };

export interface Parsed<T extends OptionTable> {
  readonly options: Values<T>;
  readonly positionals: readonly string[];
}

/** Largest value of a `count` option. */
const MAX_COUNT = 0x7fff_ffff;

/** `halt`: what follows the first argument that is no option is left alone (it is another program's). Throws `usage`. */
export function parse<T extends OptionTable>(given: readonly string[], table: T, halt: boolean): Parsed<T> {
  const args = checked(given, table, halt);
  const of = (...types: OptionSpec["type"][]): string[] =>
    Object.keys(table).filter((name) => types.includes((table[name] as OptionSpec).type));
  const withValue = of("text", "texts", "count");
  const alias: Record<string, string> = {};
  for (const [name, spec] of Object.entries(table)) if (spec.alias !== undefined) alias[name] = spec.alias;
  const { argv, error } = parser.detailed([...args], {
    boolean: of("flag"),
    string: withValue,
    array: of("texts"),
    narg: Object.fromEntries(of("text", "count").map((name) => [name, 1])),
    alias,
    configuration: {
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "duplicate-arguments-array": true,
      "flatten-duplicate-arrays": true,
      "greedy-arrays": false,
      "halt-at-non-option": halt,
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "populate--": false,
      "strip-aliased": true,
    },
  });
  if (error !== null) throw new TsrunError("usage", error.message);
  const options: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(table)) options[name] = optionValue(name, spec, argv[name]);
  for (const name of Object.keys(argv)) {
    if (name !== "_" && !Object.hasOwn(table, name)) {
      const meant = didYouMean(
        name,
        Object.keys(table).filter((each) => table[each]?.hidden !== true),
      );
      throw new TsrunError("usage", `unknown option ${dashed(name)}`, {
        advice: meant === undefined ? "--help lists the options" : `did you mean --${meant}? --help lists the options`,
      });
    }
  }
  return { options: options as Values<T>, positionals: argv._.map(String) };
}

/** runc takes an empty value for none given, and its callers pass such. */
export const unlessEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text);

const dashed = (name: string): string => `${name.length === 1 ? "-" : "--"}${name}`;
const isHelp = (arg: string | undefined): boolean => arg === "--help" || arg === "-h";
/** By yargs-parser's rule: what begins with a hyphen is an option, but for numbers. */
const isValue = (arg: string | undefined): arg is string =>
  arg !== undefined && (!arg.startsWith("-") || arg === "-" || /^-(?:\d+(?:\.\d+)?|\.\d+)$/.test(arg));

/** Values of flags as Go's flag package takes them, which runc's callers write for. */
const booleans: Readonly<Record<string, boolean>> = Object.fromEntries([
  ...["1", "t", "T", "true", "TRUE", "True"].map((text) => [text, true]),
  ...["0", "f", "F", "false", "FALSE", "False"].map((text) => [text, false]),
]);

/**
 * What yargs-parser would take without a word: `--flag=true` becomes `--flag`, `--flag=false` nothing (any other value were false
 * for it), and an option that wants a value gets one, unless `--help` stands there. Throws `usage`.
 */
function checked(args: readonly string[], table: OptionTable, halt: boolean): string[] {
  const specOf = (option: string): [string, OptionSpec] | undefined =>
    Object.entries(table).find(([name, { alias }]) => name === option || alias === option);
  const plain: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    const [, hyphens, option = "", value] = /^(--?)([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (arg === "--" || (hyphens === undefined && halt)) return [...plain, ...args.slice(i)];
    // Of -qf VALUE, f wants the value.
    const [name, spec] = specOf(option) ?? (hyphens === "-" ? specOf(option.slice(-1)) : undefined) ?? [];
    if (name === undefined || spec === undefined || hyphens === undefined) plain.push(arg);
    else if (spec.type !== "flag") {
      if (value !== undefined) plain.push(arg);
      else if (spec.bare !== undefined) plain.push(`--${name}=${spec.bare}`);
      else if (isValue(args[i + 1])) plain.push(arg, args[++i] as string);
      else if (!isHelp(args[i + 1]) || !Object.hasOwn(table, "help")) {
        throw new TsrunError("usage", `--${name}: a value is missing`, {
          advice: `--${name}=VALUE, also for one that begins with a hyphen; --help lists the options`,
        });
      }
    } else if (value === undefined) plain.push(arg);
    else if (!Object.hasOwn(booleans, value)) {
      throw new TsrunError("usage", `--${name}: ${JSON.stringify(value)} is neither true nor false`);
    } else if (booleans[value]) plain.push(`--${name}`);
    else plain.push(...plain.splice(0).filter((each) => each !== `--${name}` && each !== `-${spec.alias}`));
  }
  return plain;
}

function optionValue(name: string, spec: OptionSpec, given: unknown): unknown {
  // Repeated: the last one counts.
  const value: unknown = spec.type !== "texts" && Array.isArray(given) ? given.at(-1) : given;
  switch (spec.type) {
    case "flag":
      if (value !== undefined && typeof value !== "boolean") throw new TsrunError("usage", `--${name} takes no value`);
      return value === true;
    case "text":
      return value === undefined ? undefined : String(value);
    case "texts":
      return value === undefined ? [] : (value as readonly unknown[]).map(String);
    case "count": {
      if (value === undefined) return undefined;
      const text = String(value);
      if (!/^\d{1,10}$/.test(text) || Number(text) > MAX_COUNT) {
        throw new TsrunError("usage", `--${name}: ${JSON.stringify(text)} is not a number from 0 to ${MAX_COUNT}`);
      }
      return Number(text);
    }
  }
}
