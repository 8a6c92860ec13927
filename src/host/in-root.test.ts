import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { lookInRoot } from "./in-root.ts";
import { MountTable, parseMountinfo } from "./mountinfo.ts";

let top: string;
let root: number;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "tsrun-in-root-"));
  mkdirSync(join(top, "root/etc/deep"), { recursive: true });
  writeFileSync(join(top, "secret"), "", { mode: 0o640 });
  writeFileSync(join(top, "root/etc/file"), "", { mode: 0o640 });
  root = openSync(join(top, "root"), "r");
});
afterEach(() => {
  closeSync(root);
  rmSync(top, { recursive: true });
});

const none = new MountTable([]);
const look = (path: string, mounts = none) => lookInRoot(root, path, mounts);
const link = (target: string, path: string): void => symlinkSync(target, join(top, "root", path));

describe("looking at a path of a container", () => {
  test("a file, with where it is in the end", () => {
    link("../etc/./file", "etc/a");
    link("/etc/a", "b");
    link("etc", "directory");
    for (const path of ["/etc/file", "b", "/directory/deep/../file", "//etc/deep/../../b"]) {
      expect(look(path)).toMatchObject({ value: { path: "/etc/file", kind: "file", mode: 0o640 } });
    }
    expect(look("/directory/deep")).toMatchObject({ value: { path: "/etc/deep", kind: "directory" } });
    expect(look("/")).toMatchObject({ value: { path: "/", kind: "directory" } });
  });

  test("nothing outside of the root is reached", () => {
    link(join(top, "secret"), "absolute");
    link("../../../../secret", "etc/relative");
    link(`/proc/self/cwd`, "magic");
    for (const path of ["/absolute", "/etc/relative", "../secret", "/../../secret", "/magic"]) {
      expect(look(path)).toEqual({ value: undefined });
    }
  });

  test("loops end", () => {
    link("two", "one");
    link("one", "two");
    expect(look("/one")).toEqual({ unreadable: "too many symbolic links" });
  });

  test("what is missing, or below a file, is not there", () => {
    expect(look("/etc/missing/file")).toEqual({ value: undefined });
    expect(look("/etc/file/x")).toEqual({ value: undefined });
  });

  test("a file system that may never answer is not asked", () => {
    const mounts = new MountTable(
      parseMountinfo("1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / /etc/deep rw - fuse.sshfs host: rw\n"),
    );
    expect(look("/etc/file", mounts)).toMatchObject({ value: { path: "/etc/file" } });
    link("etc/deep", "way");
    for (const path of ["/etc/deep", "/etc/deep/x", "/way/x"]) {
      expect(look(path, mounts)).toEqual({ unreadable: "it is on fuse.sshfs, whose answers need not come" });
    }
  });
});
