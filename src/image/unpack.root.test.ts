/** Archives and layers on a real file system, compared with what tar(1) makes of them where it knows the format. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Image, type LayerSource, openImage, type RootfsArchive } from "./open.ts";
import type { UnpackOptions } from "./options.ts";
import { collectLayers, layerStore, listLayers, useStore } from "./store.ts";
import { archive, directory, file, gnuLong, hardLink, header, pax, symlink } from "./tar.fixture.ts";
import { unpackImage, unpackTree } from "./unpack.ts";

let work: string;
let count = 0;
let warnings: string[];
beforeAll(() => {
  work = mkdtempSync("/tmp/tsrun-test-");
});
afterAll(() => rmSync(work, { recursive: true, force: true }));
beforeEach(() => {
  warnings = [];
});

const store = () => layerStore(join(work, "store"));
const fresh = (): string => join(work, `tree-${count++}`);

async function unpacked(bytes: Buffer, options: UnpackOptions = {}): Promise<string> {
  const path = join(work, "archive.tar");
  writeFileSync(path, bytes);
  const source = (await openImage(path)) as RootfsArchive;
  expect(source.kind).toBe("rootfs");
  const target = fresh();
  try {
    await unpackTree(source, target, store(), { warn: (line) => warnings.push(line), ...options });
  } finally {
    source.close();
  }
  return target;
}

/** An image with these layers, as openImage would give it. */
function image(...tars: readonly Buffer[]): Image {
  const layers = tars.map((tar): LayerSource => {
    const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
    return {
      diffId,
      digest: diffId,
      sizeBytes: tar.length,
      async *chunks() {
        for (let at = 0; at < tar.length; at += 1000) yield tar.subarray(at, at + 1000);
      },
    };
  });
  const diffIds = layers.map(({ diffId }) => diffId);
  return {
    kind: "image",
    path: "/image" as Image["path"],
    config: { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: diffIds } },
    configText: "{}",
    configDigest: `sha256:${"0".repeat(64)}`,
    annotations: {},
    layers,
    close() {},
  };
}

async function merged(...tars: readonly Buffer[]): Promise<string> {
  const target = fresh();
  await unpackTree(image(...tars), target, store());
  return target;
}

/** Node's own recursion goes through links. */
const list = (path: string, below = ""): string[] =>
  readdirSync(join(path, below), { withFileTypes: true })
    .flatMap((entry) => {
      const name = join(below, entry.name);
      return entry.isDirectory() ? [name, ...list(path, name)] : [name];
    })
    .sort();
const text = (...path: string[]): string => readFileSync(join(...path), "utf8");
const attribute = (path: string, name: string): string | undefined => {
  // Node has no getxattr.
  const program =
    "import os,sys; sys.stdout.buffer.write(os.getxattr(sys.argv[1], sys.argv[2], follow_symlinks=False))";
  const { status, stdout } = spawnSync("python3", ["-c", program, path, name]);
  return status === 0 ? stdout.toString("latin1") : undefined;
};

