import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type AbsPath, containerId } from "../core/brands.ts";
import type { ContainerRecord } from "./record.ts";
import {
  appendJournal,
  directoryOf,
  listIds,
  listTemporary,
  makeDirectory,
  type NewDirectory,
  readConfigCopy,
  readJournal,
  readRecord,
  removeDirectory,
  type StateRoot,
  writeRecord,
} from "./store.ts";

let top: string;
let root: StateRoot;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "tsrun-store-"));
  root = { path: join(top, "state") as AbsPath, explicit: false };
});
afterEach(() => rmSync(top, { recursive: true }));

const web = containerId("web");
const by = { pid: 4_000_000, startTime: 18_446_744_073_709_551_615n };
const fresh = (reached: NewDirectory["reached"] = () => {}): NewDirectory => ({
  config: '{"ociVersion":"1.3.0"}',
  entry: { kind: "creating", by, cgroups: [], pidFile: "" },
  reached,
});
const record = (id = web): ContainerRecord => ({
  id,
  bundle: "/b" as AbsPath,
  rootfs: "/b/rootfs" as AbsPath,
  init: { pid: 7, startTime: 12_345_678_901_234_567_890n },
  created: "2024-01-01T00:00:00.000Z",
  ownerUid: 0,
  // What looks like a number of ours stays the text that it is.
  annotations: { startTime: "5", "a.b": "1n" },
  cgroups: [{ hierarchy: "/sys/fs/cgroup", path: "/x", version: 2, controllers: ["memory"], created: true }],
  sharesPidNamespace: false,
  hooks: { poststart: false, poststop: true },
  hasProcess: true,
});

describe("the state store", () => {
  test("an id is claimed once, with its journal and configuration, closed to others", () => {
    const directory = makeDirectory(root, web, fresh());
    expect(statSync(root.path).mode & 0o777).toBe(0o700);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readJournal(root, web)).toEqual([fresh().entry]);
    expect(readConfigCopy(root, web)).toBe(fresh().config);
    expect(() => makeDirectory(root, web, fresh())).toThrow(expect.objectContaining({ code: "exists" }));
    expect(readdirSync(root.path)).toEqual(["web"]);
  });

  test("under its own name a directory is never without a journal", () => {
    let seen: string[] = [];
    makeDirectory(
      root,
      web,
      fresh((point) => {
        if (point === "directory-new") seen = readdirSync(root.path);
      }),
    );
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatch(/^@new-/);
    expect(listIds(root)).toEqual(["web"]);
  });

  test("what was killed under a temporary name is found with its maker, and is no container", () => {
    const killed = new Error("killed");
    const stop = fresh(() => {
      throw killed;
    });
    // Not by the same way: the directory is removed again when something else than a kill ends us.
    expect(() => makeDirectory(root, web, stop)).toThrow();
    expect(readdirSync(root.path)).toEqual([]);
    makeDirectory(root, web, fresh());
    removeDirectory(root, web, by, () => {
      expect(listIds(root)).toEqual([]);
      expect(listTemporary(root)).toEqual([{ path: expect.stringContaining("@gone-"), by }]);
      expect(existsSync(directoryOf(root, web))).toBe(false);
    });
    expect(readdirSync(root.path)).toEqual([]);
  });

  test("a record comes back as it was written, 64-bit times included", () => {
    makeDirectory(root, web, fresh());
    expect(readRecord(root, web)).toBeUndefined();
    writeRecord(root, record());
    expect(readRecord(root, web)).toEqual(record());
  });

  test("what cannot be written is an error that names the file", () => {
    const failure = (file: string) =>
      expect.objectContaining({
        code: "state-store",
        message: expect.stringMatching(new RegExp(`^cannot write ${root.path}/web/${file}: ENOENT`)),
      });
    expect(() => writeRecord(root, record())).toThrow(failure("state.json"));
    expect(() => appendJournal(root, web, { kind: "deleting", by })).toThrow(failure("journal"));
  });

  test("a damaged or foreign record is an error that names the file", () => {
    makeDirectory(root, web, fresh());
    for (const text of ["", "{", "[]", '{"format":99}', '{"format":1}', '{"format":1,"init":{"pid":"x"}}']) {
      writeFileSync(join(directoryOf(root, web), "state.json"), text);
      expect(() => readRecord(root, web)).toThrow(
        expect.objectContaining({ code: "state-store", message: expect.stringContaining("state.json") }),
      );
    }
  });

  test("a last journal line that a crash cut off is as if it were not there", () => {
    makeDirectory(root, web, fresh());
    appendJournal(root, web, { kind: "deleting", by });
    appendFileSync(join(directoryOf(root, web), "journal"), '{"format":1,"kind":"dele');
    expect(readJournal(root, web).map(({ kind }) => kind)).toEqual(["creating", "deleting"]);
  });

  test("list: an absent default root is empty, an absent root that was named is an error", () => {
    expect(listIds(root)).toEqual([]);
    expect(() => listIds({ ...root, explicit: true })).toThrow(expect.objectContaining({ code: "not-found" }));
    for (const id of ["b", "a", "c"]) makeDirectory(root, containerId(id), fresh());
    expect(listIds(root)).toEqual(["a", "b", "c"]);
  });
});
