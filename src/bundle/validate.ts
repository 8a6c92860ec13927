import { configSchema } from "../../spec-schemas/config.ts";
import { didYouMean } from "../core/did-you-mean.ts";
import { JsonSyntaxError, type PathSegment, parseJson, pointerOf, positionAt } from "./json.ts";
import { type LocatedProblem, locate, type Problem, problemOfIssue, show } from "./problems.ts";
import { checkRules } from "./rules.ts";

/** What a zod schema of ours looks like from inside, as far as the walk for unknown names needs it. */
interface SchemaNode {
  readonly def?: {
    readonly type?: string;
    readonly shape?: Readonly<Record<string, SchemaNode>>;
    readonly element?: SchemaNode;
    readonly innerType?: SchemaNode;
    readonly valueType?: SchemaNode;
  };
}

/** Other platforms' sections and what later versions add are fine; a name close to a known one is a likely slip. */
function unknownNames(schema: SchemaNode, value: unknown, path: PathSegment[], problems: Problem[]): void {
  const def = schema.def;
  if (def === undefined || typeof value !== "object" || value === null) return;
  if (def.innerType !== undefined) {
    unknownNames(def.innerType, value, path, problems);
    return;
  }
  if (Array.isArray(value)) {
    if (def.element !== undefined)
      for (const [i, element] of value.entries()) unknownNames(def.element, element, [...path, i], problems);
    return;
  }
  for (const [name, inner] of Object.entries(value)) {
    const known = def.shape !== undefined && Object.hasOwn(def.shape, name) ? def.shape[name] : undefined;
    if (known !== undefined) unknownNames(known, inner, [...path, name], problems);
    else if (def.valueType !== undefined) unknownNames(def.valueType, inner, [...path, name], problems);
    else if (def.shape !== undefined) {
      const suggestion = didYouMean(name, Object.keys(def.shape));
      if (suggestion !== undefined)
        problems.push({
          pointer: pointerOf([...path, name]),
          found: show(name),
          wanted: "a property of the specification",
          suggestion,
          severity: "warning",
        });
    }
  }
}

/**
 * Every problem of a config.json at once, in the order of the file. Rules between fields are checked only when the schema
 * is satisfied: before that they would report consequences. `rootfsProblem` looks at root.path, which need not be there yet.
 */
export function validateConfig(
  text: string,
  rootfsProblem: (path: string) => string | undefined = () => undefined,
): LocatedProblem[] {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return [
      {
        pointer: "",
        found: error.found,
        wanted: error.wanted,
        severity: "error",
        ...positionAt(text, error.offset),
      },
    ];
  }
  const problems: Problem[] = [];
  const result = configSchema.safeParse(value);
  if (result.success) {
    problems.push(...checkRules(result.data));
    const path = result.data.root?.path ?? "";
    const missing = path === "" ? undefined : rootfsProblem(path);
    if (missing !== undefined) {
      const wanted = `a directory by the time of create: ${missing}`;
      problems.push({ pointer: "/root/path", found: show(path), wanted, severity: "warning" });
    }
  }
  if (!result.success) problems.push(...result.error.issues.map((issue) => problemOfIssue(issue, value)));
  unknownNames(configSchema as unknown as SchemaNode, value, [], problems);
  return locate(text, problems).sort((a, b) => a.line - b.line || a.column - b.column);
}