describe("metadata", () => {
  test("owner, mode with set-id bits, time to the nanosecond, of every kind", async () => {
    const time: [string, string] = ["mtime", "1700000000.123456789"];
    const root = await unpacked(
      archive(
        pax([time]),
        directory("d", { mode: 0o1755, uid: 11, gid: 12 }),
        pax([time]),
        file("d/f", "x", { mode: 0o6755, uid: 13, gid: 14 }),
        pax([time]),
        header({ name: "s", type: "2", link: "nowhere", uid: 15, gid: 16 }),
        pax([time]),
        header({ name: "c", type: "3", mode: 0o620, uid: 17, major: 5, minor: 300 }),
        pax([time]),
        header({ name: "p", type: "6", mode: 0o622, gid: 18 }),
        hardLink("h", "d/f"),
        directory("read-only", { mode: 0o555 }),
        file("read-only/f", "x", { mode: 0 }),
      ),
    );
    const of = (name: string) => {
      const { mode, uid, gid, mtimeNs, rdev, nlink } = lstatSync(join(root, name), { bigint: true });
      return {
        mode: mode.toString(8),
        uid: Number(uid),
        gid: Number(gid),
        ns: mtimeNs,
        rdev: Number(rdev),
        links: Number(nlink),
      };
    };
    const ns = 1_700_000_000_123_456_789n;
    expect(of("d")).toMatchObject({ mode: "41755", uid: 11, gid: 12, ns });
    expect(of("d/f")).toMatchObject({ mode: "106755", uid: 13, gid: 14, ns, links: 2 });
    expect(of("s")).toMatchObject({ mode: "120777", uid: 15, gid: 16, ns });
    expect(of("c")).toMatchObject({
      mode: "20620",
      uid: 17,
      ns,
      rdev: (5 << 8) | (300 & 0xff) | ((300 & ~0xff) << 12),
    });
    expect(of("p")).toMatchObject({ mode: "10622", gid: 18, ns });
    expect(of("h")).toMatchObject(of("d/f"));
    expect(of("read-only")).toMatchObject({ mode: "40555" });
    expect(of("read-only/f")).toMatchObject({ mode: "100000" });
    expect(of(".")).toMatchObject({ mode: "40755", uid: 0 });
  });
  test("the root's own entry, and directories that no entry names", async () => {
    const root = await unpacked(archive(directory("./", { mode: 0o700, uid: 5 }), file("a/b/f", "x", { uid: 7 })));
    expect(statSync(root)).toMatchObject({ mode: 0o040700, uid: 5 });
    expect(statSync(join(root, "a/b"))).toMatchObject({ mode: 0o040755, uid: 0 });
  });
  test("extended attributes, also of directories and links; file capabilities outlive the change of owner", async () => {
    const capability = `\x01\0\0\x02\0\x20${"\0".repeat(14)}`;
    const root = await unpacked(
      archive(
        pax([
          ["SCHILY.xattr.user.x", "\0\xff"],
          ["SCHILY.xattr.security.capability", capability],
        ]),
        file("f", "x", { uid: 3, mode: 0o755 }),
        pax([["SCHILY.xattr.user.x", "d"]]),
        directory("d", { mode: 0o555 }),
        pax([
          ["SCHILY.xattr.trusted.x", "s"],
          ["SCHILY.xattr.user.x", "lost"],
        ]),
        symlink("s", "d"),
        pax([["SCHILY.xattr.trusted.overlay.redirect", "/etc"]]),
        directory("o"),
      ),
    );
    expect(attribute(join(root, "f"), "user.x")).toBe("\0\xff");
    expect(attribute(join(root, "f"), "security.capability")).toBe(capability);
    expect(attribute(join(root, "d"), "user.x")).toBe("d");
    expect(attribute(join(root, "s"), "trusted.x")).toBe("s");
    expect(attribute(join(root, "o"), "trusted.overlay.redirect")).toBeUndefined();
    expect(warnings).toEqual([
      "left out: attributes of overlayfs itself",
      "left out: 1 extended attributes that this file system cannot hold",
    ]);
  });
  test("owners shifted, and file capabilities for that user namespace's root", async () => {
    const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const capability = `\x01\0\0\x02\0\x20${"\0".repeat(14)}`;
    const root = await unpacked(
      archive(pax([["SCHILY.xattr.security.capability", capability]]), file("a/f", "x", { uid: 1, gid: 2 })),
      { mappings: { uids: ids, gids: ids } },
    );
    expect(statSync(join(root, "a/f"))).toMatchObject({ uid: 100_001, gid: 100_002 });
    expect(statSync(join(root, "a"))).toMatchObject({ uid: 100_000, gid: 100_000 });
    expect(statSync(root)).toMatchObject({ uid: 100_000, gid: 100_000 });
    // The kernel shows root of the initial namespace the id with which it was set.
    const shown = Buffer.from(attribute(join(root, "a/f"), "security.capability") ?? "", "latin1");
    expect(shown.length === 24 ? shown.readUInt32LE(20) : shown.length).toBe(100_000);
  });
  test("owners not kept: no devices, no set-id bits", async () => {
    const root = await unpacked(
      archive(file("su", "x", { mode: 0o4755, uid: 3 }), header({ name: "c", type: "3", major: 1, minor: 3 })),
      { owners: "caller" },
    );
    expect(statSync(join(root, "su"))).toMatchObject({ uid: 0, mode: 0o100755 });
    expect(list(root)).toEqual(["su"]);
    expect(warnings).toHaveLength(2);
  });
});

