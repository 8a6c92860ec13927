/**
 * Row 24 of docs/security.md: hostile archives. Each is unpacked beside files of the test's own that it aims at; those stay
 * as they are, whatever becomes of the archive, and what is refused leaves nothing.
 */
import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { archive, directory, END, file, gnuLong, hardLink, header, pax, symlink } from "../../src/image/tar.fixture.ts";
import { isTsrun, RUNTIME } from "../harness.ts";
import { differences, type Tree, treeOf } from "../image/tree.ts";

const onTsrun = isTsrun ? describe : describe.skip; // skipped: peers unpack nothing

let work: string;
let outside: string;
let before: Tree;
beforeAll(() => {
  work = mkdtempSync("/tmp/tsrun-test-");
  outside = join(work, "outside");
});
afterAll(() => rmSync(work, { recursive: true, force: true }));
beforeEach(() => {
  rmSync(outside, { recursive: true, force: true });
  mkdirSync(join(outside, "directory"), { recursive: true });
  writeFileSync(join(outside, "victim"), "as it was\n");
  before = treeOf(outside);
});
afterEach(() => {
  expect(differences(before, treeOf(outside))).toEqual([]);
  // No workshop is left, here or in the store.
  expect(readdirSync(work).filter((name) => !["outside", "store", "archive", "target"].includes(name))).toEqual([]);
  if (existsSync(join(work, "store"))) expect(readdirSync(join(work, "store/new"))).toEqual([]);
  rmSync(join(work, "target"), { recursive: true, force: true });
});

function unpack(...options: string[]): SpawnSyncReturns<string> {
  const args = ["unpack", "--quiet", "--store", join(work, "store"), ...options, join(work, "archive")];
  return spawnSync(RUNTIME, [...args, join(work, "target")], {
    encoding: "utf8",
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
}

function unpackBytes(bytes: Buffer, ...options: string[]): SpawnSyncReturns<string> {
  writeFileSync(join(work, "archive"), bytes);
  return unpack(...options);
}

function expectRefused({ status, stderr }: SpawnSyncReturns<string>, message: RegExp): void {
  expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringMatching(message) });
  expect(stderr).not.toContain("internal error");
  expect(existsSync(join(work, "target"))).toBe(false);
}

/** Of an absolute path: as a name behind enough `..`. */
const up = (path: string): string => `${"../".repeat(20)}${path.slice(1)}`;
/** Octal digits that say more than there is. */
const huge = "77777777777";

