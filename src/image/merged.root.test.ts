/** Files of a merged tree as overlayfs shows them: the same layers are looked at here and through a real overlay. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { AbsPath } from "../core/brands.ts";
import { readMergedFile } from "./merged.ts";

let folder: string;
let layers: AbsPath[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsrun-merged-"));
  layers = ["low", "middle", "top"].map((name) => join(folder, name) as AbsPath);
  for (const layer of layers) mkdirSync(layer);
});
afterEach(() => rmSync(folder, { recursive: true }));

type Content = string | { readonly link: string } | "whiteout" | "opaque";
/** Puts things into a layer; 0 is the lowest. */
function put(layer: number, files: Readonly<Record<string, Content>>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(layers[layer] as string, name);
    mkdirSync(dirname(path), { recursive: true });
    if (content === "whiteout") execFileSync("mknod", [path, "c", "0", "0"]);
    else if (content === "opaque") {
      mkdirSync(path, { recursive: true });
      execFileSync("python3", ["-c", `import os; os.setxattr("${path}", "trusted.overlay.opaque", b"y")`]);
    } else if (typeof content === "string") writeFileSync(path, content);
    else symlinkSync(content.link, path);
  }
}

const read = (path: string): string | undefined => readMergedFile(layers, path, 100)?.toString();

/** What a container would read: chroot into an overlay, in a mount namespace that ends with it. */
function throughOverlay(path: string): string | undefined {
  const own = ["shell", "merged"].map((name) => join(folder, name));
  for (const each of own) mkdirSync(each);
  execFileSync("cp", ["/bin/busybox", join(folder, "shell/busybox")]);
  const lower = [...layers].reverse().join(":");
  const script = `mount -t overlay overlay -o lowerdir=${lower}:${folder}/shell ${folder}/merged
    exec chroot ${folder}/merged /busybox cat "$1"`;
  const { status, stdout, stderr } = spawnSync("unshare", ["-m", "sh", "-ec", script, "sh", path], {
    encoding: "utf8",
  });
  for (const each of own) rmSync(each, { recursive: true });
  if (status === 0) return stdout;
  expect(stderr).toMatch(/^cat: (?:can't open|read error)/);
  return undefined;
}

describe("is what overlayfs shows", () => {
  const cases: readonly [string, () => void, string | undefined][] = [
    ["the topmost file", () => [put(0, { "etc/passwd": "low" }), put(2, { "etc/passwd": "top" })], "top"],
    [
      "a lower one through directories above",
      () => [put(0, { "etc/passwd": "low" }), put(2, { "etc/group": "" })],
      "low",
    ],
    [
      "nothing behind a whiteout",
      () => [put(0, { "etc/passwd": "low" }), put(1, { "etc/passwd": "whiteout" })],
      undefined,
    ],
    [
      "a file made anew above a whiteout",
      () => [put(0, { "etc/passwd": "low" }), put(1, { "etc/passwd": "whiteout" }), put(2, { "etc/passwd": "top" })],
      "top",
    ],
    [
      "nothing behind a whiteout of the directory",
      () => [put(0, { "etc/passwd": "low" }), put(1, { etc: "whiteout" })],
      undefined,
    ],
    [
      "nothing behind an opaque directory",
      () => [put(0, { "etc/passwd": "low" }), put(1, { etc: "opaque" })],
      undefined,
    ],
    [
      "what is in the opaque directory",
      () => [put(0, { "etc/passwd": "low" }), put(1, { etc: "opaque", "etc/passwd": "middle" })],
      "middle",
    ],
    [
      "nothing where a file hides a directory",
      () => [put(0, { "etc/passwd": "low" }), put(1, { etc: "a file" })],
      undefined,
    ],
    [
      "the directory's file where it hides a file",
      () => [put(0, { etc: "a file" }), put(1, { "etc/passwd": "middle" })],
      "middle",
    ],
    [
      "a link to another layer's file",
      () => [put(0, { "usr/etc/passwd": "low" }), put(1, { "etc/passwd": { link: "../usr/etc/passwd" } })],
      "low",
    ],
    [
      "an absolute link, inside the root",
      () => [put(0, { "usr/passwd": "low" }), put(1, { "etc/passwd": { link: "/usr/passwd" } })],
      "low",
    ],
    [
      "a link for the directory",
      () => [put(0, { "usr/etc/passwd": "low" }), put(2, { etc: { link: "usr/etc" } })],
      "low",
    ],
    [
      "a link that would leave the root",
      () => [put(0, { passwd: "low" }), put(2, { "etc/passwd": { link: "../../../../passwd" } })],
      "low",
    ],
    ["nothing for a link to itself", () => put(1, { "etc/passwd": { link: "passwd" } }), undefined],
    ["nothing for a directory", () => put(1, { "etc/passwd/x": "" }), undefined],
  ];
  test.each(cases)("%s", (_, make, expected) => {
    make();
    expect(read("/etc/passwd")).toBe(expected);
    expect(throughOverlay("/etc/passwd")).toBe(expected);
  });
});

describe("never leaves the layers", () => {
  test("over links to the host's files", () => {
    put(0, { "etc/passwd": { link: "/proc/self/environ" }, "etc/group": { link: `${folder}/outside` } });
    writeFileSync(join(folder, "outside"), "secret");
    expect([read("/etc/passwd"), read("/etc/group")]).toEqual([undefined, undefined]);
  });
  test("nor blocks at a fifo, nor opens a device", () => {
    mkdirSync(join(folder, "low/etc"));
    execFileSync("mkfifo", [join(folder, "low/etc/passwd")]);
    execFileSync("mknod", [join(folder, "low/etc/group"), "c", "1", "5"]);
    expect(() => read("/etc/passwd")).toThrow(/\/etc\/passwd of the image is not a regular file/);
    expect(() => read("/etc/group")).toThrow(/not a regular file/);
  });
  test("nor reads without a bound", () => {
    put(0, { "etc/passwd": "x".repeat(100), "etc/group": "x".repeat(101) });
    expect(read("/etc/passwd")).toHaveLength(100);
    expect(() => read("/etc/group")).toThrow(/\/etc\/group of the image is larger than 100 bytes/);
  });
});