describe("entries over entries, as tar(1) and image-spec have them", () => {
  test.each([
    ["a file over a file", [file("x", "old"), file("x", "new")], "new"],
    ["a file over a link to a file: not through it", [file("t", "target"), symlink("x", "t"), file("x", "new")], "new"],
    ["a file over a directory with content", [file("x/y/z", "old"), file("x", "new")], "new"],
    ["a file over a FIFO", [header({ name: "x", type: "6" }), file("x", "new")], "new"],
    [
      "a file over a hard link: the other name keeps its content",
      [file("t", "target"), hardLink("x", "t"), file("x", "new")],
      "new",
    ],
    ["a hard link over a file", [file("t", "target"), file("x", "old"), hardLink("x", "t")], "target"],
    ["a hard link to itself", [file("x", "target"), hardLink("x", "x")], "target"],
  ])("%s", async (_, entries, content) => {
    const root = await unpacked(archive(...entries));
    expect(text(root, "x")).toBe(content);
    if (existsSync(join(root, "t"))) expect(text(root, "t")).toBe("target");
  });
  test("a directory over a link or file; one over a directory keeps its content; its last entry counts", async () => {
    const root = await unpacked(
      archive(
        directory("real", { mode: 0o711 }),
        file("real/f", "x"),
        directory("real", { mode: 0o750 }),
        symlink("link", "real"),
        directory("link"),
        file("link/g", "x"),
        file("file", "x"),
        directory("file"),
      ),
    );
    expect(list(root)).toEqual(["file", "link", "link/g", "real", "real/f"]);
    expect(statSync(join(root, "real")).mode).toBe(0o040750);
    expect(lstatSync(join(root, "link")).isDirectory()).toBe(true);
  });
  test("a link on the way is followed inside the root, also when it was another one before", async () => {
    const root = await unpacked(
      archive(
        directory("usr/bin"),
        symlink("bin", "usr/bin"),
        file("bin/sh", "x"),
        directory("a"),
        directory("b"),
        symlink("l", "a"),
        file("l/1", "x"),
        symlink("l", "/b"),
        file("l/2", "x"),
      ),
    );
    expect(list(root)).toEqual(["a", "a/1", "b", "b/2", "bin", "l", "usr", "usr/bin", "usr/bin/sh"]);
  });
  test("a directory that something replaced: its mode and time are not the successor's", async () => {
    const root = await unpacked(
      archive(
        directory("d", { mode: 0o700 }),
        directory("d/e", { mode: 0o700 }),
        symlink("d", "other"),
        directory("other", { mode: 0o711 }),
        directory("other/e", { mode: 0o722 }),
      ),
    );
    expect(statSync(join(root, "other")).mode).toBe(0o040711);
    expect(statSync(join(root, "other/e")).mode).toBe(0o040722);
  });
});

