/**
 * Looking at a path of a container from outside: what there is, without opening it. The container may change its files
 * at any moment, so nothing is handed to the kernel to resolve but one name in one directory that is held open, and
 * symbolic links are followed by us, inside the root.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync, type Stats } from "node:fs";
import { errorCode } from "../core/errno.ts";
import type { Observed } from "../core/observed.ts";
import type { MountTable } from "./mountinfo.ts";

/** asm-generic/fcntl.h: a descriptor that names a file without opening it. Node has no name for it. */
export const O_PATH = 0o10000000;
/** As many as the kernel follows (path_resolution(7)). */
const MAX_LINKS = 40;

/** A file as fstat(2) has it. */
export interface FoundFile {
  /** Where it is once every link is followed. */
  readonly path: string;
  readonly kind: "file" | "directory" | "character" | "block" | "fifo" | "socket" | "other";
  readonly major: number;
  readonly minor: number;
  /** Permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** File systems whose answers come from a program or another machine, which may keep us waiting for ever. */
const answering = /^(fuse|nfs|cifs|smb|9p|virtiofs|ceph|afs|autofs|lustre|gfs2|ocfs2|orangefs)/;

/**
 * What a path leads to, from the directory `root` (a descriptor); `value: undefined` when there is nothing. `mounts` are
 * those of the process whose root it is: where one of them could keep us waiting, we do not look.
 */
export function lookInRoot(root: number, path: string, mounts: MountTable): Observed<FoundFile | undefined> {
  const held: { readonly name: string; readonly fd: number }[] = [];
  const at = (): number => held.at(-1)?.fd ?? root;
  const whole = (name?: string): string =>
    `/${[...held.map((each) => each.name), ...(name === undefined ? [] : [name])].join("/")}`;
  const rest = path.split("/").reverse();
  try {
    for (let links = 0; ; ) {
      const name = rest.pop();
      if (name === undefined) break;
      if (name === "" || name === ".") continue;
      if (name === "..") {
        const left = held.pop();
        if (left !== undefined) closeSync(left.fd);
        continue;
      }
      for (const place of [whole(), whole(name)]) {
        const type = mounts.covering(place)?.type ?? "";
        if (answering.test(type)) return { unreadable: `it is on ${type}, whose answers need not come` };
      }
      const fd = openSync(`/proc/self/fd/${at()}/${name}`, O_PATH | constants.O_NOFOLLOW);
      held.push({ name, fd });
      if (!fstatSync(fd).isSymbolicLink()) continue;
      if (++links > MAX_LINKS) return { unreadable: "too many symbolic links" };
      held.pop();
      closeSync(fd);
      // Should it have become something else by now, this is an error, and if another link, it is followed like this one.
      const target = readlinkSync(`/proc/self/fd/${at()}/${name}`);
      if (target.startsWith("/")) for (const each of held.splice(0)) closeSync(each.fd);
      rest.push(...target.split("/").reverse());
    }
    return { value: describe(fstatSync(at()), whole()) };
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return { value: undefined };
    if (code === "EACCES" || code === "EPERM") return { unreadable: `no permission to look at ${whole()}` };
    return { unreadable: `cannot look at it: ${code ?? String(error)}` };
  } finally {
    for (const { fd } of held) closeSync(fd);
  }
}

function describe(stats: Stats, path: string): FoundFile {
  const kind = stats.isFile()
    ? "file"
    : stats.isDirectory()
      ? "directory"
      : stats.isCharacterDevice()
        ? "character"
        : stats.isBlockDevice()
          ? "block"
          : stats.isFIFO()
            ? "fifo"
            : stats.isSocket()
              ? "socket"
              : "other";
  // makedev(3) of Linux: the low bits of both numbers are where they always were.
  const { rdev } = stats;
  return {
    path,
    kind,
    major: (rdev >>> 8) & 0xfff,
    minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
  };
}
