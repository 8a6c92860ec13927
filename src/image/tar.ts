/**
 * Reads a tar archive that comes in chunks, without copying: what it finds names bytes of the chunk. Pure, and bounded: no
 * header makes it keep more than MAX_HEADER_BYTES.
 */
import { TsrunError } from "../core/errors.ts";
import { decodeNumber, decodePax, decodeTime, type PaxRecords } from "./pax.ts";
import {
  checkParts,
  oldSparseBlock,
  oldSparseHeader,
  type Part,
  type PaxSparse,
  paxSparse,
  SparseMapReader,
} from "./sparse.ts";
import { BLOCK, type ByteText, decodeHeader, isZero, shown, type TarHeader } from "./tar-header.ts";

/** An extended header or a long name; Linux bounds what they can say: PATH_MAX, 64 KiB an attribute. */
export const MAX_HEADER_BYTES = 1024 * 1024;

export type EntryKind = "file" | "directory" | "symlink" | "hard-link" | "character-device" | "block-device" | "fifo";

export interface TarEntry {
  readonly kind: EntryKind;
  /** As the archive has it. */
  readonly name: ByteText;
  /** Of a link. */
  readonly linkName: ByteText;
  /** Permission bits, set-id and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file, its holes included. */
  readonly size: number;
  /** Seconds since 1970 and nanoseconds. */
  readonly mtime: { readonly seconds: number; readonly ns: number };
  readonly major: number;
  readonly minor: number;
  readonly attributes: readonly { readonly name: ByteText; readonly value: ByteText }[];
}

/** Gets what is found, in order; a file's entry is followed by its data and its end. */
export interface TarSink {
  entry(entry: TarEntry): void;
  /** Bytes `offset` to `offset + size` of the chunk belong at `position` of the file. */
  data(position: number, offset: number, size: number): void;
  fileEnd(): void;
}

const kinds: Readonly<Record<string, EntryKind>> = {
  "0": "file",
  "7": "file",
  "1": "hard-link",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
  S: "file",
  D: "directory",
};

const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

type State =
  /** Waits for `size` bytes in one piece. */
  | { readonly kind: "collect"; readonly size: number; readonly take: (block: Buffer) => State }
  | { readonly kind: "data" }
  | { readonly kind: "skip" }
  | { readonly kind: "end" };

