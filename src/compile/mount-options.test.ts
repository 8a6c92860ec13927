import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { MOUNT_ATTR, MS, mountOptionNames, parseMountOptions } from "./mount-options.ts";

const { RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, STRICTATIME, ATIME, NODIRATIME, NOSYMFOLLOW } = MOUNT_ATTR;

describe("options of a mount", () => {
  test.each<[string, number, number]>([
    ["ro", RDONLY, 0],
    ["rw", 0, RDONLY],
    ["nosuid", NOSUID, 0],
    ["suid", 0, NOSUID],
    ["nodev", NODEV, 0],
    ["dev", 0, NODEV],
    ["noexec", NOEXEC, 0],
    ["exec", 0, NOEXEC],
    ["nodiratime", NODIRATIME, 0],
    ["diratime", 0, NODIRATIME],
    ["nosymfollow", NOSYMFOLLOW, 0],
    ["symfollow", 0, NOSYMFOLLOW],
    ["noatime", NOATIME, ATIME],
    ["relatime", 0, ATIME],
    ["strictatime", STRICTATIME, ATIME],
    // mount_setattr(2) changes the access-time setting as a whole: "not this one" is the kernel's default.
    ["atime", 0, ATIME],
    ["nostrictatime", 0, ATIME],
    ["norelatime", 0, 0],
    ["defaults", 0, 0],
  ])("%s sets 0x%x and clears 0x%x; with r before it, below as well", (name, set, clear) => {
    expect(parseMountOptions([name]).attributes).toEqual({ set, clear });
    if (name === "defaults") return;
    expect(parseMountOptions([`r${name}`])).toMatchObject({
      attributes: { set: 0, clear: 0 },
      recursive: { set, clear },
      data: [],
    });
  });

  test("the last of contradicting options counts", () => {
    const attributes = (...options: string[]) => parseMountOptions(options).attributes;
    expect(attributes("ro", "rw")).toEqual({ set: 0, clear: RDONLY });
    expect(attributes("rw", "ro")).toEqual({ set: RDONLY, clear: 0 });
    expect(attributes("noatime", "strictatime")).toEqual({ set: STRICTATIME, clear: ATIME });
    expect(attributes("strictatime", "atime")).toEqual({ set: STRICTATIME, clear: ATIME });
    expect(attributes("noatime", "atime")).toEqual({ set: 0, clear: ATIME });
    expect(attributes("relatime", "norelatime")).toEqual({ set: 0, clear: 0 });
    expect(parseMountOptions(["sync", "lazytime", "async"]).superblock).toEqual(["lazytime"]);
    expect(parseMountOptions(["silent", "iversion", "loud"]).mountFlags).toBe(MS.I_VERSION);
    expect(parseMountOptions(["bind", "rbind"]).bind).toBe("rbind");
  });

  test("propagation keeps its order", () => {
    expect(parseMountOptions(["rslave", "shared", "unbindable", "rprivate"]).propagation).toEqual([
      MS.SLAVE | MS.REC,
      MS.SHARED,
      MS.UNBINDABLE,
      MS.PRIVATE | MS.REC,
    ]);
  });

  test("everything else is data, one option an element, commas inside a value left alone", () => {
    expect(
      parseMountOptions([
        "mode=755,size=64k",
        "acl",
        'context="system_u:object_r:tmp_t:s0:c1,c2"',
        "lowerdir=/a\\,b:/c",
        "constructor",
        "rconstructor",
        "r",
        "",
      ]).data,
    ).toEqual([
      "mode=755",
      "size=64k",
      "acl",
      'context="system_u:object_r:tmp_t:s0:c1,c2"',
      "lowerdir=/a\\,b:/c",
      "constructor",
      "rconstructor",
      "r",
    ]);
  });

  test("an element with several options is as several elements", () => {
    expect(parseMountOptions(["nosuid,ro", "rbind,rslave"])).toEqual(
      parseMountOptions(["nosuid", "ro", "rbind", "rslave"]),
    );
  });

  test("no name of the list reaches the file system, and idmap neither", () => {
    for (const name of [...mountOptionNames, "idmap", "ridmap"]) expect(parseMountOptions([name]).data).toEqual([]);
    expect(new Set(mountOptionNames).size).toBe(mountOptionNames.length);
  });

  test("set and clear never contradict each other, and ATIME is cleared when an access time is set", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...mountOptionNames)), (options) => {
        const { attributes, recursive } = parseMountOptions(options);
        for (const { set, clear } of [attributes, recursive]) {
          expect(set & clear & ~ATIME).toBe(0);
          expect([0, ATIME]).toContain(clear & ATIME);
          if ((set & ATIME) !== 0) expect(clear & ATIME).toBe(ATIME);
        }
      }),
    );
  });
});
