import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { errorCode } from "./errno.ts";

/**
 * Makes a directory and the parents that it lacks, all with this mode. Returns whether it was made. Throws Node's error of
 * mkdir(2). mkdirSync's own `recursive` never ends where mkdir says ENOENT although the parent is there, as in /proc.
 */
export function makeDirectories(path: string, mode = 0o777): boolean {
  if (isDirectory(path)) return false;
  const parent = dirname(path);
  if (parent !== path) makeDirectories(parent, mode);
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    // Another process has made it meanwhile.
    if (errorCode(error) === "EEXIST" && isDirectory(path)) return false;
    throw error;
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
