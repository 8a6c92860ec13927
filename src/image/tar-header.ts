/**
 * One header of a tar archive: ustar (POSIX.1-1988), GNU tar and V7. Texts are bytes, one character each (latin1): names
 * on Linux are bytes, and only what is shown to people is decoded.
 */
import { TsrunError } from "../core/errors.ts";

export const BLOCK = 512;

/** Bytes as text, one character a byte. */
export type ByteText = string;

const SHOWN_BYTES = 200;

/** For people: as UTF-8, quoted; of a long one the end, which says most. */
export function shown(text: ByteText): string {
  const end = JSON.stringify(Buffer.from(text.slice(-SHOWN_BYTES), "latin1").toString("utf8"));
  return text.length > SHOWN_BYTES ? `"…${end.slice(1)}` : end;
}

export interface TarHeader {
  /** The type flag; "\0" is "0". */
  readonly type: string;
  readonly name: ByteText;
  readonly linkName: ByteText;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that follow, without padding. */
  readonly size: number;
  /** Seconds. */
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
}

/** Text up to the first NUL. */
function textAt(block: Buffer, start: number, size: number): ByteText {
  const nul = block.indexOf(0, start);
  return block.toString("latin1", start, nul < 0 || nul > start + size ? start + size : nul);
}

/**
 * A number: octal digits between spaces and NULs, or in base 256 when the first bit is set (GNU; the second bit is the
 * sign). Undefined when it is neither or above 2^53.
 */
export function numberAt(block: Buffer, start: number, size: number): number | undefined {
  const first = block[start] as number;
  if ((first & 0x80) !== 0) {
    const negative = (first & 0x40) !== 0;
    let value = negative ? -1n : 0n;
    for (let i = start; i < start + size; i++) {
      const byte = i === start ? (first & 0x3f) | (negative ? 0xc0 : 0) : (block[i] as number);
      value = i === start && negative ? BigInt(byte - 256) : value * 256n + BigInt(byte);
    }
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : undefined;
  }
  let at = start;
  const end = start + size;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++;
  let value = 0;
  for (; at < end; at++) {
    const digit = (block[at] as number) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; at < end; at++) if (block[at] !== 0x20 && block[at] !== 0) return undefined;
  return value;
}

export function isZero(block: Buffer): boolean {
  for (let i = 0; i < BLOCK; i++) if (block[i] !== 0) return false;
  return true;
}

/** Whether the checksum is right: of unsigned bytes, or of signed ones as some old programs wrote it. */
function hasChecksum(block: Buffer): boolean {
  let unsigned = 0;
  let high = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : (block[i] as number);
    unsigned += byte;
    if (byte > 127) high++;
  }
  const stored = numberAt(block, 148, 8);
  return stored === unsigned || stored === unsigned - 256 * high;
}

/** Decodes a header that is not zero. `offset` is where it lies, for messages. Throws `image`. */
export function decodeHeader(block: Buffer, offset: number): TarHeader {
  if (!hasChecksum(block)) {
    throw new TsrunError("image", `not a tar header at byte ${offset}: its checksum is wrong`, {
      advice: "the archive is damaged, or is no tar archive",
    });
  }
  let name = textAt(block, 0, 100);
  const magic = block.toString("latin1", 257, 263);
  const ustar = magic === "ustar\0";
  // GNU's and V7's header has other things where ustar has the prefix.
  if (ustar && block[345] !== 0) name = `${textAt(block, 345, 155)}/${name}`;
  const number = (what: string, start: number, size: number): number => {
    const value = numberAt(block, start, size);
    if (value === undefined) {
      throw new TsrunError("image", `entry ${shown(name)} at byte ${offset}: its ${what} is not a number`);
    }
    return value;
  };
  const type = block[156] === 0 ? "0" : String.fromCharCode(block[156] as number);
  const isDevice = type === "3" || type === "4";
  return {
    // V7 has no type of its own for directories.
    type: type === "0" && name.endsWith("/") ? "5" : type,
    name,
    linkName: textAt(block, 157, 100),
    mode: number("mode", 100, 8) & 0o7777,
    uid: number("uid", 108, 8),
    gid: number("gid", 116, 8),
    size: number("size", 124, 12),
    mtime: number("mtime", 136, 12),
    major: isDevice ? number("device number", 329, 8) : 0,
    minor: isDevice ? number("device number", 337, 8) : 0,
  };
}