onTsrun("refused, and nothing is left", () => {
  test.each<[string, RegExp, () => Buffer]>([
    ["a name that goes up", /contains \\?"\.\./, () => archive(file(up(`${outside}/victim`), "x"))],
    [
      "a name that goes up in the middle",
      /contains/,
      () => archive(directory("a"), file(`a/${up(`${outside}/victim`)}`, "x")),
    ],
    ["a long name that goes up", /contains/, () => archive(pax([["path", up(`${outside}/victim`)]]), file("x", "x"))],
    ["a GNU long name that goes up", /contains/, () => archive(gnuLong("L", up(`${outside}/victim`)), file("x", "x"))],
    [
      "a sparse file's name that goes up",
      /contains/,
      () =>
        archive(
          pax([
            ["GNU.sparse.name", up(`${outside}/victim`)],
            ["GNU.sparse.map", "0,1"],
            ["GNU.sparse.numblocks", "1"],
            ["GNU.sparse.size", "1"],
          ]),
          file("x", "x"),
        ),
    ],
    ["a hard link that goes up", /contains/, () => archive(hardLink("x", up(`${outside}/victim`)))],
    ["a hard link to a file outside", /no earlier entry made that/, () => archive(hardLink("x", `${outside}/victim`))],
    [
      "a hard link through a link",
      /no earlier entry made that/,
      () => archive(symlink("l", outside), hardLink("x", "l/victim"), file("x", "x")),
    ],
    ["a name with NUL", /NUL/, () => archive(pax([["path", "a\0b"]]), file("x", "x"))],
    [
      "a name longer than Linux has",
      /longer than 4095/,
      () => archive(pax([["path", `${"x".repeat(200)}/`.repeat(21)]]), file("x", "x")),
    ],
    [
      "a component longer than Linux has",
      /longer than 255/,
      () => archive(pax([["path", "x".repeat(256)]]), file("x", "x")),
    ],
    [
      "a name deeper than the limit",
      /deeper than the limit of 256/,
      () => archive(pax([["path", "x/".repeat(257)]]), directory("x")),
    ],
    ["an owner that is none", /uid 4294967295/, () => archive(pax([["uid", "4294967295"]]), file("x", "x"))],
    ["a device that Linux has not", /device/, () => archive(header({ name: "x", type: "3", major: 5000, minor: 1 }))],
    [
      "a file in a FIFO's place",
      /"d": verify.*ENOTDIR/,
      () => archive(header({ name: "d", type: "6" }), file("d/x", "x")),
    ],
    ["a file below a file", /ENOTDIR/, () => archive(file("d", "x"), file("d/x", "x"))],
    [
      "a file below a link to nothing",
      /leads to no directory/,
      () => archive(symlink("d", "missing"), file("d/x", "x")),
    ],
    ["a link to itself on the way", /ELOOP/, () => archive(symlink("d", "d"), file("d/x", "x"))],
    ["a root that is a link", /root is a symlink/, () => archive(symlink("./", outside))],
    ["a file cut off", /the archive is cut off/, () => file("x", "x".repeat(5000)).subarray(0, 2000)],
    ["compressed and cut off", /gzip/, () => gzipSync(archive(file("x", "x".repeat(5000)))).subarray(0, -12)],
    ["a wrong checksum", /checksum is wrong/, () => archive(directory("a"), header({ name: "x" }).fill(1, 0, 1))],
    [
      "a file of eight exabytes",
      /the archive is cut off/,
      () => archive(header({ name: "x", edit: (block) => block.write(huge, 124) })),
    ],
    [
      "a sparse file of eight exabytes",
      /more than .* bytes/,
      () =>
        archive(
          pax([
            ["GNU.sparse.size", "8999999999999999"],
            ["GNU.sparse.map", "0,1"],
            ["GNU.sparse.numblocks", "1"],
          ]),
          file("x", "x"),
        ),
    ],
    [
      "a sparse map beyond the file",
      /map of a sparse file/,
      () =>
        archive(
          pax([
            ["GNU.sparse.size", "1"],
            ["GNU.sparse.map", "4096,1"],
            ["GNU.sparse.numblocks", "1"],
          ]),
          file("x", "x"),
        ),
    ],
    [
      "a header without end",
      /header of \d+ bytes/,
      () => archive(header({ name: "x", type: "x", edit: (block) => block.write(huge, 124) })),
    ],
    [
      "an attribute larger than Linux has",
      /larger than Linux allows/,
      () => archive(pax([["SCHILY.xattr.user.x", "x".repeat(70_000)]]), file("x", "x")),
    ],
    ["a type that nobody knows", /type "Q"/, () => archive(header({ name: "x", type: "Q" }))],
    [
      "a second archive behind one block of zeros",
      /zeros/,
      () => Buffer.concat([file("x", "x"), END.subarray(0, 512), archive(file("y", "x"))]),
    ],
  ])("%s", (_, message, bytes) => {
    expectRefused(unpackBytes(bytes()), message);
  });

  test("a bomb: more bytes than the limit, however small the archive is", () => {
    const bytes = gzipSync(archive(file("zeros", Buffer.alloc(32 * 1024 * 1024))));
    expect(bytes.length).toBeLessThan(100_000);
    expectRefused(
      unpackBytes(bytes, "--max-bytes", "16m"),
      /^tsrun: \/\S+: .*more than 16777216 bytes.*\n {2}--max-bytes/,
    );
  });
  test("a bomb behind the end mark", () => {
    const bytes = gzipSync(Buffer.concat([archive(file("x", "x")), Buffer.alloc(32 * 1024 * 1024)]));
    expectRefused(unpackBytes(bytes, "--max-bytes", "16m"), /more than 16777216 bytes/);
  });
  test("more entries than the limit", () => {
    const entries = Array.from({ length: 101 }, (_, i) => directory(`d${i}`));
    expectRefused(
      unpackBytes(archive(...entries), "--max-entries", "100"),
      /^tsrun: \/\S+: entry .*: more than 100 entries\n {2}--max-entries/,
    );
  });
});

onTsrun("taken, and inside", () => {
  const unpacked = (bytes: Buffer): ReturnType<typeof treeOf> => {
    const { status, stderr } = unpackBytes(bytes);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return treeOf(join(work, "target"));
  };
  const inside = () => `target${outside}`;
  test("an absolute name is one below the root", () => {
    unpacked(archive(file(`${outside}/victim`, "x")));
    expect(readFileSync(join(work, inside(), "victim"), "utf8")).toBe("x");
  });
  test("an absolute link, then a file through it", () => {
    unpacked(
      archive(directory(outside.slice(1)), symlink("l", outside), file("l/victim", "x"), file("l/directory/new", "x")),
    );
    expect(readFileSync(join(work, inside(), "victim"), "utf8")).toBe("x");
  });
  test("a link that goes up, then a file through it", () => {
    unpacked(
      archive(directory("a/b"), directory(outside.slice(1)), symlink("a/b/l", up(outside)), file("a/b/l/victim", "x")),
    );
    expect(readFileSync(join(work, inside(), "victim"), "utf8")).toBe("x");
  });
  test("a link to a file outside, then a file over it, a hard link to it, its mode", () => {
    const tree = unpacked(
      archive(
        symlink("l", `${outside}/victim`),
        hardLink("h", "l"),
        file("l", "x", { mode: 0o777, uid: 3 }),
        symlink("m", `${outside}/directory`),
        directory("m", { mode: 0o700, uid: 3 }),
      ),
    );
    expect(tree.l).toMatchObject({ mode: "0o100777" });
    expect(tree.h).toMatchObject({ link: `${outside}/victim` });
    expect(tree.m).toMatchObject({ mode: "0o40700" });
  });
  test("a directory becomes a link between an entry and the end: its mode goes nowhere", () => {
    unpacked(
      archive(
        directory("d", { mode: 0o777, uid: 3 }),
        directory("d/directory", { mode: 0o777, uid: 3 }),
        symlink("d", outside),
      ),
    );
  });
  test("overlayfs's own attributes are left out", () => {
    writeFileSync(
      join(work, "archive"),
      archive(pax([["SCHILY.xattr.trusted.overlay.redirect", "/outside"]]), directory("d")),
    );
    const { status, stderr } = unpack();
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringContaining("left out: attributes of overlayfs itself"),
    });
    expect(treeOf(join(work, "target")).d).toMatchObject({ attributes: {} });
  });
});

