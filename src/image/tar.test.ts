import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { pack as createPack } from "tar-stream";
import { archive, directory, END, file, gnuLong, hardLink, header, padded, pax, symlink } from "./tar.fixture.ts";
import { MAX_HEADER_BYTES, type TarEntry, TarReader } from "./tar.ts";
import { numberAt } from "./tar-header.ts";

type Read = TarEntry & { readonly content: string };

/** Reads an archive in pieces of so many bytes; a file's content with its holes as zeros. */
function read(bytes: Buffer, pieceBytes = bytes.length): Read[] {
  const entries: (TarEntry & { content: Buffer })[] = [];
  let chunk: Buffer = Buffer.alloc(0);
  const reader = new TarReader({
    entry: (entry) => entries.push({ ...entry, content: Buffer.alloc(entry.size) }),
    data: (position, offset, size) => chunk.copy(entries.at(-1)?.content as Buffer, position, offset, offset + size),
    fileEnd() {},
  });
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    chunk = bytes.subarray(at, at + pieceBytes);
    reader.push(chunk);
  }
  reader.finish();
  return entries.map((entry) => ({ ...entry, content: entry.content.toString("latin1") }));
}

const first = (...entries: Buffer[]): Read => read(archive(...entries))[0] as Read;

describe("entries", () => {
  test("every kind", () => {
    const entries = read(
      archive(
        directory("d/", { mode: 0o1777, uid: 3, gid: 4, mtime: 5 }),
        file("d/f", "hello"),
        file("seven", "x", { type: "7" }),
        symlink("s", "../t"),
        hardLink("h", "d/f"),
        header({ name: "c", type: "3", major: 5, minor: 1 }),
        header({ name: "b", type: "4", major: 8, minor: 300_000 }),
        header({ name: "p", type: "6" }),
      ),
    );
    expect(
      entries.map(({ kind, name, linkName, content, major, minor }) => [kind, name, linkName, content, major, minor]),
    ).toEqual([
      ["directory", "d/", "", "", 0, 0],
      ["file", "d/f", "", "hello", 0, 0],
      ["file", "seven", "", "x", 0, 0],
      ["symlink", "s", "../t", "", 0, 0],
      ["hard-link", "h", "d/f", "", 0, 0],
      ["character-device", "c", "", "", 5, 1],
      ["block-device", "b", "", "", 8, 300_000],
      ["fifo", "p", "", "", 0, 0],
    ]);
    expect(entries[0]).toMatchObject({ mode: 0o1777, uid: 3, gid: 4, mtime: { seconds: 5, ns: 0 } });
  });
  test("V7: a directory is told by its slash, and there is no prefix", () => {
    expect(first(header({ name: "d/", format: "v7" })).kind).toBe("directory");
    expect(first(header({ name: "f", format: "v7", prefix: "no" })).name).toBe("f");
  });
  test("ustar's prefix, GNU's and pax's long names and links", () => {
    const long = `${"n".repeat(99)}/`.repeat(9);
    expect(first(header({ name: "f", prefix: "a/b" })).name).toBe("a/b/f");
    expect(first(gnuLong("L", long), gnuLong("K", long), symlink("short", "short"))).toMatchObject({
      name: long,
      linkName: long,
    });
    expect(
      first(
        pax([
          ["path", long],
          ["linkpath", long],
        ]),
        symlink("short", "short"),
      ),
    ).toMatchObject({ name: long, linkName: long });
  });
  test("names are bytes", () => {
    expect(first(file("caf\xc3\xa9\xff", "")).name).toBe("caf\xc3\xa9\xff");
    expect(first(pax([["path", "\xff=\n1"]]), file("x", "")).name).toBe("\xff=\n1");
  });
  test("pax: ids, size, fractions of seconds, attributes of any bytes, and a global header below them", () => {
    const all = first(
      pax(
        [
          ["gid", "7"],
          ["mtime", "1"],
          ["comment", "any"],
        ],
        "g",
      ),
      pax([
        ["uid", "4294967294"],
        ["size", "3"],
        ["mtime", "1700000000.123456789"],
        ["SCHILY.xattr.user.x", "\0\xff=\n"],
        ["LIBARCHIVE.xattr.user.x", "AA"],
      ]),
      header({ name: "f" }),
      padded(Buffer.from("abc")),
    );
    expect(all).toMatchObject({
      uid: 4_294_967_294,
      gid: 7,
      mtime: { seconds: 1_700_000_000, ns: 123_456_789 },
      content: "abc",
      attributes: [{ name: "user.x", value: "\0\xff=\n" }],
    });
    expect(first(pax([["mtime", "-1.25"]]), file("f", "")).mtime).toEqual({ seconds: -2, ns: 750_000_000 });
  });
  test("numbers in base 256", () => {
    const at = (...bytes: number[]): number | undefined => numberAt(Buffer.from(bytes), 0, bytes.length);
    expect(at(0x80, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1)).toBe(2 * 2 ** 24 + 1);
    expect(at(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe)).toBe(-2);
    expect(at(0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)).toBeUndefined();
    const big = first(
      header({ name: "f", type: "5", edit: (block) => block.writeBigUInt64BE(0x8000_0000_b2d0_5e00n, 108) }),
    );
    expect(big.uid).toBe(3_000_000_000);
  });
  test("a volume label is passed over; a dump directory is a directory, its list is not read", () => {
    expect(
      read(archive(header({ name: "label", type: "V" }), file("d", "list", { type: "D" }), file("f", "x"))).map(
        ({ kind, name }) => [kind, name],
      ),
    ).toEqual([
      ["directory", "d"],
      ["file", "f"],
    ]);
  });
  test("an archive without an end mark, or with one block of it, ends where it ends", () => {
    expect(read(file("f", "x"))).toHaveLength(1);
    expect(read(Buffer.concat([file("f", "x"), END.subarray(0, 512)]))).toHaveLength(1);
  });
  test("what lies behind the end mark is no entry", () => {
    expect(read(Buffer.concat([archive(file("f", "x")), file("g", "x")]))).toHaveLength(1);
  });
});