describe("sparse files have holes", () => {
  test.each(["gnu", "pax --sparse-version=0.0", "pax --sparse-version=0.1", "pax --sparse-version=1.0"])(
    "%s",
    async (format) => {
      const from = fresh();
      mkdirSync(from);
      execFileSync(
        "sh",
        [
          "-c",
          "truncate -s 64M s && for i in 0 3 7 11 20 33 63; do printf 'part %s' $i | dd of=s bs=1M seek=$i conv=notrunc status=none; done && truncate -s 64M hole && truncate -s 5000 small",
        ],
        { cwd: from },
      );
      const tar = execFileSync("sh", ["-c", `tar --sparse --format=${format} -c .`], { cwd: from, maxBuffer: 1 << 28 });
      const root = await unpacked(tar);
      for (const name of ["s", "hole", "small"]) {
        expect(readFileSync(join(root, name)).equals(readFileSync(join(from, name)))).toBe(true);
      }
      expect(statSync(join(root, "s")).blocks).toBeLessThan(1000);
      expect(statSync(join(root, "hole")).blocks).toBe(0);
    },
  );
});

test("the formats that tar(1) writes give what tar(1) reads", async () => {
  const from = fresh();
  mkdirSync(from);
  const long = "n".repeat(120);
  execFileSync(
    "sh",
    [
      "-c",
      `mkdir -p ${long}/${long} && echo x > ${long}/${long}/f && ln -s ${long}/${long} l && touch -d @1.5 f && mkfifo p && ln f h`,
    ],
    { cwd: from },
  );
  for (const format of ["gnu", "posix", "oldgnu"]) {
    const tar = execFileSync("tar", [`--format=${format}`, "-c", "."], { cwd: from, maxBuffer: 1 << 28 });
    const root = await unpacked(tar);
    expect(list(root)).toEqual(list(from));
    expect(readlinkSync(join(root, "l"))).toBe(`${long}/${long}`);
    expect(statSync(join(root, "f"), { bigint: true }).mtimeNs).toBe(
      format === "posix" ? 1_500_000_000n : 1_000_000_000n,
    );
    expect(statSync(join(root, "f")).ino).toBe(statSync(join(root, "h")).ino);
  }
});

describe("layers into one directory", () => {
  test("whiteouts remove what earlier layers made, and nothing of their own layer", async () => {
    const root = await merged(
      archive(file("a/old", "1"), file("a/stay", "1"), file("b/x/y", "1"), file("c", "1"), symlink("s", "a")),
      archive(
        file("a/new", "2"),
        file("a/.wh.old", ""),
        file("b/.wh.x", ""),
        file("b/x/z", "2"),
        file(".wh.c", ""),
        file(".wh.missing", ""),
      ),
    );
    expect(list(root)).toEqual(["a", "a/new", "a/stay", "b", "b/x", "b/x/z", "s"]);
  });
  test("an opaque directory, before or after the new content", async () => {
    const lower = archive(file("d/a/b", "1"), file("d/c", "1"), file("e/f", "1"));
    const before = archive(directory("d"), file("d/.wh..wh..opq", ""), file("d/new", "2"), file("d/a/n", "2"));
    const after = archive(directory("d"), file("d/a/n", "2"), file("d/new", "2"), file("d/.wh..wh..opq", ""));
    const wanted = ["d", "d/a", "d/a/n", "d/new", "e", "e/f"];
    expect(list(await merged(lower, before))).toEqual(wanted);
    expect(list(await merged(lower, after))).toEqual(wanted);
    expect(list(await merged(lower, archive(file(".wh..wh..opq", ""), file("only", ""))))).toEqual(["only"]);
  });
  test("a whiteout takes a link, not its target", async () => {
    const root = await merged(archive(file("t/f", "1"), symlink("l", "t")), archive(file(".wh.l", "")));
    expect(list(root)).toEqual(["t", "t/f"]);
  });
  test("what was in a directory that became a link or a file is whited out by some programs, too: to no effect", async () => {
    const lower = archive(file("bin/ls", "1"), file("usr/bin/ls", "1"), file("d/f", "1"));
    const upper = archive(
      symlink("bin", "usr/bin"),
      file("bin/.wh.ls", ""),
      file("bin/.wh..wh..opq", ""),
      file("d", "2"),
      file("d/.wh.f", ""),
    );
    expect(list(await merged(lower, upper))).toEqual(["bin", "d", "usr", "usr/bin", "usr/bin/ls"]);
    const { layers } = await unpackImage(image(lower, upper), store());
    expect(list(layers[1] as string)).toEqual(["bin", "d"]);
  });
});

