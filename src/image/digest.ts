/** Digests, checked while the bytes go by. */
import { createHash, type Hash } from "node:crypto";
import type { Digest } from "../../spec-schemas/image.ts";
import { TsrunError } from "../core/errors.ts";

export interface Expected {
  readonly what: string;
  readonly digest?: Digest | undefined;
  readonly sizeBytes?: number | undefined;
}

/** The digest's parts: `sha256` and hex digits. */
export function partsOf(digest: Digest): readonly [algorithm: string, hex: string] {
  const colon = digest.indexOf(":");
  return [digest.slice(0, colon), digest.slice(colon + 1)];
}

/** Passes bytes on; at their end, or as soon as there are too many, throws `image` when they are not what they should be. */
export async function* verified(source: AsyncIterable<Buffer>, expected: Expected): AsyncGenerator<Buffer> {
  const { what, digest, sizeBytes } = expected;
  const hash = digest === undefined ? undefined : createHash(partsOf(digest)[0]);
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (sizeBytes !== undefined && bytes > sizeBytes) throw wrongSize(what, `more than ${sizeBytes}`, sizeBytes);
    hash?.update(chunk);
    yield chunk;
  }
  if (sizeBytes !== undefined && bytes !== sizeBytes) throw wrongSize(what, String(bytes), sizeBytes);
  if (hash !== undefined && digest !== undefined) checkDigest(hash, digest, what);
}

/** Checks bytes that are at hand. Throws `image`. */
export function verifyBytes(bytes: Buffer, { what, digest, sizeBytes }: Expected): void {
  if (sizeBytes !== undefined && bytes.length !== sizeBytes) throw wrongSize(what, String(bytes.length), sizeBytes);
  if (digest !== undefined) checkDigest(createHash(partsOf(digest)[0]).update(bytes), digest, what);
}

function checkDigest(hash: Hash, digest: Digest, what: string): void {
  const [algorithm, wanted] = partsOf(digest);
  const found = hash.digest("hex");
  if (found !== wanted) {
    throw new TsrunError("image", `${what}: its digest is ${algorithm}:${found}, the image says ${digest}`, {
      advice: "it is damaged or was tampered with",
    });
  }
}

function wrongSize(what: string, found: string, wanted: number): TsrunError {
  return new TsrunError("image", `${what}: it has ${found} bytes, the image says ${wanted}`);
}
