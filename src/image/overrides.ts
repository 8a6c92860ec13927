/** What the caller of `run --image` says otherwise than the image, applied to the image's configuration. Pure. */
import type { ImageConfig } from "../../spec-schemas/image.ts";
import { TsrunError } from "../core/errors.ts";

export interface Overrides {
  /** --entrypoint; it makes the image's Cmd void, too. */
  readonly entrypoint?: readonly string[] | undefined;
  /** In place of the image's Cmd, if there are any. */
  readonly args: readonly string[];
  /** NAME=VALUE, the last of a name counts. */
  readonly env: readonly string[];
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
}

export function withOverrides(image: ImageConfig, overrides: Overrides): ImageConfig {
  const config = image.config ?? {};
  const { entrypoint, args, env, workdir, user } = overrides;
  const ownCmd = entrypoint === undefined ? config.Cmd : [];
  return {
    ...image,
    config: {
      ...config,
      Entrypoint: entrypoint === undefined ? config.Entrypoint : [...entrypoint],
      Cmd: args.length > 0 ? [...args] : ownCmd,
      Env: mergeEnv(config.Env ?? [], env),
      WorkingDir: workdir ?? config.WorkingDir,
      User: user ?? config.User,
    },
  };
}

const nameOf = (entry: string): string => entry.split("=", 1)[0] as string;

/** `more` over `base`: a variable that is there already keeps its place. */
export function mergeEnv(base: readonly string[], more: readonly string[]): string[] {
  const values = new Map(more.map((entry) => [nameOf(entry), entry]));
  const replaced = base.map((entry) => values.get(nameOf(entry)) ?? entry);
  const names = new Set(base.map(nameOf));
  return [...replaced, ...[...values].filter(([name]) => !names.has(name)).map(([, entry]) => entry)];
}

/** `NAME=VALUE`, or `NAME` for the value in `own` (nothing if it has none), as docker and podman take -e. Throws `usage`. */
export function parseEnv(text: string, own: Readonly<Record<string, string | undefined>>, option: string): string[] {
  const name = nameOf(text);
  if (name === "" || /\s/.test(name)) {
    throw new TsrunError("usage", `${option}: ${JSON.stringify(text)} is neither NAME=VALUE nor NAME`);
  }
  if (text.includes("=")) return [text];
  const value = own[name];
  return value === undefined ? [] : [`${name}=${value}`];
}

/** The lines of an --env-file: as -e takes them; empty ones and comments count for nothing. */
export function parseEnvFile(text: string, own: Readonly<Record<string, string | undefined>>, file: string): string[] {
  return text.split(/\r?\n/).flatMap((line, i) => {
    const content = line.trimStart();
    return content === "" || content.startsWith("#") ? [] : parseEnv(content, own, `${file}:${i + 1}`);
  });
}

/** --entrypoint: one program, or a JSON array of it and its arguments. Throws `usage`. */
export function parseEntrypoint(text: string): string[] {
  if (!text.startsWith("[")) return text === "" ? [] : [text];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (Array.isArray(value) && value.every((each): each is string => typeof each === "string")) return value;
  throw new TsrunError("usage", `--entrypoint: ${JSON.stringify(text)} is not a JSON array of texts`);
}