describe("the layer store", () => {
  test("layers are lower directories of an overlay that shows what one directory would", async () => {
    const tars = [
      archive(
        directory("a", { mode: 0o711 }),
        file("a/old", "1"),
        file("a/stay", "1"),
        file("d/gone", "1"),
        file("r", "1"),
        file("x/y", "1"),
      ),
      archive(
        directory("a", { mode: 0o711 }),
        file("a/.wh.old", ""),
        directory("d"),
        file("d/.wh..wh..opq", ""),
        file("d/new", "2"),
      ),
      // A whiteout with a new directory of its name, in both orders.
      archive(file(".wh.x", ""), directory("x"), file("x/z", "3"), directory("r"), file("r/f", "3"), file(".wh.r", "")),
    ];
    const { layers } = await unpackImage(image(...tars), store());
    expect(layers).toHaveLength(3);
    const target = join(work, "overlay");
    mkdirSync(target);
    // By mount(2): fsconfig(2), which mount(8) uses from 2.39 on, takes 255 bytes of an option.
    execFileSync("mount", ["-t", "overlay", "overlay", "-o", `lowerdir=${[...layers].reverse().join(":")}`, target], {
      env: { ...process.env, LIBMOUNT_FORCE_MOUNT2: "always" },
    });
    try {
      expect(list(target)).toEqual(["a", "a/stay", "d", "d/new", "r", "r/f", "x", "x/z"]);
      expect(list(target)).toEqual(list(await merged(...tars)));
    } finally {
      execFileSync("umount", [target]);
    }
  });
  test("a directory that an upper layer holds without an entry is as a lower layer says", async () => {
    const lower = archive(
      pax([["SCHILY.xattr.user.x", "y"]]),
      directory("root", { mode: 0o700, uid: 5, mtime: 77 }),
      directory("root/a", { mode: 0o711 }),
      directory("gone", { mode: 0o700 }),
      directory("named", { mode: 0o700 }),
    );
    const upper = archive(
      file("root/a/f", "x"),
      file(".wh.gone", ""),
      file("gone/f", "x"),
      directory("named", { mode: 0o750 }),
    );
    const { layers } = await unpackImage(image(lower, upper), store());
    expect(layers).toHaveLength(3);
    expect(list(layers[2] as string)).toEqual(["root", "root/a"]);
    const root = statSync(join(layers[2] as string, "root"));
    expect(root).toMatchObject({ mode: 0o040700, uid: 5, mtimeMs: 77_000 });
    expect(statSync(join(layers[2] as string, "root/a")).mode).toBe(0o040711);
    expect(attribute(join(layers[2] as string, "root"), "user.x")).toBe("y");
    expect((await unpackImage(image(lower, upper), store())).layers).toEqual(layers);
    // Nothing is missing where every directory is named.
    expect(
      (await unpackImage(image(lower, archive(directory("root"), file("root/f", ""))), store())).layers,
    ).toHaveLength(2);
  });
  test("of a layer that an image has twice the upper one counts: overlayfs takes none twice", async () => {
    const [a, b] = [archive(file("x", "a")), archive(file("x", "b"))] as const;
    const { layers } = await unpackImage(image(a, b, a), store());
    expect(layers.map((path) => text(path, "x"))).toEqual(["b", "a"]);
  });
  test("a layer is made once, however many ask for it", async () => {
    const same = image(archive(file("once", String(Math.random()))), archive(file("twice", "x")));
    const done: string[] = [];
    const progress = { update() {}, done: (_: string, how: string) => done.push(how) };
    const all = await Promise.all([1, 2, 3].map(() => unpackImage(same, store(), { progress })));
    expect(new Set(all.map(({ layers }) => layers.join())).size).toBe(1);
    expect(done.filter((how) => how === "unpacked")).toHaveLength(2);
    expect(done).toHaveLength(6);
    expect(readdirSync(join(work, "store/new"))).toEqual([]);
  });
  test("a layer that is not what its diff id says leaves nothing", async () => {
    const before = listLayers(store());
    const honest = image(archive(file("f", "x")));
    const [layer] = honest.layers as [LayerSource];
    for (const wrong of [
      { ...layer, diffId: `sha256:${"1".repeat(64)}` },
      { ...layer, digest: `sha256:${"2".repeat(64)}` },
      { ...layer, digest: `sha256:${"2".repeat(64)}`, sizeBytes: layer.sizeBytes + 1 },
    ]) {
      await expect(unpackImage({ ...honest, layers: [wrong] }, store())).rejects.toMatchObject({ code: "image" });
    }
    expect(listLayers(store())).toEqual(before);
    expect(readdirSync(join(work, "store/new"))).toEqual([]);
  });
  test("layers with other owners are others", async () => {
    const one = image(archive(file("f", "x", { uid: 3 })));
    const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const paths = [
      await unpackImage(one, store()),
      await unpackImage(one, store(), { owners: "caller" }),
      await unpackImage(one, store(), { mappings: { uids: ids, gids: ids } }),
    ].map(({ layers }) => layers[0] as string);
    expect(paths.map((path) => statSync(join(path, "f")).uid)).toEqual([3, 0, 100_003]);
  });
  test("layers that nobody refers to go, and none while somebody uses the store", async () => {
    const own = layerStore(join(work, "collected"));
    const { layers } = await unpackImage(image(archive(file("keep", "")), archive(file("go", ""))), own);
    const use = useStore(own);
    expect(collectLayers(own, ({ path }) => path === layers[0])).toEqual([expect.stringContaining("in use")]);
    use.release();
    expect(collectLayers(own, ({ path }) => path === layers[0])).toEqual([`${layers[1]}: removed`]);
    expect(listLayers(own).map(({ path }) => path)).toEqual([layers[0]]);
  });
  test("a store that others can write to is refused", async () => {
    const path = join(work, "shared");
    mkdirSync(path);
    execFileSync("chmod", ["0777", path]);
    await expect(unpackImage(image(archive(file("f", ""))), layerStore(path))).rejects.toMatchObject({
      code: "state-store",
    });
  });
});

