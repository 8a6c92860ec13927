/**
 * What the schemas accept, as plain data, and whether a value has it. scripts/generate.mjs takes the data out of the schemas
 * (shapes.gen.ts), so that a value that is right, as nearly all are, costs neither zod's evaluation nor its parsing, which are a
 * tenth of create. Only a yes counts: what is refused here goes to the schema, which decides and explains.
 */

export type Shape =
  | readonly ["unknown"]
  | readonly ["boolean"]
  | readonly ["string"]
  /** Without NUL. */
  | readonly ["text"]
  | readonly ["match", RegExp]
  | readonly ["enum", readonly string[]]
  /** Exact integers from least to most. */
  | readonly ["int", least: number, most: number]
  | readonly ["bigint", least: bigint, most: bigint]
  | readonly ["either", Shape, Shape]
  | readonly ["array", Shape, least: number]
  /** With any names without NUL. */
  | readonly ["record", Shape]
  | readonly ["object", readonly (readonly [name: string, optional: boolean, Shape])[]];

/** Instead of a value: not accepted, or not certainly. */
export const REFUSED: unique symbol = Symbol("refused");

const isText = (value: unknown): value is string => typeof value === "string" && !value.includes("\0");

/** The value as the schema gives it, without what is unknown, or REFUSED. For parsed JSON: plain objects and arrays. */
export function accept(shape: Shape, value: unknown): unknown {
  switch (shape[0]) {
    case "unknown":
      return value;
    case "boolean":
      return typeof value === "boolean" ? value : REFUSED;
    case "string":
      return typeof value === "string" ? value : REFUSED;
    case "text":
      return isText(value) ? value : REFUSED;
    case "match":
      return typeof value === "string" && shape[1].test(value) ? value : REFUSED;
    case "enum":
      return typeof value === "string" && shape[1].includes(value) ? value : REFUSED;
    case "int":
      return Number.isSafeInteger(value) && (value as number) >= shape[1] && (value as number) <= shape[2]
        ? value
        : REFUSED;
    case "bigint":
      return typeof value === "bigint" && value >= shape[1] && value <= shape[2] ? value : REFUSED;
    case "either": {
      const first = accept(shape[1], value);
      return first === REFUSED ? accept(shape[2], value) : first;
    }
    case "array":
      return acceptArray(shape[1], shape[2], value);
    case "record":
      return isObject(value) ? acceptRecord(shape[1], value) : REFUSED;
    case "object":
      return isObject(value) ? acceptObject(shape[1], value) : REFUSED;
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function acceptArray(element: Shape, least: number, value: unknown): unknown {
  if (!Array.isArray(value) || value.length < least) return REFUSED;
  const made: unknown[] = [];
  for (const each of value) {
    const accepted = accept(element, each);
    if (accepted === REFUSED) return REFUSED;
    made.push(accepted);
  }
  return made;
}

function acceptRecord(shape: Shape, value: Readonly<Record<string, unknown>>): unknown {
  const made: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    // An assignment to this name would set the prototype.
    if (name === "__proto__" || !isText(name)) return REFUSED;
    const accepted = accept(shape, value[name]);
    if (accepted === REFUSED) return REFUSED;
    made[name] = accepted;
  }
  return made;
}

function acceptObject(
  properties: Extract<Shape, readonly ["object", unknown]>[1],
  value: Readonly<Record<string, unknown>>,
): unknown {
  const made: Record<string, unknown> = {};
  for (const [name, optional, shape] of properties) {
    if (!Object.hasOwn(value, name)) {
      if (optional) continue;
      return REFUSED;
    }
    const accepted = accept(shape, value[name]);
    if (accepted === REFUSED) return REFUSED;
    made[name] = accepted;
  }
  return made;
}
