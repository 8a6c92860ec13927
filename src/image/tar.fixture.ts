/** Makes tar archives for tests, byte by byte, so that they can also say what no sane program writes. */
import { BLOCK } from "./tar-header.ts";

export interface Header {
  readonly name: string;
  /** Type flag. */
  readonly type?: string;
  readonly size?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly link?: string;
  readonly major?: number;
  readonly minor?: number;
  /** ustar (POSIX, the default), gnu or v7. */
  readonly format?: "ustar" | "gnu" | "v7";
  readonly prefix?: string;
  /** Changes the block before its checksum is made. */
  readonly edit?: (block: Buffer) => void;
}

const octal = (value: number, size: number): string => `${value.toString(8).padStart(size - 1, "0")}\0`;

export function header(fields: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  const { format = "ustar" } = fields;
  block.write(fields.name, 0, 100, "latin1");
  block.write(octal(fields.mode ?? 0o644, 8), 100);
  block.write(octal(fields.uid ?? 0, 8), 108);
  block.write(octal(fields.gid ?? 0, 8), 116);
  block.write(octal(fields.size ?? 0, 12), 124);
  block.write(octal(fields.mtime ?? 0, 12), 136);
  if (format !== "v7" || fields.type !== undefined) block.write(fields.type ?? "0", 156);
  block.write(fields.link ?? "", 157, 100, "latin1");
  if (format === "ustar") block.write("ustar\x0000", 257, "latin1");
  if (format === "gnu") block.write("ustar  \0", 257, "latin1");
  if (fields.major !== undefined) block.write(octal(fields.major, 8), 329);
  if (fields.minor !== undefined) block.write(octal(fields.minor, 8), 337);
  if (fields.prefix !== undefined) block.write(fields.prefix, 345, 155, "latin1");
  fields.edit?.(block);
  return withChecksum(block);
}

export function withChecksum(block: Buffer): Buffer {
  block.fill(" ", 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

export function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

export function file(name: string, content: string | Buffer, fields: Partial<Header> = {}): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([header({ name, size: bytes.length, ...fields }), padded(bytes)]);
}

export const directory = (name: string, fields: Partial<Header> = {}): Buffer =>
  header({ name, type: "5", mode: 0o755, ...fields });

export const symlink = (name: string, link: string): Buffer => header({ name, type: "2", mode: 0o777, link });

export const hardLink = (name: string, link: string): Buffer => header({ name, type: "1", link });

/** An extended header for the next entry; values are bytes, one character each. */
export function pax(records: readonly (readonly [string, string])[], type = "x"): Buffer {
  const text = records
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`;
      let size = rest.length + 1;
      while (String(size).length + rest.length !== size) size++;
      return `${size}${rest}`;
    })
    .join("");
  return file("PaxHeaders/x", Buffer.from(text, "latin1"), { type });
}

/** GNU's long name (L) or long link (K) for the next entry. */
export const gnuLong = (type: "L" | "K", text: string): Buffer =>
  file("././@LongLink", Buffer.from(`${text}\0`, "latin1"), { type, format: "gnu" });

export const END = Buffer.alloc(2 * BLOCK);

export const archive = (...entries: readonly Buffer[]): Buffer => Buffer.concat([...entries, END]);