test("a directory that is not empty stays as it is", async () => {
  const target = fresh();
  mkdirSync(target);
  writeFileSync(join(target, "mine"), "x");
  await expect(unpackTree(image(archive(file("f", "x"))), target, store())).rejects.toMatchObject({ code: "exists" });
  expect(list(target)).toEqual(["mine"]);
});

test("a deep tree is made and removed by descriptor", async () => {
  // Deeper than PATH_MAX through links: each step starts at the end of the last one.
  const part = `${"d/".repeat(250)}d`;
  const steps = Array.from({ length: 12 }, (_, i) => [
    directory(i === 0 ? part : `l${i - 1}/${part}`, {}),
    gnuLong("K", i === 0 ? part : `l${i - 1}/${part}`),
    symlink(`l${i}`, "x"),
  ]);
  const long = (entry: Buffer, name: string): Buffer => Buffer.concat([gnuLong("L", name), entry]);
  const entries = steps.flatMap(([dir, link, sym], i) => [
    long(dir as Buffer, i === 0 ? part : `l${i - 1}/${part}`),
    Buffer.concat([link as Buffer, sym as Buffer]),
  ]);
  await expect(unpacked(archive(...entries, hardLink("h", "missing")))).rejects.toThrow("no earlier entry made that");
  expect(readdirSync(work).filter((name) => name.startsWith(".tsrun"))).toEqual([]);
});