describe("sparse files", () => {
  const zeros = "\0".repeat(10);
  test("old GNU, with a block of the map behind the header", () => {
    const parts = Array.from({ length: 6 }, (_, i) => [i * 20, 10]);
    const slot = (block: Buffer, at: number, [offset = 0, size = 0]: number[]): void => {
      block.write(`${offset.toString(8).padStart(11, "0")}\0${size.toString(8).padStart(11, "0")}\0`, at);
    };
    const head = header({
      name: "f",
      type: "S",
      format: "gnu",
      size: 60,
      edit(block) {
        for (const [i, part] of parts.slice(0, 4).entries()) slot(block, 386 + i * 24, part);
        block[482] = 1;
        block.write("00000000201\0", 483); // 129
      },
    });
    const more = Buffer.alloc(512);
    for (const [i, part] of parts.slice(4).entries()) slot(more, i * 24, part);
    const data = ["a", "b", "c", "d", "e", "f"].map((letter) => letter.repeat(10));
    const bytes = archive(head, more, padded(Buffer.from(data.join(""))), file("after", "x"));
    for (const piece of [bytes.length, 100]) {
      const [sparse, after] = read(bytes, piece);
      expect(sparse?.content).toBe(`${data.join(zeros)}${"\0".repeat(19)}`);
      expect(after?.content).toBe("x");
    }
  });
  test("pax 0.0, 0.1 and 1.0", () => {
    const wanted = { name: "f", content: `${zeros}abcd${zeros}`, size: 24 };
    const data = padded(Buffer.from("abcd"));
    const size: [string, string] = ["size", "4"];
    expect(
      first(
        pax([
          ["GNU.sparse.size", "24"],
          ["GNU.sparse.numblocks", "2"],
          ["GNU.sparse.offset", "10"],
          ["GNU.sparse.numbytes", "4"],
          ["GNU.sparse.offset", "24"],
          ["GNU.sparse.numbytes", "0"],
          size,
        ]),
        header({ name: "f" }),
        data,
      ),
    ).toMatchObject(wanted);
    expect(
      first(
        pax([
          ["GNU.sparse.size", "24"],
          ["GNU.sparse.numblocks", "1"],
          ["GNU.sparse.map", "10,4"],
          ["GNU.sparse.name", "f"],
          size,
        ]),
        header({ name: "GNUSparseFile.0/f" }),
        data,
      ),
    ).toMatchObject(wanted);
    expect(
      first(
        pax([
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.name", "f"],
          ["GNU.sparse.realsize", "24"],
        ]),
        header({ name: "GNUSparseFile.0/f", size: 516 }),
        padded(Buffer.from("1\n10\n4\n")),
        data,
      ),
    ).toMatchObject(wanted);
  });
  test.each([
    ["beyond its end", "20,10"],
    ["overlap", "10,5,12,5"],
    ["an offset without a size", "10,4,12"],
    ["has 5 bytes, the archive 4", "10,5"],
    ["malformed", "10,-4"],
    ["malformed", "x,4"],
  ])("a map that lies is refused: %s", (_, map) => {
    const lie = archive(
      pax([
        ["GNU.sparse.size", "24"],
        ["GNU.sparse.numblocks", "1"],
        ["GNU.sparse.map", map],
        ["size", "4"],
      ]),
      header({ name: "f" }),
      padded(Buffer.from("abcd")),
    );
    expect(() => read(lie)).toThrow(/"f".*map of a sparse file/);
  });
  test("a map of format 1.0 has bounds", () => {
    const sparse = (map: string, size: number): Buffer =>
      archive(
        pax([
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.realsize", "24"],
        ]),
        header({ name: "f", size }),
        padded(Buffer.from(map)),
        Buffer.alloc(4096),
      );
    expect(() => read(sparse("999999999\n", 4096))).toThrow("count of at most");
    expect(() => read(sparse("2\n1\n1\n2\n1\n", 512))).toThrow("has 2 bytes, the archive 0");
    expect(() => read(sparse("7".repeat(100), 512))).toThrow("malformed");
    expect(() => read(sparse(`3\n${"1\n".repeat(300)}`, 100))).toThrow("map of a sparse file");
  });
});

