/** Names of entries: where they lie below the root, and which are whiteouts (image-spec layer.md "Whiteouts"). */
import { TsrunError } from "../core/errors.ts";
import { type ByteText, shown } from "./tar-header.ts";

/** PATH_MAX with its NUL, and NAME_MAX. */
const MAX_PATH = 4095;
const MAX_NAME = 255;

/**
 * A path below the root, without a leading slash, `.` and empty components; "" is the root. An absolute name is one below
 * the root, as tar(1) takes it. Throws `image` for `..`, which leads outside or hides where it leads, and for a name that
 * Linux cannot have.
 */
export function pathBelowRoot(name: ByteText, maxDepth: number, what: string): ByteText {
  const fail = (why: string): TsrunError => new TsrunError("image", `${what} ${shown(name)}: ${why}`);
  if (name.includes("\0")) throw fail("it contains NUL");
  const parts: ByteText[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") throw fail('it contains ".."');
    if (part.length > MAX_NAME) throw fail(`a component is longer than ${MAX_NAME} bytes`);
    parts.push(part);
  }
  if (parts.length > maxDepth) throw fail(`it is deeper than the limit of ${maxDepth}`);
  const path = parts.join("/");
  if (path.length > MAX_PATH) throw fail(`it is longer than ${MAX_PATH} bytes`);
  return path;
}

export type Whiteout =
  /** A path of lower layers that is gone. */
  | { readonly kind: "path"; readonly path: ByteText }
  /** A directory of which lower layers' content is gone. */
  | { readonly kind: "opaque"; readonly directory: ByteText }
  /** What aufs kept for itself (`.wh..wh.plnk` and the like). */
  | { readonly kind: "aufs" };

const PREFIX = ".wh.";
const META = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";

/** What a path of a layer means as a whiteout; undefined when it is none. Throws `image` for one that names nothing. */
export function whiteoutOf(path: ByteText): Whiteout | undefined {
  if (!path.includes(PREFIX)) return undefined;
  const parts = path.split("/");
  const last = parts.at(-1) as string;
  const parents = parts.slice(0, -1);
  if (parts.some((part) => part.startsWith(META) && part !== OPAQUE)) return { kind: "aufs" };
  const fail = (why: string): TsrunError => new TsrunError("image", `whiteout ${shown(path)}: ${why}`);
  if (parents.some((part) => part.startsWith(PREFIX))) throw fail("something lies below a whiteout");
  if (last === OPAQUE) return { kind: "opaque", directory: parents.join("/") };
  if (!last.startsWith(PREFIX)) return undefined;
  const name = last.slice(PREFIX.length);
  if (name === "" || name === "." || name === "..") throw fail(`it is for ${JSON.stringify(name)}`);
  return { kind: "path", path: [...parents, name].join("/") };
}
