import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "@jest/globals";
import Ajv from "ajv";
import fc from "fast-check";
import { parseJson } from "../src/bundle/json.ts";
import { configSchema } from "./config.ts";
import { featuresSchema } from "./features.ts";
import { stateSchema } from "./state.ts";

/** The official schemas and samples are test data that lies beside a checkout, if at all. */
const spec = [process.env.TSRUN_SHARED, resolve(__dirname, "../../shared"), resolve(__dirname, "../../../shared")]
  .filter((folder) => folder !== undefined)
  .map((folder) => join(folder, "spec/schema"))
  .find((folder) => existsSync(folder));

const schemas = { config: configSchema, state: stateSchema, features: featuresSchema } as const;

/** Whether a difference between zod and the official schema is a known one, and why it is right. */
const knownDifferences: readonly { readonly why: string; readonly at: RegExp }[] = [
  {
    why: "config-linux.md 1.3 makes pids.limit optional; the schema still requires it",
    at: /^\/linux\/resources\/pids(\/limit)?$/,
  },
  { why: "NUL cannot be passed to the kernel: text that goes there must not have it", at: /NUL/ },
  { why: "sections of other platforms are ignored, whatever they hold", at: /^\/(solaris|windows|vm|zos|freebsd)/ },
  {
    why: "config-linux.md: fileMode is a file mode; callers leave the type of the host's device in it; the schema stops at 0777",
    at: /fileMode/,
  },
  { why: "rootfsPropagation: containerd writes rslave and rshared", at: /^\/linux\/rootfsPropagation$/ },
  {
    why: "personality: the schema's $ref hides its neighbours in draft 4, so it checks nothing else",
    at: /^\/linux\/personality/,
  },
  { why: "oomScoreAdj and timeouts beyond 2^53 are refused: they are no exact integers", at: /oomScoreAdj|timeout/ },
];

// Draft 4 as ajv takes it: ids from file names, no `id`, references kept.
function compile(folder: string, name: string) {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  for (const file of readdirSync(folder)) {
    if (!file.endsWith(".json")) continue;
    const schema = JSON.parse(
      readFileSync(join(folder, file), "utf8").replaceAll('"#definitions/', '"#/definitions/'),
    ) as Record<string, unknown>;
    delete schema.$schema;
    ajv.addSchema(schema, file);
  }
  const validate = ajv.getSchema(name);
  if (validate === undefined) throw new Error(`no schema ${name}`);
  return validate;
}

(spec === undefined ? describe.skip : describe)(
  "agreement with the official JSON Schemas (skipped without ../shared)",
  () => {
    const folder = spec ?? "";
    const samples = (kind: string, verdict: string): string[] => {
      const at = join(folder, "test", kind, verdict);
      return existsSync(at) ? readdirSync(at).map((file) => join(at, file)) : [];
    };

    for (const kind of ["config", "state", "features"] as const) {
      test.each(samples(kind, "good"))(`${kind}: accepts %s`, (file) => {
        const result = schemas[kind].safeParse(parseJson(readFileSync(file, "utf8")));
        expect(result.error?.issues ?? []).toEqual([]);
      });
      test.each(samples(kind, "bad"))(`${kind}: refuses %s`, (file) => {
        const text = readFileSync(file, "utf8");
        let value: unknown;
        try {
          value = JSON.parse(text);
        } catch {
          return; // not JSON: refused before any schema
        }
        // What is wrong with another platform's section does not concern us.
        const foreign = Object.keys(value as object).some((name) =>
          ["freebsd", "windows", "solaris", "zos", "vm"].includes(name),
        );
        expect(schemas[kind].safeParse(value).success).toBe(foreign);
      });
    }

    test("zod and the JSON Schema say the same of mutated configurations", () => {
      const validate = compile(folder, "config-schema.json");
      const good = samples("config", "good").map((file) => JSON.parse(readFileSync(file, "utf8")) as unknown);
      const paths: { value: unknown; path: (string | number)[] }[] = [];
      const walk = (root: unknown, value: unknown, path: (string | number)[]): void => {
        if (path.length > 0) paths.push({ value: root, path });
        if (typeof value === "object" && value !== null) {
          for (const [name, inner] of Object.entries(value))
            walk(root, inner, [...path, Array.isArray(value) ? Number(name) : name]);
        }
      };
      for (const value of good) walk(value, value, []);
      const replacement = fc.oneof(
        fc.constantFrom<unknown>(
          undefined,
          null,
          true,
          "",
          "text",
          0,
          -1,
          1.5,
          65_536,
          4_294_967_296,
          [],
          {},
          [1],
          ["x"],
          { x: 1 },
          "SCMP_ACT_ALLOW",
          "private",
        ),
        fc.integer(),
        fc.string(),
      );
      fc.assert(
        fc.property(fc.constantFrom(...paths), replacement, ({ value, path }, by) => {
          const copy = structuredClone(value) as Record<string | number, unknown>;
          let holder = copy;
          for (const segment of path.slice(0, -1)) holder = holder[segment] as typeof holder;
          const last = path.at(-1) as string | number;
          if (by === undefined) delete holder[last];
          else holder[last] = by;
          // A removed array element leaves a hole; JSON has none.
          const candidate = JSON.parse(JSON.stringify(copy)) as unknown;
          const official = validate(candidate) as boolean;
          const ours = configSchema.safeParse(parseJson(JSON.stringify(candidate)));
          if (official === ours.success) return;
          const where = `/${path.join("/")}`;
          const issues = ours.error?.issues.map((issue) => `${issue.path.join("/")} ${issue.message}`).join("; ") ?? "";
          if (knownDifferences.some(({ at }) => at.test(where) || at.test(issues))) return;
          throw new Error(
            `${where} = ${JSON.stringify(by)}: schema ${official}, zod ${ours.success} ${issues} ${JSON.stringify(validate.errors)}`,
          );
        }),
        { numRuns: 4000 },
      );
    });
  },
);
