import { TsrunError } from "./errors.ts";

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A validated container id: one path component of `<root>/`. */
export type ContainerId = Brand<string, "ContainerId">;
/** An absolute path on the host. */
export type AbsPath = Brand<string, "AbsPath">;
/** A path below the container's root, without a leading slash, `.` or `..`; "" is the root itself. */
export type RootRelPath = Brand<string, "RootRelPath">;

/** Longest id: what fits a cgroup directory name with a prefix and a suffix (NAME_MAX is 255). */
const MAX_ID_LENGTH = 200;

/** Whether a text is an id by runc's rule (`[\w+-\.]`, never "." or ".."): always one safe path component. */
export function isContainerId(text: string): boolean {
  return text.length > 0 && text.length <= MAX_ID_LENGTH && /^[A-Za-z0-9_+.-]+$/.test(text) && !/^\.\.?$/.test(text);
}

/** Checks an id. Throws `usage`. */
export function containerId(text: string): ContainerId {
  if (!isContainerId(text)) {
    throw new TsrunError("usage", `invalid container id ${JSON.stringify(text)}`, {
      advice: `an id is 1 to ${MAX_ID_LENGTH} of the characters A-Z a-z 0-9 _ + - .`,
    });
  }
  return text as ContainerId;
}

/** Checks that a host path is absolute and free of NUL. */
export function absPath(text: string, what = "path"): AbsPath {
  if (!text.startsWith("/") || text.includes("\0")) {
    throw new TsrunError("usage", `${what} ${JSON.stringify(text)} is not an absolute path`);
  }
  return text as AbsPath;
}

/**
 * Normalises a path of config.json to one below the root, as if the root were "/": `..` stops at the root. Symbolic
 * links are not looked at here; the executor resolves inside the root (openat2 RESOLVE_IN_ROOT).
 */
export function rootRelPath(text: string): RootRelPath {
  if (text.includes("\0")) throw new TsrunError("config", `path ${JSON.stringify(text)} contains NUL`);
  const parts: string[] = [];
  for (const part of text.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts.join("/") as RootRelPath;
}
