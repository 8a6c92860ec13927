/**
 * Annotations about the container's unit: crun's and runc's `org.systemd.property.NAME`, whose value is written as
 * GVariant's text format has it (gvariant-text(7)), and crun's for cgroups below the scope.
 */
import { TsrunError } from "../core/errors.ts";
import type { DBusValue, Variant } from "../plan/dbus.ts";
import type { UnitProperty } from "./systemd-unit.ts";

export const PROPERTY_ANNOTATION_PREFIX = "org.systemd.property.";
/** The container gets a cgroup of this name below its scope, which is then its own; crun's. */
export const SUBGROUP_ANNOTATION = "run.oci.systemd.subgroup";
/** And its process one below that, which it manages as it likes. */
export const DELEGATE_ANNOTATION = "run.oci.delegate-cgroup";

type Annotations = Readonly<Record<string, string>>;

function bad(annotation: string, why: string): TsrunError {
  return new TsrunError("config", `/annotations/${annotation}: ${why}`);
}

/** Properties that say what tsrun decides: another value would take the container out of its cgroup. */
const decided = new Set(["PIDs", "PIDFDs", "Slice", "Delegate"]);

export function annotatedProperties(annotations: Annotations | undefined): UnitProperty[] {
  return Object.entries(annotations ?? {}).flatMap(([annotation, text]) => {
    if (!annotation.startsWith(PROPERTY_ANNOTATION_PREFIX)) return [];
    const name = annotation.slice(PROPERTY_ANNOTATION_PREFIX.length);
    if (!/^[A-Za-z]{3,64}$/.test(name)) throw bad(annotation, `${JSON.stringify(name)} is no name of a property`);
    if (decided.has(name)) throw bad(annotation, "that is for tsrun to say");
    return [inMicroseconds({ name, ...new Literal(annotation, text).whole() })];
  });
}

/** Times are `…Sec` in unit files and `…USec`, a number of microseconds, for D-Bus; as in runc both can be written. */
function inMicroseconds(property: UnitProperty): UnitProperty {
  const { name, value } = property;
  if (!/[a-z]Sec$/.test(name) || (typeof value !== "number" && typeof value !== "bigint")) return property;
  const microseconds = typeof value === "bigint" ? value * 1_000_000n : BigInt(Math.round(value * 1e6));
  return { name: name.replace(/Sec$/, "USec"), signature: "t", value: BigInt.asUintN(64, microseconds) };
}

const types: Readonly<Record<string, string>> = {
  boolean: "b",
  byte: "y",
  int16: "n",
  uint16: "q",
  int32: "i",
  uint32: "u",
  int64: "x",
  uint64: "t",
  double: "d",
  string: "s",
  objectpath: "o",
  signature: "g",
};