/** An archive as docker save makes it, of one layer on top of a harmless one. */
function dockerArchive(layer: Buffer, change: { diffId?: string; layers?: string[]; config?: string } = {}): Buffer {
  const hex = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");
  const base = archive(directory("d"), file("d/f", "lower"));
  const ids = [base, layer].map((tar) => `sha256:${hex(tar)}`);
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [ids[0], change.diffId ?? ids[1]] },
  });
  const manifest = [
    { Config: change.config ?? `${hex(config)}.json`, RepoTags: ["x:1"], Layers: change.layers ?? ["0.tar", "1.tar"] },
  ];
  return archive(
    file(`${hex(config)}.json`, config),
    file("0.tar", base),
    file("1.tar", layer),
    file("manifest.json", JSON.stringify(manifest)),
  );
}

onTsrun("images", () => {
  test.each<[string, RegExp, () => Buffer]>([
    ["a whiteout of ..", /whiteout/, () => dockerArchive(archive(file("d/.wh...", "")))],
    ["a whiteout of .", /whiteout/, () => dockerArchive(archive(file("d/.wh..", "")))],
    ["a whiteout of nothing", /whiteout/, () => dockerArchive(archive(file("d/.wh.", "")))],
    ["a whiteout whose name goes up", /contains/, () => dockerArchive(archive(file(up(`${outside}/.wh.victim`), "")))],
    ["something below a whiteout", /below a whiteout/, () => dockerArchive(archive(file(".wh.d/x", "")))],
    [
      "a layer that is another",
      /its digest is/,
      () => dockerArchive(archive(file("x", "x")), { diffId: `sha256:${"0".repeat(64)}` }),
    ],
    ["a diff id that is a path", /diff_ids/, () => dockerArchive(archive(), { diffId: "sha256:../../x" })],
    [
      "a configuration outside",
      /no name of a file/,
      () => dockerArchive(archive(), { config: up(`${outside}/victim`) }),
    ],
    [
      "a layer outside",
      /no name of a file/,
      () => dockerArchive(archive(), { layers: ["0.tar", up(`${outside}/victim`)] }),
    ],
    ["a layer that is missing", /missing/, () => dockerArchive(archive(), { layers: ["0.tar", "2.tar"] })],
    ["a layer too few", /1 layers, but 2 diff_ids/, () => dockerArchive(archive(), { layers: ["0.tar"] })],
  ])("refused: %s", (_, message, bytes) => {
    expectRefused(unpackBytes(bytes()), message);
  });

  test.each([
    ["a whiteout through a link to outside", (): Buffer => archive(symlink("l", outside), file("l/.wh.victim", ""))],
    [
      "an opaque directory that is a link to outside",
      (): Buffer => archive(symlink("l", outside), file("l/.wh..wh..opq", "")),
    ],
  ])("%s removes nothing there", (_, layer) => {
    const { status, stderr } = unpackBytes(dockerArchive(layer()));
    // The link leads to nothing inside the root: refused, or without effect.
    if (status !== 0) expect(stderr).toMatch(/leads to no directory/);
  });

  test("a layout whose blob is a link to a file of the host, or a FIFO", () => {
    const layout = join(work, "archive");
    rmSync(layout, { force: true });
    const digest = `sha256:${"0".repeat(64)}`;
    for (const make of [`ln -s ${outside}/victim`, "mkfifo"]) {
      mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
      writeFileSync(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
      const manifest = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 10 };
      writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
      execFileSync("sh", ["-c", `${make} ${layout}/blobs/sha256/${digest.slice(7)}`]);
      const result = unpack();
      expectRefused(result, /digest is|not a regular file/);
      expect(result.stderr).not.toContain("as it was");
      rmSync(layout, { recursive: true, force: true });
    }
  });
});

