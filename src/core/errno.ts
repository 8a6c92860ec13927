import { getSystemErrorMap } from "node:util";

/** The kernel's name and words for an errno: `ENOENT (no such file or directory)`. */
export function errnoText(errno: number): string {
  const [name, text] = getSystemErrorMap().get(-errno) ?? [];
  return name === undefined ? `errno ${errno}` : `${name} (${text})`;
}

/** The name alone: `ENOENT`; undefined for a number that has none. */
export function errnoName(errno: number): string | undefined {
  return getSystemErrorMap().get(-errno)?.[0];
}

/** The words alone: `no such file or directory`. */
export function errnoWords(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? `errno ${errno}`;
}

/** The code of a Node file system error (`ENOENT`), or undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** What an unknown thrown value says of itself. */
export function reasonOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "message" in error) return String(error.message);
  return String(error);
}
