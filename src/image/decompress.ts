/** Compression, told by the first bytes, and taken away: gzip and zstd by Node's zlib, xz and bzip2 by the system's tools. */
import { spawn } from "node:child_process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as zlib from "node:zlib";
import { reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";

export type Compression = "none" | "gzip" | "zstd" | "xz" | "bzip2";

const magics: readonly (readonly [Compression, string])[] = [
  ["gzip", "\x1f\x8b"],
  ["zstd", "\x28\xb5\x2f\xfd"],
  ["xz", "\xfd7zXZ\0"],
  ["bzip2", "BZh"],
];
/** Behind a first byte from 0x50 to 0x5f: a frame of zstd that decoders skip (RFC 8878, 3.1.2). */
const SKIPPABLE = "\x2a\x4d\x18";

/** Of a file that begins with these bytes (six suffice). */
export function compressionOf(start: Buffer): Compression {
  const text = start.toString("latin1", 0, 6);
  if (((start[0] ?? 0) & 0xf0) === 0x50 && text.startsWith(SKIPPABLE, 1)) return "zstd";
  return magics.find(([, magic]) => text.startsWith(magic))?.[0] ?? "none";
}

/** Bytes of a piece that comes out. */
const CHUNK_BYTES = 256 * 1024;
/** Most memory that xz may want: its largest preset needs 65 MiB, an archive can ask for 4 GiB. */
const XZ_MEMORY = "512MiB";

/** The uncompressed bytes. Throws `image`: damaged, or cut off. */
export async function* decompress(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const [start, chunks] = await peek(source);
  const compression = compressionOf(start);
  switch (compression) {
    case "none":
      yield* chunks;
      return;
    case "gzip":
      yield* throughStream(chunks, zlib.createGunzip({ chunkSize: CHUNK_BYTES }), "gzip");
      return;
    case "zstd":
      // Node 22.15 and 23.8.
      if (typeof zlib.createZstdDecompress === "function") {
        yield* zstdFrames(chunks);
      } else yield* throughTool(chunks, "zstd", ["-dcq"]);
      return;
    case "xz":
      yield* throughTool(chunks, "xz", ["-dcq", `--memlimit-decompress=${XZ_MEMORY}`]);
      return;
    case "bzip2":
      yield* throughTool(chunks, "bzip2", ["-dcq"]);
  }
}

/** The first bytes (six, if there are so many), and everything from the beginning on. */
async function peek(source: AsyncIterable<Buffer>): Promise<[Buffer, AsyncGenerator<Buffer>]> {
  const iterator = source[Symbol.asyncIterator]();
  let start: Buffer = Buffer.alloc(0);
  while (start.length < 6) {
    const next = await iterator.next();
    if (next.done === true) break;
    start = start.length === 0 ? next.value : Buffer.concat([start, next.value]);
  }
  const all = async function* (): AsyncGenerator<Buffer> {
    try {
      if (start.length > 0) yield start;
      yield* { [Symbol.asyncIterator]: () => iterator };
    } finally {
      await iterator.return?.();
    }
  };
  return [start, all()];
}

const damaged = (format: string, why: string): TsrunError =>
  new TsrunError("image", `${format}: ${why}`, { advice: "the archive is damaged or cut off: get it again" });

/**
 * All frames, one after another (zstd:chunked has one for each piece of a file): Node's decoder ends with the first frame that
 * ends within what it was given. What it did not take is for the next one.
 */
async function* zstdFrames(source: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  /** Read, and not known to be taken. */
  let queue: Buffer[] = [];
  let reading: Promise<Buffer | undefined> = Promise.resolve(undefined);
  try {
    for (;;) {
      const decoder = zlib.createZstdDecompress({ chunkSize: CHUNK_BYTES });
      let dropped = 0;
      const read = async (): Promise<Buffer | undefined> => {
        const next = await source.next();
        if (next.done === true) return undefined;
        while (queue[0] !== undefined && dropped + queue[0].length <= decoder.bytesWritten)
          dropped += (queue.shift() as Buffer).length;
        queue.push(next.value);
        return next.value;
      };
      const feed = async function* (): AsyncGenerator<Buffer> {
        yield* [...queue];
        for (;;) {
          reading = read();
          const chunk = await reading;
          if (chunk === undefined) return;
          yield chunk;
        }
      };
      yield* throughStream(feed(), decoder, "zstd");
      // The stream reads ahead of the decoder.
      await reading;
      queue = from(queue, decoder.bytesWritten - dropped);
      if (queue.length === 0) return;
      if (decoder.bytesWritten === 0) throw damaged("zstd", "what follows the last frame is none");
    }
  } finally {
    await source.return(undefined);
  }
}

/** What is behind the first bytes of a list of pieces. */
function from(pieces: readonly Buffer[], offset: number): Buffer[] {
  let left = offset;
  const rest: Buffer[] = [];
  for (const piece of pieces) {
    if (left < piece.length) rest.push(left === 0 ? piece : piece.subarray(left));
    left = Math.max(0, left - piece.length);
  }
  return rest;
}

async function* throughStream(
  source: AsyncIterable<Buffer>,
  decoder: NodeJS.ReadWriteStream & Readable,
  format: string,
): AsyncGenerator<Buffer> {
  // What the source throws is its own; what the decoder throws is about its format.
  let sourceError: unknown;
  const watched = async function* (): AsyncGenerator<Buffer> {
    try {
      yield* source;
    } catch (error) {
      sourceError = error;
      throw error;
    }
  };
  const fed = pipeline(Readable.from(watched(), { objectMode: false }), decoder, { end: true }).catch(() => {
    // The decoder, which it destroys, gives the error to the loop below.
  });
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
  } catch (error) {
    if (sourceError !== undefined) throw sourceError;
    throw error instanceof TsrunError ? error : damaged(format, reasonOf(error));
  } finally {
    decoder.destroy();
    await fed;
  }
}

async function* throughTool(
  source: AsyncIterable<Buffer>,
  tool: string,
  args: readonly string[],
): AsyncGenerator<Buffer> {
  const child = spawn(tool, args, { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (text: Buffer) => {
    if (said.length < 1000) said += text.toString("utf8");
  });
  const ended = new Promise<TsrunError | undefined>((resolve) => {
    child.on("error", (error) =>
      resolve(new TsrunError("unsupported", `cannot run ${tool}: ${reasonOf(error)}`, { advice: `install ${tool}` })),
    );
    child.on("close", (code, signal) =>
      resolve(code === 0 ? undefined : damaged(tool, said.trim().split("\n")[0] || `ended with ${code ?? signal}`)),
    );
  });
  let sourceError: unknown;
  const fed = (async () => {
    try {
      await pipeline(async function* () {
        try {
          yield* source;
        } catch (error) {
          sourceError = error;
          throw error;
        }
      }, child.stdin);
    } catch {
      // EPIPE: the tool has ended, and its status says why. A failed source is kept above.
      child.stdin.destroy();
    }
  })();
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const failure = await ended;
    await fed;
    if (sourceError !== undefined) throw sourceError;
    if (failure !== undefined) throw failure;
  } finally {
    child.kill();
    await ended;
    await fed;
  }
}
