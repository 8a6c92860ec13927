/** Images as hostile as they can be (attack row 21): nothing that a link names is read or written. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import {
  checkImage,
  type Directory,
  keepWorkFiles,
  openDirectory,
  parentOf,
  prepareImage,
  readImageConfig,
  readStreams,
  writeOwnFiles,
} from "./checkpoint-image.ts";

let top: string;
let image: Directory;
let victim: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "tsrun-image-"));
  victim = join(top, "victim");
  writeFileSync(victim, "precious");
  mkdirSync(join(top, "image"));
  image = openDirectory(join(top, "image"), "--image-path", false);
});
afterEach(() => {
  image.close();
  expect(readFileSync(victim, "utf8")).toBe("precious");
  rmSync(top, { recursive: true });
});
const config: Config = { ociVersion: "1.3.0", root: { path: "rootfs" } };
const inside = (name: string): string => join(top, "image", name);
const usage = (words: string) => expect.objectContaining({ code: "usage", message: expect.stringContaining(words) });

describe("the directory", () => {
  test("is made when it may be, and is never a link or a file", () => {
    const made = openDirectory(join(top, "a/b"), "--image-path", true);
    made.close();
    expect(existsSync(join(top, "a/b"))).toBe(true);
    expect(() => openDirectory(join(top, "none"), "--image-path", false)).toThrow(usage("ENOENT"));
    symlinkSync(join(top, "a"), join(top, "link"));
    for (const name of ["link", "victim"]) {
      expect(() => openDirectory(join(top, name), "--work-path", false)).toThrow(usage(`--work-path ${top}/${name}: `));
    }
    expect(() => openDirectory(join(top, "link"), "--work-path", true)).toThrow(usage("not a directory"));
  });
});

describe("what is in an image", () => {
  test("files only", () => {
    writeFileSync(inside("pages-1.img"), "");
    checkImage(image);
    for (const make of [
      () => symlinkSync(victim, inside("core-1.img")),
      () => symlinkSync("nowhere", inside("core-1.img")),
      () => mkdirSync(inside("core-1.img")),
      () => execFileSync("mkfifo", [inside("core-1.img")]),
    ]) {
      make();
      expect(() => checkImage(image)).toThrow(usage("core-1.img: it is not a regular file"));
      expect(() => prepareImage(image)).toThrow(usage("core-1.img"));
      rmSync(inside("core-1.img"), { recursive: true });
    }
  });

  test("what it builds on lies beside it, and is as harmless", () => {
    mkdirSync(join(top, "first"));
    symlinkSync("../first", inside("parent"));
    checkImage(image);
    symlinkSync(victim, join(top, "first/core-1.img"));
    expect(() => checkImage(image)).toThrow(usage("core-1.img"));
  });

  test("one that builds on itself is no image", () => {
    mkdirSync(join(top, "first"));
    symlinkSync("../first", inside("parent"));
    symlinkSync("../image", join(top, "first/parent"));
    expect(() => checkImage(image)).toThrow(usage("images build on one"));
  });

  test.each([
    ["/etc", "is not a relative path"],
    ["", "is not a relative path"],
    ["..", "is not beside it"],
    ["../../x", "is not beside it"],
    ["../other/../../x", "is not beside it"],
    ["../image", "is the image itself"],
    ["../link", "is not a directory"],
    ["../link/sub", "is not a directory"],
    ["../victim", "is not a directory"],
    ["../none", "ENOENT"],
  ])("a parent %j: %s", (link, words) => {
    symlinkSync("/", join(top, "link"));
    expect(() => parentOf(join(top, "image"), link)).toThrow(usage(words));
  });

  test("a dump leaves no old parent behind", () => {
    symlinkSync("/etc", inside("parent"));
    prepareImage(image);
    expect(existsSync(inside("parent"))).toBe(false);
  });
});

describe("descriptors.json", () => {
  test("names what is reconnected; anything else stays what it is", () => {
    writeOwnFiles(image, ["/dev/null", "pipe:[12]", "file[1a:2b]"], config);
    expect(JSON.parse(readFileSync(inside("descriptors.json"), "utf8"))).toEqual([
      "/dev/null",
      "pipe:[12]",
      "file[1a:2b]",
    ]);
    expect(readStreams(image)).toEqual([
      { key: "pipe:[12]", fd: 1 },
      { key: "file[1a:2b]", fd: 2 },
    ]);
    writeOwnFiles(image, ["extRootNetNS", "pipe:[1]x", "tty[1:2]"], config);
    expect(readStreams(image)).toEqual([]);
  });

  test("is written over a link, not through it", () => {
    symlinkSync(victim, inside("descriptors.json"));
    expect(() => readStreams(image)).toThrow(usage("ELOOP"));
    writeOwnFiles(image, [], config);
    expect(readFileSync(inside("descriptors.json"), "utf8")).toBe("[]");
  });

  test.each(["", "{}", '"a"', "[1]", '["a","b","c","d"]', "[".repeat(1000)])("is refused if it is %j", (text) => {
    writeFileSync(inside("descriptors.json"), text);
    expect(() => readStreams(image)).toThrow(usage("not a list"));
  });

  test("is bounded, and no fifo that would be waited for", () => {
    expect(() => readStreams(image)).toThrow(usage("ENOENT"));
    writeFileSync(inside("descriptors.json"), `[${" ".repeat(70_000)}]`);
    expect(() => readStreams(image)).toThrow(usage("65536 bytes"));
    rmSync(inside("descriptors.json"));
    execFileSync("mkfifo", [inside("descriptors.json")]);
    expect(() => readStreams(image)).toThrow(usage("it is no file"));
  });
});

describe("config.json", () => {
  test("is the configuration that the image was made with; images of others have none", () => {
    expect(readImageConfig(image)).toBeUndefined();
    writeOwnFiles(image, [], config);
    expect(readImageConfig(image)).toEqual(config);
  });

  test.each(["", "[]", '{"ociVersion":1}'])("is refused if it is %j", (text) => {
    writeFileSync(inside("config.json"), text);
    expect(() => readImageConfig(image)).toThrow(expect.objectContaining({ code: "config" }));
  });
});

test("logs and statistics are kept, over links and not through them", () => {
  const work = join(top, "work");
  mkdirSync(work);
  for (const name of ["restore.log", "stats-restore", "criu.conf"]) writeFileSync(join(work, name), name);
  symlinkSync(victim, inside("restore.log"));
  symlinkSync(join(top, "new"), inside("stats-restore"));
  expect(keepWorkFiles(work, image)).toBeUndefined();
  expect(readFileSync(inside("restore.log"), "utf8")).toBe("restore.log");
  expect(existsSync(join(top, "new"))).toBe(false);
  expect(existsSync(inside("criu.conf"))).toBe(false);
  rmSync(inside("restore.log"));
  mkdirSync(inside("restore.log"));
  expect(keepWorkFiles(work, image)).toMatch(/could not be kept in .*image: /);
});
