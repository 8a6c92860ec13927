/** Extended headers of POSIX.1-2001 (pax(1), "pax Extended Header"): records `LENGTH KEY=VALUE\n`. */
import { TsrunError } from "../core/errors.ts";
import type { ByteText } from "./tar-header.ts";

/** In the order of the file: GNU's sparse format 0.0 repeats a key. */
export type PaxRecords = readonly (readonly [key: ByteText, value: ByteText])[];

/** Throws `image`. */
export function decodePax(block: Buffer): PaxRecords {
  const records: [ByteText, ByteText][] = [];
  for (let at = 0; at < block.length; ) {
    const space = block.indexOf(0x20, at);
    const digits = space < 0 ? "" : block.toString("latin1", at, Math.min(space, at + 12));
    const size = /^[1-9]\d{0,9}$/.test(digits) ? Number(digits) : 0;
    const end = at + size;
    const equals = block.indexOf(0x3d, space + 1);
    if (size === 0 || end > block.length || block[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw new TsrunError("image", "an extended header (pax) is malformed");
    }
    records.push([block.toString("latin1", space + 1, equals), block.toString("latin1", equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** A number of seconds with a fraction: whole seconds (rounded down) and nanoseconds. Undefined when it is none. */
export function decodeTime(text: string): { readonly seconds: number; readonly ns: number } | undefined {
  const found = /^(-?)(\d{1,16})(?:\.(\d*))?$/.exec(text);
  if (found === null) return undefined;
  const seconds = Number(found[2]);
  const ns = Number((found[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (!Number.isSafeInteger(seconds)) return undefined;
  if (found[1] !== "-") return { seconds, ns };
  return ns === 0 ? { seconds: -seconds, ns } : { seconds: -seconds - 1, ns: 1_000_000_000 - ns };
}

/** A decimal number from 0 to 2^53. Undefined when it is none. */
export function decodeNumber(text: string): number | undefined {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}
