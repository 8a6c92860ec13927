import { TsrunError } from "../core/errors.ts";

/** Bounds for what comes out of an archive (attack row 24). Each is an error that names the limit, never a truncation. */
export interface Limits {
  /** Bytes of one uncompressed archive, and of its files with the holes of sparse ones. */
  readonly maxBytes: number;
  /** Entries of one archive. */
  readonly maxEntries: number;
  /** Components of a name. */
  readonly maxDepth: number;
}

export const defaultLimits: Limits = {
  maxBytes: 256 * 1024 ** 3,
  maxEntries: 2_000_000,
  maxDepth: 256,
};

export const tooManyBytes = (most: number, of: string): TsrunError =>
  new TsrunError("image", `more than ${most} bytes ${of}`, { advice: "--max-bytes takes a larger limit" });

export const tooManyEntries = (most: number): TsrunError =>
  new TsrunError("image", `more than ${most} entries`, { advice: "--max-entries takes a larger limit" });
