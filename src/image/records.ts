/**
 * Records for the addon's Extraction, as addon/extract/records.h reads them: little-endian, none aligned. Texts are bytes,
 * one character each.
 */
import type { Attribute } from "./attributes.ts";
import type { ByteText } from "./tar-header.ts";

const recordKinds = {
  directory: 1,
  file: 2,
  data: 3,
  fileEnd: 4,
  symlink: 5,
  hardLink: 6,
  node: 7,
  whiteout: 8,
  opaque: 9,
  removeLower: 10,
  removeLowerInside: 11,
  layer: 12,
} as const;
export type RecordKind = keyof typeof recordKinds;

/** Kinds that name a path. */
export type PathRecordKind = Exclude<RecordKind, "data" | "fileEnd" | "layer">;

export interface PathRecord {
  readonly path: ByteText;
  readonly target?: ByteText;
  /** With the file type (S_IFMT) for nodes. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: { readonly seconds: number; readonly ns: number };
  readonly major?: number;
  readonly minor?: number;
  readonly attributes?: readonly Attribute[];
}

const ENTRY_BYTES = 39;
const DATA_BYTES = 17;

export class Records {
  #buffer = Buffer.allocUnsafe(64 * 1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** What was written since the last call. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#size);
    this.#buffer = Buffer.allocUnsafe(64 * 1024);
    this.#size = 0;
    return taken;
  }

  #reserve(bytes: number): number {
    const at = this.#size;
    if (at + bytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, at + bytes));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    this.#size += bytes;
    return at;
  }

  path(kind: PathRecordKind, record: PathRecord): void {
    const { path, target = "", attributes = [] } = record;
    let bytes = ENTRY_BYTES + path.length + target.length;
    for (const { name, value } of attributes) bytes += 6 + name.length + value.length;
    let at = this.#reserve(bytes);
    const out = this.#buffer;
    out[at] = recordKinds[kind];
    out.writeUInt32LE(record.mode ?? 0, at + 1);
    out.writeUInt32LE(record.uid ?? 0, at + 5);
    out.writeUInt32LE(record.gid ?? 0, at + 9);
    out.writeBigInt64LE(BigInt(record.mtime?.seconds ?? 0), at + 13);
    out.writeUInt32LE(record.mtime?.ns ?? 0, at + 21);
    out.writeUInt32LE(record.major ?? 0, at + 25);
    out.writeUInt32LE(record.minor ?? 0, at + 29);
    out.writeUInt16LE(path.length, at + 33);
    out.writeUInt16LE(target.length, at + 35);
    out.writeUInt16LE(attributes.length, at + 37);
    at += ENTRY_BYTES;
    at += out.write(path, at, "latin1");
    at += out.write(target, at, "latin1");
    for (const { name, value } of attributes) {
      out.writeUInt16LE(name.length, at);
      out.writeUInt32LE(value.length, at + 2);
      at += 6;
      at += out.write(name, at, "latin1");
      at += out.write(value, at, "latin1");
    }
  }

  data(position: number, offset: number, size: number): void {
    const at = this.#reserve(DATA_BYTES);
    this.#buffer[at] = recordKinds.data;
    this.#buffer.writeBigUInt64LE(BigInt(position), at + 1);
    this.#buffer.writeUInt32LE(offset, at + 9);
    this.#buffer.writeUInt32LE(size, at + 13);
  }

  fileEnd(size: number): void {
    const at = this.#reserve(9);
    this.#buffer[at] = recordKinds.fileEnd;
    this.#buffer.writeBigUInt64LE(BigInt(size), at + 1);
  }

  layer(): void {
    this.#buffer[this.#reserve(1)] = recordKinds.layer;
  }
}
