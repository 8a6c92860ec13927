/** Decompression and digests: what comes through, and what damage becomes. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "@jest/globals";
import { compressionOf, decompress } from "./decompress.ts";
import { verified } from "./digest.ts";

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of source) all.push(chunk);
  return Buffer.concat(all);
}

/** Not with toEqual, which looks at every byte by itself. */
const same = (a: Buffer, b: Buffer): boolean => a.equals(b);

const content = Buffer.from(Array.from({ length: 100_000 }, (_, i) => String(i)).join(" "));

function tool(name: string, ...args: string[]): (bytes: Buffer) => Buffer {
  return (bytes) => {
    const { stdout, stderr, status, error } = spawnSync(name, args, { input: bytes, maxBuffer: 1 << 30 });
    if (status !== 0) throw error ?? new Error(String(stderr));
    return stdout;
  };
}

const formats: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
  ["none", (bytes) => bytes],
  ["gzip", (bytes) => gzipSync(bytes)],
  ["zstd", tool("zstd", "-qc")],
  ["xz", tool("xz", "-c")],
  ["bzip2", tool("bzip2", "-c")],
];

describe.each(formats)("%s", (name, compress) => {
  const bytes = compress(content);
  test("is told by its first bytes, and taken away", async () => {
    expect(compressionOf(bytes)).toBe(name);
    expect(same(await collect(decompress(pieces(bytes, 1000))), content)).toBe(true);
    const few = Buffer.from("few bytes, one by one");
    expect(same(await collect(decompress(pieces(compress(few), 1))), few)).toBe(true);
  });
  test("several after each other are one (pigz, zstd:chunked)", async () => {
    const twice = Buffer.concat([bytes, bytes]);
    expect(same(await collect(decompress(pieces(twice, 4096))), Buffer.concat([content, content]))).toBe(true);
  });
  if (name !== "none") {
    test("cut off is an error", async () => {
      await expect(collect(decompress(pieces(bytes.subarray(0, bytes.length - 20), 4096)))).rejects.toMatchObject({
        code: "image",
        message: expect.stringContaining(name),
      });
    });
    test("damaged is an error", async () => {
      const damaged = Buffer.from(bytes);
      damaged.fill(0x55, 1000, 1100);
      await expect(collect(decompress(pieces(damaged, 4096)))).rejects.toMatchObject({ code: "image" });
    });
  }
  test("an error of the source is the source's", async () => {
    const broken = async function* (): AsyncGenerator<Buffer> {
      yield bytes.subarray(0, 100);
      throw new Error("the disk is gone");
    };
    await expect(collect(decompress(broken()))).rejects.toThrow("the disk is gone");
  });
  test("whoever stops in the middle leaves nothing behind that runs", async () => {
    for await (const chunk of decompress(pieces(bytes, 100))) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  });
});

test("hundreds of frames of zstd, some empty, in pieces of any size, and what is none behind them", async () => {
  const [, compress] = formats[2] as (typeof formats)[number];
  const texts = Array.from({ length: 7 }, (_, i) => content.subarray(0, i * 5000));
  const frames = texts.map(compress);
  const many = (each: readonly Buffer[]): Buffer => Buffer.concat(Array.from({ length: 50 }, () => each).flat());
  for (const size of [1000, 4096, 1 << 20])
    expect(same(await collect(decompress(pieces(many(frames), size))), many(texts))).toBe(true);
  const trailed = Buffer.concat([many(frames), Buffer.from("no frame")]);
  await expect(collect(decompress(pieces(trailed, 4096)))).rejects.toMatchObject({ code: "image" });
});

test("a skippable frame of zstd at the beginning", async () => {
  const [, compress] = formats[2] as (typeof formats)[number];
  const skipped = Buffer.concat([
    Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0]),
    Buffer.alloc(4),
    compress(content),
  ]);
  expect(same(await collect(decompress(pieces(skipped, 4096))), content)).toBe(true);
});

describe("digests", () => {
  const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
  const run = (expected: { digest?: string; sizeBytes?: number }): Promise<Buffer> =>
    collect(verified(pieces(content, 1000), { what: "blob", ...expected }));
  test("what fits comes through", async () => {
    expect(same(await run({ digest, sizeBytes: content.length }), content)).toBe(true);
    const sha512 = `sha512:${createHash("sha512").update(content).digest("hex")}`;
    expect(same(await run({ digest: sha512 }), content)).toBe(true);
  });
  test.each([
    ["another digest", { digest: `sha256:${"0".repeat(64)}` }, /its digest is sha256:/],
    ["more bytes", { digest, sizeBytes: content.length - 1 }, /more than/],
    ["fewer bytes", { digest, sizeBytes: content.length + 1 }, /it has \d+ bytes/],
  ])("%s are an error", async (_, expected, message) => {
    await expect(run(expected)).rejects.toThrow(message);
  });
});