onTsrun("the owner of the directory around it", () => {
  test("cannot get anything out of it while it is being unpacked", async () => {
    // An attacker who owns the parent moves and replaces whatever appears in it.
    const parent = join(work, "target");
    mkdirSync(parent);
    chmodSync(work, 0o755);
    chownSync(parent, 65_534, 65_534);
    const attack = `
import os, sys
parent, outside = sys.argv[1:]
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.chdir(parent)
print("ready", flush=True)
while True:
    for name in os.listdir("."):
        if not name.startswith(".tsrun"): continue
        try:
            os.rename(name, "moved"); os.symlink(outside, name)
        except OSError: pass
`;
    const attacker = spawn("python3", ["-c", attack, parent, outside], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await new Promise((resolve, reject) => {
        attacker.stdout.once("data", resolve);
        attacker.once("exit", () => reject(new Error("the attacker could not begin")));
      });
      const entries = Array.from({ length: 200 }, (_, i) => file(`root/directory/f${i}`, "x"));
      writeFileSync(
        join(work, "archive"),
        archive(directory("root"), directory("directory"), file("victim", "x"), ...entries),
      );
      for (let i = 0; i < 4; i++) {
        const args = [
          "unpack",
          "--quiet",
          "--store",
          join(work, "store"),
          join(work, "archive"),
          join(parent, `t${i}`),
        ];
        const { status, stderr } = spawnSync(RUNTIME, args, { encoding: "utf8" });
        // Either is fine: the attacker may break it, not use it.
        if (status !== 0) expect(stderr).toMatch(/replaced|ENOENT|ENOTDIR|ELOOP/);
      }
      expect(readdirSync(parent)).toContain("moved");
    } finally {
      const ended = new Promise((resolve) => attacker.once("exit", resolve));
      attacker.kill("SIGKILL");
      await ended;
    }
  });
});
