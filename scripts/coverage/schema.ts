/** Walks the zod schema of config.json: every property that is a value, as a pattern of JSON pointers (`*` for any element). */
import type { z } from "zod/mini";

export interface Property {
  readonly pattern: string;
  /** What an enumeration allows. */
  readonly values: readonly string[] | undefined;
}

type Schema = z.core.$ZodType;

/** The parts of zod's definitions that are walked; another kind of schema in config.ts is an error here. */
type Def =
  | { readonly type: "object"; readonly shape: Readonly<Record<string, Schema>> }
  | { readonly type: "optional"; readonly innerType: Schema }
  | { readonly type: "array"; readonly element: Schema }
  | { readonly type: "record"; readonly valueType: Schema }
  | { readonly type: "enum"; readonly entries: Readonly<Record<string, string>> }
  | { readonly type: "string" | "number" | "int" | "bigint" | "boolean" | "union" | "unknown" };

export function propertiesOf(schema: Schema, pattern = ""): Property[] {
  const def = schema._zod.def as unknown as Def;
  switch (def.type) {
    case "object":
      return Object.entries(def.shape).flatMap(([name, inner]) => propertiesOf(inner, `${pattern}/${name}`));
    case "optional":
      return propertiesOf(def.innerType, pattern);
    case "array": {
      const elements = propertiesOf(def.element, `${pattern}/*`);
      // A list of texts is one property; a list of objects is theirs.
      return elements.length === 1 && elements[0]?.pattern === `${pattern}/*`
        ? [{ pattern, values: elements[0].values }]
        : elements;
    }
    case "record":
      return propertiesOf(def.valueType, `${pattern}/*`);
    case "enum":
      return [{ pattern, values: Object.values(def.entries) }];
    case "string":
    case "number":
    case "int":
    case "bigint":
    case "boolean":
    case "union":
    case "unknown":
      return [{ pattern, values: undefined }];
    default:
      throw new Error(`${pattern}: coverage does not know this kind of schema: ${JSON.stringify(def)}`);
  }
}

/** The values at a pattern. */
export function valuesAt(config: unknown, pattern: string): unknown[] {
  let found: unknown[] = [config];
  for (const name of pattern.split("/").slice(1))
    found = found.flatMap((value) => {
      if (value === null || typeof value !== "object") return [];
      if (name === "*") return Object.values(value);
      return name in value ? [(value as Readonly<Record<string, unknown>>)[name]] : [];
    });
  return found.filter((value) => value !== undefined);
}

/** Copies with one of the first and last `most` values at a pattern changed in each; undefined takes it away. */
export function changedAt<T>(
  config: T,
  pattern: string,
  changes: (value: unknown) => readonly unknown[],
  most: number,
): T[] {
  const names = pattern.split("/").slice(1);
  const last = names.pop() as string;
  /** Where the values are in a configuration: the same in each copy. */
  const places = (of: T) => {
    const holders = names.length === 0 ? [of as unknown] : valuesAt(of, `/${names.join("/")}`);
    return holders.flatMap((holder) =>
      holder === null || typeof holder !== "object"
        ? []
        : Object.entries(holder)
            .filter(([name, value]) => (last === "*" || name === last) && value !== undefined)
            .map(([name, value]) => ({ holder: holder as Record<string, unknown>, name, value })),
    );
  };
  const all = places(config);
  return all.flatMap(({ value }, i) => {
    if (i >= most && i < all.length - most) return [];
    return changes(value).map((changed) => {
      const copy = structuredClone(config);
      const { holder, name } = places(copy)[i] as ReturnType<typeof places>[number];
      if (changed === undefined) delete holder[name];
      else holder[name] = changed;
      return copy;
    });
  });
}
