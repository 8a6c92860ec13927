import { isUtf8 } from "node:buffer";
import { closeSync, constants, existsSync, fstatSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { basename, isAbsolute, join, resolve } from "node:path";
import type { Config, Process, Resources } from "../../spec-schemas/config.ts";
import type { SeccompProfile } from "../../spec-schemas/seccomp-profile.ts";
import { accept, REFUSED, type Shape } from "../../spec-schemas/shape.ts";
import { configShape, processShape, resourcesShape } from "../../spec-schemas/shapes.gen.ts";
import type { AbsPath } from "../core/brands.ts";
import { reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { JsonSyntaxError, parseJson, positionAt } from "./json.ts";
import { configError, locate, type Problem, problemOfIssue } from "./problems.ts";
import { checkProcessRules, checkResourceRules, checkRules } from "./rules.ts";
import { checkSeccompProfileRules } from "./seccomp-profile-rules.ts";

/** Largest config.json or process file, in bytes: a hundred times what the largest callers write. */
export const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

export interface Bundle {
  readonly bundle: AbsPath;
  readonly rootfs: AbsPath;
  readonly config: Config;
  /** config.json as it was read: its changes after create have no effect (runtime.md "Lifecycle"). */
  readonly text: string;
}

/** Reads a file or descriptor to its end, but never more than the limit; a fifo (`--process /dev/fd/63`) is fine where `regular` is false. */
function readBounded(path: string | number, regular: boolean): string {
  let fd: number;
  try {
    // A fifo without a writer must not keep us from saying that it is none.
    const flags = regular ? constants.O_RDONLY | constants.O_NONBLOCK : constants.O_RDONLY;
    fd = typeof path === "number" ? path : openSync(path, flags);
  } catch (error) {
    throw new TsrunError("config", `cannot read ${path}: ${reasonOf(error)}`);
  }
  try {
    if (regular && !fstatSync(fd).isFile()) throw new TsrunError("config", `${path} is not a regular file`);
    const chunks: Buffer[] = [];
    let total = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(64 * 1024);
      const count = readSync(fd, chunk);
      if (count === 0) return decode(path, Buffer.concat(chunks, total));
      total += count;
      if (total > MAX_CONFIG_BYTES) throw new TsrunError("config", `${path} is larger than ${MAX_CONFIG_BYTES} bytes`);
      chunks.push(chunk.subarray(0, count));
    }
  } finally {
    if (fd !== path) closeSync(fd);
  }
}

/** JSON is UTF-8 (RFC 8259, 8.1). A decoder's replacement would name other files and programs than the bytes do. */
function decode(path: string | number, bytes: Buffer): string {
  const text = bytes.toString("utf8");
  if (isUtf8(bytes)) return text;
  // The first replacement that does not stand for itself.
  let at = text.indexOf("\ufffd");
  while (bytes.indexOf("\ufffd", Buffer.byteLength(text.slice(0, at))) === Buffer.byteLength(text.slice(0, at))) {
    at = text.indexOf("\ufffd", at + 1);
  }
  const { line, column } = positionAt(text, at);
  throw new TsrunError("config", `${path}:${line}:${column}: found bytes that are no UTF-8, wanted JSON`);
}

function parse(file: string, text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const { line, column } = positionAt(text, error.offset);
    throw new TsrunError("config", `${file}:${line}:${column}: ${error.message}`);
  }
}

interface Schema<T> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: readonly Parameters<typeof problemOfIssue>[0][] } };
}

/** What a file must be. */
interface Format<T> {
  /** Undefined where zod is fast enough. */
  readonly shape: Shape | undefined;
  schema(): Schema<T>;
  rules(value: T): Problem[];
}

const configFormat: Format<Config> = {
  shape: configShape,
  schema: () => schemas().configSchema,
  rules: checkRules,
};
const processFormat: Format<Process> = {
  shape: processShape,
  schema: () => schemas().processSchema,
  rules: checkProcessRules,
};
const resourcesFormat: Format<Resources> = {
  shape: resourcesShape,
  schema: () => schemas().resourcesSchema,
  rules: checkResourceRules,
};
const seccompProfileFormat: Format<SeccompProfile> = {
  shape: undefined,
  schema: () =>
    (require("../../spec-schemas/seccomp-profile.ts") as typeof import("../../spec-schemas/seccomp-profile.ts"))
      .seccompProfileSchema,
  rules: checkSeccompProfileRules,
};