export class TarReader {
  readonly #sink: TarSink;
  readonly #header: State = { kind: "collect", size: BLOCK, take: (block) => this.#onHeader(block) };
  /** After a block of zeros, of which two end the archive. */
  readonly #zero: State = {
    kind: "collect",
    size: BLOCK,
    take: (block) => {
      if (isZero(block)) return { kind: "end" };
      throw new TsrunError("image", `a block of zeros at byte ${this.#offset - 2 * BLOCK}, between entries`, {
        advice: "readers disagree on whether the archive ends there",
      });
    },
  };
  readonly #data: State = { kind: "data" };
  readonly #skip: State = { kind: "skip" };
  #state: State = this.#header;
  /** Of the archive, up to what is being looked at. */
  #offset = 0;
  /** What `collect` has so far, when it does not come in one piece. */
  #collected: Buffer[] = [];
  #collectedBytes = 0;
  /** Bytes to come of what is skipped, or of the current file's parts. */
  #left = 0;
  /** Padding after the data. */
  #padding = 0;
  #parts: readonly Part[] = [];
  #part = 0;
  #partDone = 0;
  #globalPax: PaxRecords = [];
  #pax: PaxRecords = [];
  #longName: ByteText | undefined;
  #longLink: ByteText | undefined;
  #current = "";

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** Throws `image`. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const state = this.#state;
      const available = chunk.length - at;
      switch (state.kind) {
        case "collect": {
          const used = Math.min(available, state.size - this.#collectedBytes);
          const piece = chunk.subarray(at, at + used);
          at += used;
          this.#offset += used;
          if (used === state.size) {
            this.#state = state.take(piece);
            break;
          }
          // A copy: the chunk's memory is not ours to keep.
          this.#collected.push(Buffer.from(piece));
          this.#collectedBytes += used;
          if (this.#collectedBytes < state.size) break;
          const whole = Buffer.concat(this.#collected, this.#collectedBytes);
          this.#collected = [];
          this.#collectedBytes = 0;
          this.#state = state.take(whole);
          break;
        }
        case "data": {
          const used = this.#onData(at, available);
          at += used;
          this.#offset += used;
          break;
        }
        case "skip": {
          const used = Math.min(available, this.#left);
          this.#left -= used;
          at += used;
          this.#offset += used;
          if (this.#left === 0) this.#state = this.#header;
          break;
        }
        case "end":
          return;
      }
    }
  }

  /** Bytes of a file that come next; 0 when it is something else's. */
  get dataBytes(): number {
    return this.#state.kind === "data" ? this.#left : 0;
  }

  /** Bytes that may be left out of what is pushed next: data of files. They count as pushed. */
  skipData(): number {
    const state = this.#state;
    if (state.kind !== "data" && state.kind !== "skip") return 0;
    const skipped = this.#left;
    this.#left = 0;
    this.#offset += skipped;
    this.#state = state.kind === "data" ? this.#end() : this.#header;
    return skipped;
  }

  /** Whether the archive's end was seen: what is left is padding. */
  get ended(): boolean {
    return this.#state.kind === "end";
  }

  /** Throws `image` when the archive ends in the middle of something. An end mark may be missing, as with tar(1). */
  finish(): void {
    const state = this.#state;
    const between =
      (state === this.#header || state === this.#zero) && this.#collectedBytes === 0 && this.#current === "";
    if (state.kind !== "end" && !between) {
      const what = this.#current === "" ? "a header" : shown(this.#current);
      throw new TsrunError("image", `the archive ends in the middle of ${what}, at byte ${this.#offset}`, {
        advice: "it is truncated: get it again",
      });
    }
  }

  #skipping(size: number): State {
    if (size === 0) return this.#header;
    this.#left = size;
    return this.#skip;
  }

  #collecting(size: number, take: (block: Buffer) => State): State {
    return size === 0 ? take(Buffer.alloc(0)) : { kind: "collect", size, take };
  }

  #onHeader(block: Buffer): State {
    if (isZero(block) && this.#current === "") return this.#zero;
    const header = decodeHeader(block, this.#offset - BLOCK);
    if (header.size < 0) throw this.#bad(header.name, `its size is ${header.size}`);
    switch (header.type) {
      case "x":
      case "X":
        return this.#collectingHeader(header, (text) => {
          this.#pax = decodePax(text);
        });
      case "g":
        return this.#collectingHeader(header, (text) => {
          this.#globalPax = [...this.#globalPax, ...checkGlobal(decodePax(text))];
          if (this.#globalPax.length > 10_000) throw new TsrunError("image", "more than 10000 global header records");
        });
      case "L":
        return this.#collectingHeader(header, (text) => {
          this.#longName = upToNul(text);
        });
      case "K":
        return this.#collectingHeader(header, (text) => {
          this.#longLink = upToNul(text);
        });
      case "V":
        return this.#skipping(padded(header.size));
    }
    const kind = kinds[header.type];
    if (kind === undefined) {
      throw this.#bad(header.name, `type ${JSON.stringify(header.type)} is none that can be unpacked`);
    }
    return this.#onEntry(header, kind, block);
  }

  #collectingHeader(header: TarHeader, take: (text: Buffer) => void): State {
    if (header.size > MAX_HEADER_BYTES) {
      throw this.#bad(header.name, `a header of ${header.size} bytes, more than ${MAX_HEADER_BYTES}`);
    }
    this.#current = header.name;
    return this.#collecting(padded(header.size), (block) => {
      take(block.subarray(0, header.size));
      // Still in the middle of an entry, whose own header is to come.
      return this.#header;
    });
  }

  #bad(name: ByteText, what: string): TsrunError {
    return new TsrunError("image", `entry ${shown(name)} at byte ${this.#offset - BLOCK}: ${what}`);
  }

  /** Runs what throws about an entry, and names the entry in the message. */
  #about<T>(name: ByteText, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw error instanceof TsrunError ? this.#bad(name, error.message) : error;
    }
  }

  #onEntry(header: TarHeader, kind: EntryKind, block: Buffer): State {
    const records = this.#globalPax.length === 0 ? this.#pax : [...this.#globalPax, ...this.#pax];
    const sparse = this.#about(header.name, () => (records.length === 0 ? undefined : paxSparse(records)));
    const { entry, stored } = this.#describe(header, kind, records, sparse);
    this.#pax = [];
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#current = entry.name;
    if (kind !== "file") {
      // A hard link has no data whatever its header says (GNU tar and Go agree); of others readers disagree.
      if (stored !== 0 && kind !== "hard-link" && header.type !== "D") {
        throw this.#bad(entry.name, `a ${kind} with ${stored} bytes of data`);
      }
      this.#sink.entry(entry);
      this.#current = "";
      return this.#skipping(kind === "directory" ? padded(stored) : 0);
    }
    this.#padding = padded(stored) - stored;
    if (header.type === "S") return this.#onOldSparse(entry, stored, block);
    if (sparse === undefined) return this.#begin(entry, [{ offset: 0, size: stored }], stored);
    if (sparse.parts !== "in-data") return this.#begin(entry, sparse.parts, stored);
    const reader = new SparseMapReader();
    const onMap = (next: Buffer): State => {
      const parts = this.#about(entry.name, () => reader.add(next));
      if (reader.size > stored) throw this.#bad(entry.name, "its map of a sparse file is longer than its data");
      return parts === undefined ? this.#collecting(BLOCK, onMap) : this.#begin(entry, parts, stored - reader.size);
    };
    return this.#collecting(BLOCK, onMap);
  }

  #onOldSparse(entry: TarEntry, stored: number, block: Buffer): State {
    const parts: Part[] = [];
    const { fileSize, more } = this.#about(entry.name, () => oldSparseHeader(block, parts));
    const whole = { ...entry, size: fileSize };
    const onBlock = (next: Buffer): State =>
      this.#about(entry.name, () => oldSparseBlock(next, parts))
        ? this.#collecting(BLOCK, onBlock)
        : this.#begin(whole, parts, stored);
    return more ? this.#collecting(BLOCK, onBlock) : this.#begin(whole, parts, stored);
  }

  #describe(
    header: TarHeader,
    kind: EntryKind,
    records: PaxRecords,
    sparse: PaxSparse | undefined,
  ): { entry: TarEntry; stored: number } {
    let name = this.#longName ?? header.name;
    let linkName = this.#longLink ?? header.linkName;
    let { uid, gid, size } = header;
    let mtime = { seconds: header.mtime, ns: 0 };
    const attributes = new Map<ByteText, ByteText>();
    const parsed = <T>(value: T | undefined, key: string): T => {
      if (value === undefined) throw this.#bad(name, `its extended header has a malformed ${key}`);
      return value;
    };
    for (const [key, value] of records) {
      // An empty value takes back what a global header says (pax(1)); what the entry's own header has holds then.
      if (key.startsWith("SCHILY.xattr.")) attributes.set(key.slice("SCHILY.xattr.".length), value);
      else if (value === "") continue;
      else if (key === "path") name = value;
      else if (key === "linkpath") linkName = value;
      else if (key === "size") size = parsed(decodeNumber(value), key);
      else if (key === "uid") uid = parsed(decodeNumber(value), key);
      else if (key === "gid") gid = parsed(decodeNumber(value), key);
      else if (key === "mtime") mtime = parsed(decodeTime(value), key);
    }
    const entry: TarEntry = {
      kind,
      name: sparse?.name ?? name,
      linkName,
      mode: header.mode,
      uid,
      gid,
      size: kind === "file" ? (sparse?.fileSize ?? size) : 0,
      mtime,
      major: header.major,
      minor: header.minor,
      attributes: Array.from(attributes, ([attribute, value]) => ({ name: attribute, value })),
    };
    return { entry, stored: kind === "hard-link" ? 0 : size };
  }

  #begin(entry: TarEntry, parts: readonly Part[], stored: number): State {
    this.#about(entry.name, () => checkParts(parts, entry.size, stored));
    this.#sink.entry(entry);
    this.#parts = parts;
    this.#part = 0;
    this.#partDone = 0;
    this.#left = stored;
    return stored === 0 ? this.#end() : this.#data;
  }

  /** Hands over data of the chunk; how much of it. */
  #onData(at: number, available: number): number {
    let used = 0;
    while (used < available && this.#left > 0) {
      const part = this.#parts[this.#part] as Part;
      const size = Math.min(available - used, part.size - this.#partDone);
      if (size > 0) this.#sink.data(part.offset + this.#partDone, at + used, size);
      used += size;
      this.#partDone += size;
      this.#left -= size;
      if (this.#partDone === part.size) {
        this.#part++;
        this.#partDone = 0;
      }
    }
    if (this.#left === 0) this.#state = this.#end();
    return used;
  }

  #end(): State {
    this.#sink.fileEnd();
    this.#current = "";
    return this.#skipping(this.#padding);
  }
}

function upToNul(text: Buffer): ByteText {
  const nul = text.indexOf(0);
  return text.toString("latin1", 0, nul < 0 ? text.length : nul);
}

/** A global header holds for every file behind it, so it cannot say what belongs to one. */
function checkGlobal(records: PaxRecords): PaxRecords {
  for (const [key] of records) {
    if (key === "path" || key === "linkpath" || key === "size" || key.startsWith("GNU.sparse.")) {
      throw new TsrunError("image", `a global header has ${shown(key)}, which belongs to one file`);
    }
  }
  return records;
}