describe("what is wrong is refused, with the place", () => {
  const bad: readonly (readonly [string, RegExp, Buffer])[] = [
    ["a checksum", /not a tar header at byte 0: its checksum is wrong/, archive(file("f", "x").fill("!", 0, 1))],
    ["no tar at all", /checksum/, Buffer.alloc(1024, "x")],
    ["a type", /"f".*type "Z"/, archive(header({ name: "f", type: "Z" }))],
    ["a volume's continuation", /type "M"/, archive(header({ name: "f", type: "M" }))],
    [
      "a size that is no number",
      /size is not a number/,
      archive(header({ name: "f", edit: (block) => block.write("9z", 124) })),
    ],
    ["a negative size", /size is -1/, archive(header({ name: "f", edit: (block) => block.fill(0xff, 124, 136) }))],
    ["a directory with data", /directory with 3 bytes/, archive(file("d", "abc", { type: "5" }))],
    ["a link with data", /symlink with 3 bytes/, archive(file("s", "abc", { type: "2", link: "t" }))],
    [
      "zeros between entries",
      /zeros.*between entries/,
      Buffer.concat([file("f", "x"), Buffer.alloc(512), archive(file("g", "x"))]),
    ],
    ["a huge header", /header of 1073741824 bytes/, archive(header({ name: "p", type: "x", size: 2 ** 30 }))],
    [
      "a huge long name",
      new RegExp(`more than ${MAX_HEADER_BYTES}`),
      archive(header({ name: "p", type: "L", size: 2 ** 21 })),
    ],
    [
      "a malformed extended header",
      /extended header .* malformed/,
      archive(file("x", "99 path=a\n", { type: "x" }), file("f", "")),
    ],
    [
      "an extended header without =",
      /extended header .* malformed/,
      archive(file("x", "8 patha\n", { type: "x" }), file("f", "")),
    ],
    ["an extended time", /malformed mtime/, archive(pax([["mtime", "soon"]]), file("f", ""))],
    [
      "a global header for one file",
      /global header.*path/,
      archive(pax([["path", "/etc/passwd"]], "g"), file("f", "")),
    ],
    ["half a file", /ends in the middle of "f"/, file("f", "x".repeat(2000)).subarray(0, 1024)],
    ["half a header", /ends in the middle of a header/, file("f", "").subarray(0, 100)],
    ["an extended header for nothing", /ends in the middle/, pax([["path", "p"]])],
    ["an extended header before the end mark", /checksum/, archive(pax([["path", "p"]]))],
  ];
  test.each(bad)("%s", (_, message, bytes) => {
    expect(() => read(bytes)).toThrow(message);
    expect(() => read(bytes, 77)).toThrow(message);
  });
});

test("what tar-stream writes", async () => {
  const pack = createPack();
  const name = `${"long/".repeat(40)}näme`;
  pack.entry({ name: "d/", type: "directory", mode: 0o750, mtime: new Date(5000) });
  pack.entry({ name, uid: 7, gid: 8, mode: 0o640, pax: { "SCHILY.xattr.user.x": "v" } }, "content");
  pack.entry({ name: "s", type: "symlink", linkname: name });
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  expect(read(Buffer.concat(chunks))).toMatchObject([
    { kind: "directory", name: "d/", mode: 0o750, mtime: { seconds: 5 } },
    {
      kind: "file",
      name: Buffer.from(name).toString("latin1"),
      uid: 7,
      gid: 8,
      content: "content",
      attributes: [{ name: "user.x" }],
    },
    { kind: "symlink", name: "s", linkName: Buffer.from(name).toString("latin1") },
  ]);
});

test("how the bytes come does not matter", () => {
  const bytes = archive(
    pax([
      ["path", "a/long/one"],
      ["SCHILY.xattr.user.x", "v"],
    ]),
    file("x", "content ".repeat(200)),
    gnuLong("L", "other"),
    directory("y"),
    symlink("s", "t"),
    file("empty", ""),
    file("exact", "e".repeat(512)),
  );
  const whole = read(bytes);
  expect(whole).toHaveLength(5);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1500 }), (piece) => {
      expect(read(bytes, piece)).toEqual(whole);
    }),
    { numRuns: 50 },
  );
});

test("any damage is read, or refused with a reason, never more", () => {
  const bytes = archive(
    pax([
      ["GNU.sparse.size", "24"],
      ["GNU.sparse.numblocks", "1"],
      ["GNU.sparse.map", "10,4"],
      ["size", "4"],
    ]),
    file("sparse", "abcd"),
    pax([["mtime", "1.5"]]),
    file("f", "x"),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (changes) => {
        const damaged = Buffer.from(bytes);
        for (const [at, value] of changes) damaged[at] = value;
        // Some damage keeps the checksum: then it is another archive.
        try {
          for (const { size } of read(damaged)) expect(size).toBeLessThan(1_000_000);
        } catch (error) {
          expect(error).toMatchObject({ name: "TsrunError", code: "image" });
        }
      },
    ),
    { numRuns: 2000 },
  );
});
