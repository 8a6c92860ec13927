/** The files of an image by name: in a directory, or in a tar archive that is not compressed. */
import { closeSync, constants, fstatSync, openSync, read, readSync } from "node:fs";
import { join } from "node:path";
import { errorCode, reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";

/** Bytes of one read: large, so that few cross from libuv to JavaScript. */
const READ_BYTES = 512 * 1024;

export interface ImageFile {
  readonly sizeBytes: number;
  chunks(): AsyncIterable<Buffer>;
  /** The whole file. Throws `image` when it is larger than `most`. */
  read(most: number): Buffer;
  close(): void;
}

export interface ImageFiles {
  /** Undefined when there is none. */
  open(name: string): ImageFile | undefined;
  close(): void;
}

/** Opens a regular file; a FIFO would wait. Undefined when there is none. Throws `image`. */
export function openRegular(path: string): { readonly fd: number; readonly sizeBytes: number } | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return undefined;
    throw new TsrunError("image", `cannot read ${path}: ${reasonOf(error)}`);
  }
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, sizeBytes: stat.size };
  closeSync(fd);
  throw new TsrunError("image", `${path} is not a regular file`);
}

/** Bytes of an open file, the next ones read while the last are used. (A ReadStream would close the descriptor.) */
export async function* chunksOf(fd: number, start: number, sizeBytes: number): AsyncGenerator<Buffer> {
  const end = start + sizeBytes;
  const readFrom = (at: number): Promise<Buffer> => {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - at));
    return new Promise((resolve, reject) => {
      read(fd, buffer, 0, buffer.length, at, (error, count) => {
        if (error === null) resolve(buffer.subarray(0, count));
        else reject(new TsrunError("image", `cannot read the archive: ${reasonOf(error)}`));
      });
    });
  };
  let reading = sizeBytes > 0 ? readFrom(start) : undefined;
  try {
    for (let at = start; reading !== undefined; ) {
      const chunk: Buffer = await reading;
      at += chunk.length;
      // Shorter than it was: whoever counts the bytes says so.
      reading = chunk.length > 0 && at < end ? readFrom(at) : undefined;
      // Its failure is met at the next turn.
      reading?.catch(() => {});
      if (chunk.length > 0) yield chunk;
    }
  } finally {
    // Not in the descriptor any more when it is closed.
    await reading?.catch(() => {});
  }
}

/** Reads so many bytes, or up to the end of the file. */
export function readAt(fd: number, offset: number, size: number): Buffer {
  const buffer = Buffer.allocUnsafe(size);
  let done = 0;
  while (done < size) {
    const count = readSync(fd, buffer, done, size - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return buffer.subarray(0, done);
}

function fileOf(fd: number, start: number, sizeBytes: number, name: string, close: () => void): ImageFile {
  return {
    sizeBytes,
    chunks: () => chunksOf(fd, start, sizeBytes),
    read(most) {
      if (sizeBytes > most) throw new TsrunError("image", `${name} has ${sizeBytes} bytes, more than ${most}`);
      return readAt(fd, start, sizeBytes);
    },
    close,
  };
}

/** `names` must be such that they stay in the directory: blobs by digest, and what checkName has seen. */
export function directoryFiles(directory: string): ImageFiles {
  return {
    open(name) {
      const opened = openRegular(join(directory, checkName(name)));
      if (opened === undefined) return undefined;
      return fileOf(opened.fd, 0, opened.sizeBytes, name, () => closeSync(opened.fd));
    },
    close() {},
  };
}

/** Where a file of an archive lies; a link names another file of it. A sparse file lies in pieces. */
export type IndexEntry = { readonly offset: number; readonly sizeBytes: number } | { readonly link: string } | "sparse";
export type ArchiveIndex = ReadonlyMap<string, IndexEntry>;
/** Links after each other, as docker makes them for equal layers: one. */
const MAX_LINKS = 8;

/** Takes the descriptor over. */
export function archiveFiles(fd: number, index: ArchiveIndex): ImageFiles {
  return {
    open(name) {
      let at = index.get(checkName(name));
      for (let i = 0; typeof at === "object" && "link" in at && i < MAX_LINKS; i++) at = index.get(at.link);
      if (at === undefined) return undefined;
      if (at === "sparse") {
        throw new TsrunError("image", `${name} is a sparse file in the image's archive`, {
          advice: "make the archive without --sparse",
        });
      }
      if ("link" in at) throw new TsrunError("image", `${name}: too many links`);
      return fileOf(fd, at.offset, at.sizeBytes, name, () => {});
    },
    close: () => closeSync(fd),
  };
}

/** A name that an image's document gives: relative, and not up. Throws `image`. */
function checkName(name: string): string {
  const parts = name.split("/");
  if (name === "" || parts.some((part) => part === "" || part === "." || part === "..") || name.includes("\0")) {
    throw new TsrunError("image", `${JSON.stringify(name)} is no name of a file in an image`);
  }
  return name;
}