/** zod with its schemas is evaluated only for what is wrong: to say why. */
const schemas = (): typeof import("../../spec-schemas/config.ts") => require("../../spec-schemas/config.ts");

/** A value that the schema accepts. Throws with every problem at once. */
function checkShape<T>(file: string, text: string, value: unknown, { shape, schema }: Format<T>): T {
  const accepted = shape === undefined ? REFUSED : accept(shape, value);
  if (accepted !== REFUSED) return accepted as T;
  const result = schema().safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => problemOfIssue(issue, value));
  throw configError(file, locate(text, problems));
}

/** Checks a parsed value: the schema first, then the rules between fields. Throws with every problem at once. */
function check<T>(file: string, text: string, value: unknown, format: Format<T>): T {
  const data = checkShape(file, text, value, format);
  const problems = format.rules(data);
  if (problems.some((problem) => problem.severity === "error")) throw configError(file, locate(text, problems));
  return data;
}

/**
 * Loads and checks a bundle. `configFile` (crun's --config) is relative to the bundle. Throws `config` with every problem,
 * each with JSON pointer, line and column.
 */
export function loadBundle(directory: string, configFile = "config.json"): Bundle {
  let bundle: string;
  try {
    bundle = realpathSync(resolve(directory));
  } catch (error) {
    throw new TsrunError("config", `bundle ${directory}: ${reasonOf(error)}`);
  }
  const path = isAbsolute(configFile) ? configFile : join(bundle, configFile);
  const text = readConfigText(path);
  const file = basename(path);
  const config = check(file, text, parse(file, text), configFormat);
  return { bundle: bundle as AbsPath, rootfs: findRootfs(bundle, config.root?.path ?? ""), config, text };
}

/** Checks the text of a configuration that is in no bundle. `file`: its name in messages. Throws `config`. */
export function checkConfig(file: string, text: string): Config {
  return check(file, text, parse(file, text), configFormat);
}

/** The text of a bundle's config.json. Throws `config`. */
export function readConfigText(path: string): string {
  try {
    return readBounded(path, true);
  } catch (error) {
    if (!(error instanceof TsrunError) || existsSync(path)) throw error;
    throw new TsrunError(error.code, error.message, {
      advice: "a bundle is a directory with a config.json, which tsrun spec writes, and a root file system",
    });
  }
}

/** What keeps `root.path` of a configuration from being a root file system; undefined if nothing does. */
export function rootfsProblem(bundle: string, path: string): string | undefined {
  try {
    findRootfs(bundle, path);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

function findRootfs(bundle: string, path: string): AbsPath {
  try {
    const rootfs = realpathSync(resolve(bundle, path));
    if (!statSync(rootfs).isDirectory()) throw new TsrunError("config", `root.path ${path}: not a directory`);
    if (rootfs === "/") throw new TsrunError("config", "root.path is the host's own root");
    return rootfs as AbsPath;
  } catch (error) {
    if (error instanceof TsrunError) throw error;
    throw new TsrunError("config", `root.path ${path}: ${reasonOf(error)}`, {
      advice: "the root file system must be there before create",
    });
  }
}

/** Loads the `process` object of `exec --process FILE`. */
export function loadProcess(path: string): Process {
  const text = readBounded(path, false);
  return check(path, text, parse(path, text), processFormat);
}

/** Loads the resources of `update --resources FILE`; "-" is standard input. */
export function loadResources(path: string): Resources {
  const text = path === "-" ? readBounded(0, false) : readBounded(path, false);
  const file = path === "-" ? "standard input" : path;
  return check(file, text, parse(file, text), resourcesFormat);
}

/** Loads a seccomp profile: linux.seccomp of a config.json, or the form of docker and podman. */
export function loadSeccompProfile(path: string): SeccompProfile {
  const text = readBounded(path, false);
  return check(path, text, parse(path, text), seccompProfileFormat);
}

/** Checks the resources of update's options, as those of a file. */
export function checkResources(resources: Resources): void {
  const [problem] = checkResourceRules(resources);
  if (problem !== undefined) {
    throw new TsrunError("usage", `${problem.pointer}: found ${problem.found}, wanted ${problem.wanted}`);
  }
}
