/** What becomes of an archive's entries, as records; src/image/unpack.root.test.ts has the same on disk. */
import { describe, expect, test } from "@jest/globals";
import { shiftAcl, shiftCapability } from "./attributes.ts";
import { defaultLimits } from "./limits.ts";
import type { TarEntry } from "./tar.ts";
import { type Rights, type TreeOptions, TreeWriter } from "./tree.ts";

const root: Rights = { owners: true, devices: true, trusted: true, mappings: undefined };
const caller: Rights = { owners: false, devices: false, trusted: false, mappings: undefined };
const ids = [
  { containerID: 0, hostID: 100_000, size: 1000 },
  { containerID: 1000, hostID: 5, size: 1 },
];
const shifted: Rights = { ...root, mappings: { uids: ids, gids: ids } };

function entry(fields: Partial<TarEntry>): TarEntry {
  return {
    kind: "file",
    name: "f",
    linkName: "",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: { seconds: 1, ns: 2 },
    major: 0,
    minor: 0,
    attributes: [],
    ...fields,
  };
}

function written(
  entries: readonly Partial<TarEntry>[],
  options: Partial<TreeOptions> = {},
): { readonly records: unknown[]; readonly warnings: string[] } {
  const records: unknown[] = [];
  const warnings: string[] = [];
  const writer = new TreeWriter(
    {
      path: (kind, { path, ...rest }) => records.push([kind, path, rest]),
      data: (...all) => records.push(["data", ...all]),
      fileEnd: (size) => records.push(["fileEnd", size]),
    },
    { whiteouts: "none", limits: defaultLimits, rights: root, warn: (line) => warnings.push(line), ...options },
  );
  for (const each of entries.map(entry)) {
    writer.entry(each);
    if (each.kind !== "file") continue;
    if (each.size > 0) writer.data(0, 7, each.size);
    writer.fileEnd();
  }
  return { records, warnings };
}

const names = (result: ReturnType<typeof written>): unknown[] =>
  result.records.map((record) => (record as unknown[]).slice(0, 2));

test("a file, its data and its end", () => {
  expect(written([{ name: "./d/f", size: 3, mode: 0o4755, uid: 1, gid: 2 }]).records).toEqual([
    [
      "file",
      "d/f",
      {
        mode: 0o104755,
        uid: 1,
        gid: 2,
        mtime: { seconds: 1, ns: 2 },
        major: 0,
        minor: 0,
        attributes: [],
      },
    ],
    ["data", 0, 7, 3],
    ["fileEnd", 3],
  ]);
});

describe("whiteouts", () => {
  const entries = ["a/.wh.b", "a/.wh..wh..opq", ".wh..wh.plnk/1", "c"].map((name) => ({ name, size: 1 }));
  test("as overlayfs has them", () => {
    expect(names(written(entries, { whiteouts: "overlay" }))).toEqual([
      ["whiteout", "a/b"],
      ["opaque", "a"],
      ["file", "c"],
      ["data", 0],
      ["fileEnd", 1],
    ]);
  });
  test("as removals", () => {
    expect(names(written(entries, { whiteouts: "remove" }))).toEqual([
      ["removeLower", "a/b"],
      ["removeLowerInside", "a"],
      ["file", "c"],
      ["data", 0],
      ["fileEnd", 1],
    ]);
  });
  test("are names like others where there are no layers", () => {
    expect(names(written(entries.slice(0, 1)))).toEqual([
      ["file", "a/.wh.b"],
      ["data", 0],
      ["fileEnd", 1],
    ]);
  });
  test("of the root is not for overlayfs", () => {
    expect(() => written([{ name: ".wh..wh..opq" }], { whiteouts: "overlay" })).toThrow(/opaque whiteout of the root/);
  });
});

describe("owners", () => {
  test("are shifted, each by its own mapping", () => {
    const { records } = written([{ uid: 3, gid: 1000 }], { rights: shifted });
    expect(records[0]).toMatchObject(["file", "f", { uid: 100_003, gid: 5 }]);
  });
  test.each([
    [{ uid: 1001 }, /"f": its uid 1001 is in none of the mappings/],
    [{ gid: 2000 }, /"f": its gid 2000 is in none/],
    [{ uid: -1 }, /uid -1/],
    [{ uid: 0xffff_ffff }, /uid 4294967295/],
  ])("without a host id are refused: %j", (fields, message) => {
    expect(() => written([fields], { rights: shifted })).toThrow(message);
  });
  test("are the caller's without root: no devices, no set-id bits, and one line for each kind", () => {
    const { records, warnings } = written(
      [
        { name: "su", mode: 0o6755, uid: 70_000 },
        { name: "sg", mode: 0o2755 },
        { name: "d", kind: "directory", mode: 0o2755 },
        { name: "null", kind: "character-device", major: 1, minor: 3 },
        { name: "sda", kind: "block-device", major: 8 },
        { name: "p", kind: "fifo" },
      ],
      { rights: caller },
    );
    expect(records.filter((record) => (record as unknown[])[0] !== "fileEnd")).toMatchObject([
      ["file", "su", { mode: 0o100755, uid: 0, gid: 0 }],
      ["file", "sg", { mode: 0o100755 }],
      ["directory", "d", { mode: 0o042755 }],
      ["node", "p", { mode: 0o010644 }],
    ]);
    expect(warnings).toEqual([
      "left out: set-user-id and set-group-id bits, since owners are not kept",
      "left out: device nodes, which need root",
    ]);
  });
});

