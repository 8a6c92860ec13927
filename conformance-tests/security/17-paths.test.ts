/** Row 17 of docs/security.md (GHSA-5g49-rx9x-qfc6): a container's id or its cgroup's path leads somewhere else. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { hierarchies, Sandbox } from "../harness.ts";

let box: Sandbox;
/** Beside the state root: what a traversal would reach. */
let victim: string;
beforeAll(() => {
  box = new Sandbox();
  victim = join(box.work, "victim");
  mkdirSync(victim);
  writeFileSync(join(victim, "state.json"), '{"format":1}');
});
afterAll(() => box.close());

const ids = [
  "..",
  ".",
  "../victim",
  "a/../../victim",
  "/",
  "a/b",
  "a//b",
  "..\\x",
  "a b",
  "a\nb",
  "",
  "@seccomp",
  "é",
  "a".repeat(1025),
  `../${"a".repeat(50)}`,
];

describe("an id that is a path", () => {
  test.each(ids)("%j is refused by every verb, and nothing is made or removed", (id) => {
    const bundle = box.bundle("true");
    box.run(["list"]); // the files for its output are there now
    const before = readdirSync(box.work).sort();
    const state = readdirSync(box.root);
    const verbs = [
      ["create", "--bundle", bundle, "--", id],
      ["run", "--bundle", bundle, "--", id],
      ["start", "--", id],
      ["state", "--", id],
      ["kill", "--", id, "KILL"],
      ["delete", "--force", "--", id],
      ["exec", "--", id, "true"],
    ];
    for (const verb of verbs) {
      const { status, stderr } = box.run(verb);
      expect({ verb: verb[0], status }).not.toMatchObject({ status: 0 });
      expect(stderr).not.toBe("");
    }
    expect(readdirSync(victim)).toEqual(["state.json"]);
    expect(readdirSync(box.work).sort()).toEqual(before);
    expect(readdirSync(box.root)).toEqual(state);
  });
});

describe("a cgroupsPath that leads upwards", () => {
  const parent = `tsrun-test-victim-${process.pid}`;
  test.each([
    `/tsrun-test/../${parent}`,
    `../../../../${parent}`,
    `/tsrun-test/a/../../../${parent}`,
    "..",
    "/..",
    "/",
    "/.",
  ])("%j is refused, and no cgroup is made", (cgroupsPath) => {
    const id = box.id();
    const bundle = box.bundle("true", (config) => {
      config.linux.cgroupsPath = cgroupsPath;
    });
    const { status, stderr } = box.run(["run", "--bundle", bundle, id]);
    expect(status).toBe(1);
    expect(stderr).toContain("cgroupsPath");
    for (const hierarchy of hierarchies()) expect(existsSync(join(hierarchy, parent))).toBe(false);
  });
});
