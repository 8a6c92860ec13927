/**
 * What a tar archive is, by its entries: an image has documents and blobs at known places and nothing else, so that most
 * root file systems are told apart by their first entry.
 */
import { TsrunError } from "../core/errors.ts";
import { type ArchiveIndex, type IndexEntry, readAt } from "./files.ts";
import { defaultLimits } from "./limits.ts";
import { pathBelowRoot } from "./names.ts";
import { type TarEntry, TarReader, type TarSink } from "./tar.ts";
import { shown } from "./tar-header.ts";

/** More files than any image has: each layer has up to three of them in an old docker archive. */
const MAX_FILES = 100_000;

/** Thrown to stop the scan. */
class NoImage extends Error {}

/**
 * Names of an OCI layout and of what docker, podman and others write in docker's format: files at the top (documents,
 * `HEX.json`, `HEX.tar`, `sha256:HEX`), `blobs/`, and directories with a hex name.
 */
function mayBeOfImage(path: string, entry: TarEntry): boolean {
  const [first = "", ...rest] = path.split("/");
  if (path === "") return entry.kind === "directory";
  if (first === "blobs" || /^[0-9a-f]{64}$/.test(first)) {
    return ["file", "directory", "symlink", "hard-link"].includes(entry.kind);
  }
  return rest.length === 0 && ["file", "symlink", "hard-link"].includes(entry.kind);
}

/** Where the files are, as far as it was read. */
class IndexSink implements TarSink {
  readonly index = new Map<string, IndexEntry>();
  #file: { readonly path: string; readonly sizeBytes: number } | undefined;

  entry(entry: TarEntry): void {
    const path = pathBelowRoot(entry.name, defaultLimits.maxDepth, "entry");
    if (!mayBeOfImage(path, entry)) throw new NoImage();
    if (this.index.size >= MAX_FILES) throw new TsrunError("image", `more than ${MAX_FILES} files in the image`);
    this.#file = undefined;
    if (entry.kind === "symlink") this.index.set(path, { link: linkedPath(path, entry.linkName) });
    else if (entry.kind === "hard-link")
      this.index.set(path, { link: pathBelowRoot(entry.linkName, defaultLimits.maxDepth, "link") });
    else if (entry.kind === "file") {
      this.#file = { path, sizeBytes: entry.size };
      // Until `begins` tells where its data is: it has none, or all of it is holes.
      this.index.set(path, entry.size === 0 ? { offset: 0, sizeBytes: 0 } : "sparse");
    }
  }

  data(): void {}

  /** The current file's data begins here, in one piece. */
  begins(offset: number, storedBytes: number): void {
    if (this.#file?.sizeBytes === storedBytes) this.index.set(this.#file.path, { offset, sizeBytes: storedBytes });
    this.#file = undefined;
  }

  fileEnd(): void {}
}

/** A link beside or above the file it is in, as docker has it: `../HEX/layer.tar`. */
function linkedPath(path: string, text: string): string {
  const parts = text.startsWith("/") ? [] : path.split("/").slice(0, -1);
  for (const part of text.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      if (parts.pop() === undefined) throw new TsrunError("image", `${shown(path)} links outside the archive`);
    } else parts.push(part);
  }
  return parts.join("/");
}

function isImage(index: ArchiveIndex): boolean {
  return (index.has("oci-layout") && index.has("index.json")) || index.has("manifest.json");
}

/** One header is read with what lies behind it: small files come with it. */
const WINDOW_BYTES = 4096;

/** The index of an image's archive; undefined when it is the archive of a root file system. Throws `image`. */
export function indexArchive(fd: number, sizeBytes: number): ArchiveIndex | undefined {
  const sink = new IndexSink();
  const reader = new TarReader(sink);
  try {
    for (let at = 0; at < sizeBytes && !reader.ended; ) {
      // Header by header: where data begins is where the reader wants to skip.
      const block = readAt(fd, at, Math.min(WINDOW_BYTES, sizeBytes - at));
      for (let used = 0; used < block.length && !reader.ended; ) {
        const end = Math.min(used + 512, block.length);
        reader.push(block.subarray(used, end));
        at += end - used;
        used = end;
        const stored = reader.dataBytes;
        if (stored > 0) sink.begins(at, stored);
        let skipped = 0;
        for (let more = reader.skipData(); more > 0; more = reader.skipData()) skipped += more;
        if (skipped > 0) {
          at += skipped;
          break;
        }
      }
      if (at > sizeBytes) throw new TsrunError("image", "the archive is cut off: a file goes beyond its end");
    }
    reader.finish();
  } catch (error) {
    if (error instanceof NoImage) return undefined;
    throw error;
  }
  return isImage(sink.index) ? sink.index : undefined;
}

/** Tells from the beginning of a stream whether it can be an image's archive. */
export class ArchiveProbe {
  readonly #sink = new IndexSink();
  readonly #reader = new TarReader({
    entry: (entry) => this.#sink.entry(entry),
    data() {},
    fileEnd() {},
  });

  /** False as soon as an entry is none of an image's. Throws `image`. */
  push(chunk: Buffer): boolean {
    try {
      this.#reader.push(chunk);
      return true;
    } catch (error) {
      if (error instanceof NoImage) return false;
      throw error;
    }
  }

  /** At the end: whether it was one. */
  isImage(): boolean {
    return isImage(this.#sink.index);
  }
}