describe("attributes", () => {
  const capability = `\x01\0\0\x02${"\x01\0\0\0".repeat(4)}`;
  const attributes = [
    "user.x",
    "trusted.y",
    "trusted.overlay.redirect",
    "user.overlay.opaque",
    "security.selinux",
    "security.ima",
  ].map((name) => ({ name, value: "v" }));
  const chosen = (rights: Rights, all = attributes): { set: unknown; warnings: string[] } => {
    const { records, warnings } = written([{ attributes: all }], { rights });
    return { set: (records[0] as [string, string, { attributes: unknown }])[2].attributes, warnings };
  };
  test("of root: not overlayfs's own, and not those that are the host's to give", () => {
    expect(chosen(root)).toEqual({
      set: attributes.slice(0, 2),
      warnings: ["left out: attributes of overlayfs itself"],
    });
  });
  test("of others: user.* alone", () => {
    expect(chosen(caller, [...attributes, { name: "security.capability", value: capability }])).toEqual({
      set: attributes.slice(0, 1),
      warnings: [
        "left out: attributes trusted.*, which need root",
        "left out: attributes of overlayfs itself",
        "left out: file capabilities, which need root",
      ],
    });
  });
  test("security.capability becomes that of the user namespace's root (revision 3)", () => {
    const v3 = Buffer.from(shiftCapability(capability, shifted.mappings), "latin1");
    expect(v3.length).toBe(24);
    expect(v3.readUInt32LE(0)).toBe(0x0300_0001);
    expect(v3.readUInt32LE(20)).toBe(100_000);
    expect(shiftCapability(capability, undefined)).toBe(capability);
    expect(() => shiftCapability("short", undefined)).toThrow("malformed");
  });
  test("ids in ACLs are shifted", () => {
    const acl = Buffer.alloc(4 + 3 * 8);
    acl.writeUInt32LE(2, 0);
    for (const [i, [tag, id]] of (
      [
        [1, 0xffff_ffff],
        [2, 7],
        [8, 1000],
      ] as const
    ).entries()) {
      acl.writeUInt16LE(tag, 4 + i * 8);
      acl.writeUInt32LE(id, 8 + i * 8);
    }
    const out = Buffer.from(shiftAcl(acl.toString("latin1"), shifted.mappings), "latin1");
    expect([0, 1, 2].map((i) => out.readUInt32LE(8 + i * 8))).toEqual([0xffff_ffff, 100_007, 5]);
    expect(() => shiftAcl("\x01\0\0\0", undefined)).toThrow("ACL is malformed");
  });
});

test.each([
  ["an empty link", { kind: "symlink", linkName: "" }, /text is empty/],
  ["a link's text without an end", { kind: "symlink", linkName: "x".repeat(4096) }, /too long/],
  ["a hard link up", { kind: "hard-link", linkName: "../x" }, /"f".*".."/],
  ["a hard link to the root", { kind: "hard-link", linkName: "/" }, /hard link to the root/],
  ["a root that is a file", { name: "./" }, /the root is a file/],
  ["a device that Linux has not", { kind: "block-device", major: 4096 }, /device 4096:0/],
] as const)("%s is refused", (_, fields, message) => {
  expect(() => written([fields])).toThrow(message);
});

describe("limits", () => {
  const limits = { maxBytes: 100, maxEntries: 3, maxDepth: 2 };
  test.each([
    ["bytes", [{ size: 60 }, { size: 41 }], "more than 100 bytes of files"],
    ["entries", [{}, {}, {}, {}], "more than 3 entries"],
    ["depth", [{ name: "a/b/c" }], "deeper than the limit of 2"],
  ] as const)("of %s", (_, entries, message) => {
    expect(() => written(entries, { limits })).toThrow(message);
  });
});
