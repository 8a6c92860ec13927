/**
 * A file as an overlay of layers would show it, without mounting one: whiteouts, opaque directories and symbolic links are
 * followed as overlayfs and the container would. Before a container is made this answers who its user is.
 *
 * What the layers hold is hostile, but nobody changes them in the store: each component is looked at before it is entered, so
 * the kernel never follows one of their links.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, type Stats } from "node:fs";
import { join } from "node:path";
import type { AbsPath } from "../core/brands.ts";
import { errorCode } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { readAttribute } from "../native/native.ts";

/** As the kernel (MAXSYMLINKS). */
const MAX_LINKS = 40;
/** Components of a path with all its links. */
const MAX_COMPONENTS = 1000;

/** A directory of the merged tree: those of the layers that show through, topmost first. */
type Merged = readonly string[];

type Found =
  | { readonly kind: "nothing" }
  | { readonly kind: "directory"; readonly at: Merged }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "file"; readonly path: string };

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** overlayfs' marks (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"). */
const isWhiteout = (stat: Stats): boolean => stat.isCharacterDevice() && stat.rdev === 0;
const isOpaque = (path: string): boolean =>
  ["trusted", "user"].some((prefix) => readAttribute(path, `${prefix}.overlay.opaque`) === "y");

function lookUp(directory: Merged, name: string): Found {
  const at: string[] = [];
  for (const layer of directory) {
    const path = join(layer, name);
    const stat = statOf(path);
    if (stat === undefined) continue;
    if (stat.isDirectory() && !isWhiteout(stat)) {
      at.push(path);
      if (isOpaque(path)) break;
      continue;
    }
    // Below a directory it is hidden by that; a whiteout hides what is below it.
    if (at.length > 0 || isWhiteout(stat)) break;
    return stat.isSymbolicLink() ? { kind: "link", target: readlinkSync(path) } : { kind: "file", path };
  }
  return at.length === 0 ? { kind: "nothing" } : { kind: "directory", at };
}

/** The file of a layer that is at this path in the merged tree; undefined when there is none, or no file. */
function resolveMerged(layers: Merged, path: string): string | undefined {
  const parents: Merged[] = [layers];
  const rest = path.split("/").reverse();
  let links = 0;
  for (let steps = 0; rest.length > 0; steps++) {
    if (steps > MAX_COMPONENTS) return undefined;
    const name = rest.pop() as string;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (parents.length > 1) parents.pop();
      continue;
    }
    const found = lookUp(parents.at(-1) as Merged, name);
    switch (found.kind) {
      case "nothing":
        return undefined;
      case "file":
        return rest.every((each) => each === "") ? found.path : undefined;
      case "directory":
        parents.push(found.at);
        break;
      case "link":
        if (++links > MAX_LINKS) return undefined;
        if (found.target.startsWith("/")) parents.splice(1);
        rest.push(...found.target.split("/").reverse());
    }
  }
  return undefined;
}

/**
 * Reads a regular file of the merged tree of these layers (lowest first); undefined when there is none. Throws `image` when
 * it is no regular file or is larger than `maxBytes` (attack row 22).
 */
export function readMergedFile(layers: readonly AbsPath[], path: string, maxBytes: number): Buffer | undefined {
  const file = resolveMerged([...layers].reverse(), path);
  if (file === undefined) return undefined;
  // Not a fifo or a device that would block or do something when it is opened.
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!fstatSync(fd).isFile()) throw new TsrunError("image", `${path} of the image is not a regular file`);
    const buffer = Buffer.alloc(maxBytes + 1);
    let total = 0;
    for (;;) {
      const count = readSync(fd, buffer, total, buffer.length - total, null);
      total += count;
      if (count === 0 || total > maxBytes) break;
    }
    if (total > maxBytes) throw new TsrunError("image", `${path} of the image is larger than ${maxBytes} bytes`);
    return buffer.subarray(0, total);
  } finally {
    closeSync(fd);
  }
}
