/** Paths as a container's processes see them. */
import { readlinkSync } from "node:fs";
import { posix } from "node:path";
import { errorCode } from "../core/errno.ts";

/** A name in an open directory of ours, whatever is at the directory's path by now; "" is the directory. */
export const pathIn = (fd: number, name: string): string => `/proc/self/fd/${fd}/${name}`;

/** As the kernel's MAXSYMLINKS. */
const MAX_LINKS = 40;

/**
 * Where a path of a container leads when the links in it are followed as its processes follow them; a text only, nothing is
 * opened. A part that is not there stays as it is.
 */
export function resolveInside(pid: number, path: string): string {
  let rest = path.split("/");
  let at = "/";
  let links = 0;
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === "" || name === ".") continue;
    const next = posix.join(at, name);
    const link = linkAt(`/proc/${pid}/root${next}`);
    if (link === undefined || ++links > MAX_LINKS) {
      at = next;
      continue;
    }
    rest = [...link.split("/"), ...rest];
    if (link.startsWith("/")) at = "/";
  }
  return at;
}

/** What a link says, or undefined for what is none. */
function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    // EINVAL: no link.
    if (["EINVAL", "ENOENT", "ENOTDIR", "EACCES"].includes(errorCode(error) ?? "")) return undefined;
    throw error;
  }
}
