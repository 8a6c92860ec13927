// Takes out of the zod schemas of config.json what they accept, as the data of spec-schemas/shape.ts. What has no equal there is an
// error here: a schema that asks for more than its shape says would be passed by.
import { build } from "esbuild";

/** The text of spec-schemas/shapes.gen.ts. */
export async function generateShapes(root) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ["spec-schemas/config.ts"],
    bundle: true,
    platform: "node",
    format: "esm",
    write: false,
  });
  const schemas = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`
  );
  const names = new Map();
  const shared = [];
  /** The same text once, under a name, when it is more than a reference would be. */
  const share = (text) => {
    if (text.length < 30) return text;
    let name = names.get(text);
    if (name === undefined) {
      name = `s${names.size}`;
      names.set(text, name);
      shared.push(`const ${name}: Shape = ${text};`);
    }
    return name;
  };
  const emit = (schema, at) => share(shapeOf(schema, at, emit, schemas.withoutNul));
  const exported = ["config", "process", "resources"].map(
    (name) => `export const ${name}Shape: Shape = ${emit(schemas[`${name}Schema`], name)};`,
  );
  return [
    "// Made by scripts/generate.mjs from spec-schemas/config.ts; do not edit.",
    'import type { Shape } from "./shape.ts";',
    "",
    ...shared,
    "",
    ...exported,
    "",
  ].join("\n");
}

function shapeOf(schema, at, emit, withoutNul) {
  const { def } = schema._zod;
  const checks = (def.checks ?? []).map(({ _zod }) => _zod.def);
  const fail = (what) => {
    throw new Error(`spec-schemas/config.ts, ${at}: no shape for ${what}`);
  };
  const only = (...kinds) => {
    for (const { check } of checks) if (!kinds.includes(check)) fail(`the check ${check} of ${def.type}`);
  };
  switch (def.type) {
    case "unknown":
    case "boolean":
      only();
      return `["${def.type}"]`;
    case "string": {
      if (checks.length === 0) return '["string"]';
      const [check, ...more] = checks;
      if (more.length > 0) fail("several checks of a string");
      if (check.check === "custom" && check.fn === withoutNul) return '["text"]';
      if (check.check === "string_format" && check.format === "regex") {
        // A pattern with a state (g, y) would answer differently every other time.
        if (!/^[imsu]*$/.test(check.pattern.flags)) fail(`the pattern ${check.pattern}`);
        return `["match", ${check.pattern}]`;
      }
      return fail(`the check ${check.check} of a string`);
    }
    case "number": {
      if (def.format !== "safeint") fail(`a number of format ${def.format}`);
      return `["int", ${range(checks, only, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)}]`;
    }
    case "bigint": {
      const bounds = range(checks, only, undefined, undefined);
      if (bounds.includes("undefined")) fail("a bigint without bounds");
      return `["bigint", ${bounds}]`;
    }
    case "enum":
      only();
      return `["enum", ${JSON.stringify(Object.values(def.entries))}]`;
    case "union": {
      only();
      if (def.options.length !== 2) fail("a union of more than two");
      return `["either", ${def.options.map((each) => emit(each, at)).join(", ")}]`;
    }
    case "array": {
      only("min_length");
      return `["array", ${emit(def.element, `${at}[]`)}, ${Math.max(0, ...checks.map(({ minimum }) => minimum))}]`;
    }
    case "record": {
      only();
      if (emit(def.keyType, at) !== '["text"]') fail("names that are not text");
      return `["record", ${emit(def.valueType, `${at}.*`)}]`;
    }
    case "object": {
      only();
      if (def.catchall !== undefined) fail("what is done with other properties");
      const properties = Object.entries(def.shape).map(([name, inner]) => {
        const optional = inner._zod.def.type === "optional";
        const value = optional ? inner._zod.def.innerType : inner;
        // zod takes a missing property for undefined, which unknown accepts.
        if (!optional && value._zod.def.type === "unknown") fail("an unknown that is not optional");
        return `[${JSON.stringify(name)}, ${optional}, ${emit(value, `${at}.${name}`)}]`;
      });
      return `["object", [${properties.join(", ")}]]`;
    }
    default:
      return fail(`the type ${def.type}`);
  }
}

function range(checks, only, least, most) {
  only("greater_than", "less_than", "number_format");
  for (const { check, inclusive, value } of checks) {
    if (check === "number_format") continue;
    if (!inclusive) throw new Error("a bound that is not inclusive");
    if (check === "greater_than") least = value;
    else most = value;
  }
  const text = (bound) => (typeof bound === "bigint" ? `${bound}n` : String(bound));
  return `${text(least)}, ${text(most)}`;
}