const ranges: Readonly<Record<string, readonly [lowest: bigint, highest: bigint]>> = {
  y: [0n, 0xffn],
  n: [-0x8000n, 0x7fffn],
  q: [0n, 0xffffn],
  i: [-0x8000_0000n, 0x7fff_ffffn],
  u: [0n, 0xffff_ffffn],
  x: [-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
  t: [0n, 0xffff_ffff_ffff_ffffn],
};

const MAX_ELEMENTS = 1024;

/** Of the text format: booleans, numbers, texts, and lists of these. */
class Literal {
  #rest: string;
  readonly #annotation: string;

  constructor(annotation: string, text: string) {
    this.#annotation = annotation;
    this.#rest = text.trim();
  }

  whole(): Variant {
    const value = this.#value(undefined);
    if (this.#rest !== "") throw this.#bad();
    return value;
  }

  #bad(): TsrunError {
    return new TsrunError(
      "config",
      `/annotations/${this.#annotation}: cannot be read from ${JSON.stringify(this.#rest.slice(0, 40))} on`,
      { advice: "such as true, 'text', uint64 5 or ['a', 'b'] (GVariant text format)" },
    );
  }

  #take(pattern: RegExp): string | undefined {
    const found = pattern.exec(this.#rest);
    if (found === null) return undefined;
    this.#rest = this.#rest.slice(found[0].length).trimStart();
    return found[1] ?? found[0];
  }

  /** `expected`: a signature that was written before it. */
  #value(expected: string | undefined): Variant {
    const signature = this.#take(/^@(a?[bynqiuxtdsog])\s/);
    if (signature !== undefined) return this.#value(signature);
    const word = this.#take(/^([a-z]+\d*)\s+(?=[^\s,\]])/);
    if (word !== undefined) {
      const type = types[word];
      if (type === undefined || (expected ?? type) !== type) throw this.#bad();
      return this.#value(type);
    }
    if (this.#rest.startsWith("[")) return this.#list(expected);
    return this.#basic(expected);
  }

  #list(expected: string | undefined): Variant {
    if (expected !== undefined && !expected.startsWith("a")) throw this.#bad();
    this.#take(/^\[/);
    let element = expected?.slice(1);
    const values: DBusValue[] = [];
    while (this.#take(/^\]/) === undefined) {
      if (values.length >= MAX_ELEMENTS || (values.length > 0 && this.#take(/^,/) === undefined)) throw this.#bad();
      const each = this.#value(element);
      if (each.signature !== (element ?? each.signature) || each.signature.startsWith("a")) throw this.#bad();
      element = each.signature;
      values.push(each.value);
    }
    if (element === undefined) {
      throw bad(this.#annotation, 'of what type is an empty list? Write "@as []"');
    }
    return { signature: `a${element}`, value: values };
  }

  #basic(expected: string | undefined): Variant {
    const quote = this.#rest[0];
    if (quote === "'" || quote === '"') return this.#text(quote, expected ?? "s");
    const word = this.#take(/^[-+.\w]+/) ?? "";
    if ((word === "true" || word === "false") && (expected ?? "b") === "b") {
      return { signature: "b", value: word === "true" };
    }
    const isInteger = /^[-+]?\d{1,20}$/.test(word);
    const type = expected ?? (isInteger ? "i" : "d");
    if (type === "d" && /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(word)) {
      return { signature: "d", value: Number(word) };
    }
    const range = ranges[type];
    if (!isInteger || range === undefined) {
      this.#rest = `${word}${this.#rest}`;
      throw this.#bad();
    }
    const value = BigInt(word.replace(/^\+/, ""));
    if (value < range[0] || value > range[1]) {
      throw bad(
        this.#annotation,
        `${word} is outside of ${range[0]} to ${range[1]}; is another type meant (uint64 5)?`,
      );
    }
    return { signature: type, value: type === "x" || type === "t" ? value : Number(value) };
  }

  #text(quote: string, type: string): Variant {
    const raw = this.#take(quote === "'" ? /^'((?:[^'\\]|\\.)*)'/s : /^"((?:[^"\\]|\\.)*)"/s);
    if (raw === undefined || !/^[sog]$/.test(type)) throw this.#bad();
    const value = raw.replace(/\\(.)/gs, (_, escaped: string) => {
      if (escaped === "n") return "\n";
      if (escaped === "t") return "\t";
      if (!/['"\\]/.test(escaped)) throw bad(this.#annotation, `\\${escaped} is not known`);
      return escaped;
    });
    if (value.includes("\0")) throw bad(this.#annotation, "text without NUL is wanted");
    return { signature: type, value };
  }
}

/** Names of the cgroups below the scope: none, the container's own, or also the one that its process starts in. */
export function subgroups(annotations: Annotations | undefined): readonly string[] {
  const [own = "", delegated = ""] = [SUBGROUP_ANNOTATION, DELEGATE_ANNOTATION].map((annotation) => {
    const name = annotations?.[annotation] ?? "";
    if (name.includes("/") || name.includes("\0") || name === "." || name === ".." || name.length > 255) {
      throw bad(annotation, `${JSON.stringify(name)} is no name of a cgroup`);
    }
    return name;
  });
  if (delegated !== "" && own === "") {
    throw bad(DELEGATE_ANNOTATION, `it is for a cgroup below the one of ${SUBGROUP_ANNOTATION}, which is not there`);
  }
  return [own, delegated].filter((name) => name !== "");
}
