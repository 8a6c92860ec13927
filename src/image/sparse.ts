/**
 * GNU tar's sparse files: "old" (type S, the map in the header and blocks behind it) and in extended headers 0.0, 0.1 and
 * 1.0 (GNU tar manual, "Sparse Formats"). The archive has the file's parts, the map says where in the file they belong.
 */
import { TsrunError } from "../core/errors.ts";
import type { PaxRecords } from "./pax.ts";
import { decodeNumber } from "./pax.ts";
import { BLOCK, numberAt } from "./tar-header.ts";

/** A part of the file that is there; the rest is zeros. */
export interface Part {
  readonly offset: number;
  readonly size: number;
}

/** More parts than any sane file has; bounds the memory for a map. */
const MAX_PARTS = 1 << 18;

const malformed = (what: string): TsrunError => new TsrunError("image", `its map of a sparse file ${what}`);

/** Parts in order, none over another, inside the file, as long together as what is stored. Throws `image`. */
export function checkParts(parts: readonly Part[], fileSize: number, storedSize: number): void {
  let end = 0;
  let stored = 0;
  for (const { offset, size } of parts) {
    if (offset < end) throw malformed("has parts that overlap or are not in order");
    end = offset + size;
    if (!Number.isSafeInteger(end) || end > fileSize) throw malformed("goes beyond the file's end");
    stored += size;
  }
  if (stored !== storedSize) throw malformed(`has ${stored} bytes, the archive ${storedSize}`);
}

/** Adds the parts of `count` slots of 24 bytes; an empty slot ends them. */
function addSlots(block: Buffer, start: number, count: number, parts: Part[]): void {
  for (let i = 0; i < count; i++) {
    const at = start + i * 24;
    if (block[at + 12] === 0) return;
    const offset = numberAt(block, at, 12);
    const size = numberAt(block, at + 12, 12);
    if (offset === undefined || size === undefined || offset < 0 || size < 0) throw malformed("is malformed");
    parts.push({ offset, size });
  }
  if (parts.length > MAX_PARTS) throw malformed(`has more than ${MAX_PARTS} parts`);
}

/** The map of a header of type S; `more`: blocks of it follow. Throws `image`. */
export function oldSparseHeader(block: Buffer, parts: Part[]): { readonly fileSize: number; readonly more: boolean } {
  addSlots(block, 386, 4, parts);
  const fileSize = numberAt(block, 483, 12);
  if (fileSize === undefined || fileSize < 0) throw malformed("has no size of the file");
  return { fileSize, more: block[482] !== 0 };
}

/** A further block of that map; whether another follows. */
export function oldSparseBlock(block: Buffer, parts: Part[]): boolean {
  addSlots(block, 0, 21, parts);
  return block[504] !== 0;
}

/** What extended headers say of a sparse file. */
export interface PaxSparse {
  readonly fileSize: number;
  /** 1.0: the map stands before the file's parts. */
  readonly parts: readonly Part[] | "in-data";
  readonly name?: string | undefined;
}

/** Undefined when the file is not sparse. Throws `image`. */
export function paxSparse(records: PaxRecords): PaxSparse | undefined {
  const last = new Map(records);
  const get = (key: string): string | undefined => last.get(`GNU.sparse.${key}`);
  const name = get("name");
  const major = get("major");
  const sizeText = get("realsize") ?? get("size");
  const fileSize = sizeText === undefined ? undefined : decodeNumber(sizeText);
  if (major !== undefined) {
    if (major !== "1" || get("minor") !== "0") throw malformed(`is of format ${major}.${get("minor")}`);
    if (fileSize === undefined) throw malformed("has no size of the file");
    return { fileSize, parts: "in-data", name };
  }
  const numbers: string[] = [];
  const map = get("map");
  if (map !== undefined) numbers.push(...(map === "" ? [] : map.split(",")));
  else {
    for (const [key, value] of records) {
      if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") numbers.push(value);
    }
  }
  if (map === undefined && get("numblocks") === undefined) return undefined;
  if (fileSize === undefined) throw malformed("has no size of the file");
  return { fileSize, parts: pairs(numbers), name };
}

function pairs(texts: readonly string[]): Part[] {
  if (texts.length % 2 !== 0) throw malformed("has an offset without a size");
  if (texts.length > 2 * MAX_PARTS) throw malformed(`has more than ${MAX_PARTS} parts`);
  const parts: Part[] = [];
  for (let i = 0; i < texts.length; i += 2) {
    const offset = decodeNumber(texts[i] as string);
    const size = decodeNumber(texts[i + 1] as string);
    if (offset === undefined || size === undefined) throw malformed("is malformed");
    parts.push({ offset, size });
  }
  return parts;
}

/** Reads the map of format 1.0, block by block: a count, then that many offsets and sizes, a line each. */
export class SparseMapReader {
  readonly #numbers: string[] = [];
  #rest = "";
  #blocks = 0;

  /** The parts, when the map is complete with this block. Throws `image`. */
  add(block: Buffer): Part[] | undefined {
    this.#blocks++;
    const lines = (this.#rest + block.toString("latin1", 0, BLOCK)).split("\n");
    this.#rest = lines.pop() as string;
    for (const line of lines) {
      this.#numbers.push(line);
      const count = decodeNumber(this.#numbers[0] as string);
      if (count === undefined || count > MAX_PARTS) throw malformed(`has no count of at most ${MAX_PARTS}`);
      if (this.#numbers.length === 1 + 2 * count) return pairs(this.#numbers.slice(1));
    }
    if (this.#rest.length > 32) throw malformed("is malformed");
    return undefined;
  }

  /** Bytes that the map takes of what is stored. */
  get size(): number {
    return this.#blocks * BLOCK;
  }
}
