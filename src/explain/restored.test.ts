import { expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import type { ExplainInput } from "./input.ts";
import type { Item } from "./item.ts";
import { judgeRestored } from "./restored.ts";

const facts = { lastCapability: 40 } as ExplainInput["facts"];
const judge = (item: Partial<Item>, process: Partial<Config["process"]> = {}) =>
  judgeRestored([{ section: "mounts", name: "/data", verdict: "differs", ...item } as Item], {
    config: { ociVersion: "1.3.0", process: { cwd: "/", noNewPrivileges: true, ...process } },
    facts,
  });
const bounding = (...names: string[]) => ({ capabilities: { bounding: names } }) as Partial<Config["process"]>;

test("what is graver than config.json is refused, with what it is", () => {
  expect(judge({ grave: true, configured: "masked", actual: "not mounted" })).toEqual({
    refused: ["mounts /data: it is not mounted, not masked"],
    told: [],
  });
  expect(judge({ grave: true, actual: ["proc", "rw"], note: "nobody asked for it" }).refused).toEqual([
    "mounts /data: it is proc rw, not nothing; nobody asked for it",
  ]);
});

test("what cannot be looked at is not let in, where it matters", () => {
  expect(judge({ verdict: "unknown", note: "cannot look" }).refused).toEqual(["mounts /data: cannot look"]);
  expect(judge({ section: "process", verdict: "unknown", note: "x" })).toEqual({ refused: [], told: [] });
});

test("the rest is told; what is as configured, or config.json's, is not", () => {
  expect(judge({ section: "namespaces", name: "kernel.msgmax", configured: "1", actual: "2" })).toEqual({
    refused: [],
    told: ["namespaces kernel.msgmax: it is 2, not 1"],
  });
  for (const quiet of [{ verdict: "ok" }, { verdict: "info" }, { section: "cgroups", grave: true }] as const) {
    expect(judge(quiet)).toEqual({ refused: [], told: [] });
  }
});

test.each([
  ["mounts", "/data", "CAP_SYS_ADMIN"],
  ["process", "uid", "CAP_SETUID"],
  ["process", "gid", "CAP_SETGID"],
  ["process", "additional gids", "CAP_SETGID"],
  ["process", "oom_score_adj", "CAP_SYS_RESOURCE"],
  ["process", "RLIMIT_NOFILE", "CAP_SYS_RESOURCE"],
] as const)("%s %s: a container with %s could have come to it by itself", (section, name, capability) => {
  const item = { section, name, grave: true, actual: "1", configured: "2" } as const;
  expect(judge(item).refused).toHaveLength(1);
  expect(judge(item, bounding("CAP_KILL")).refused).toHaveLength(1);
  expect(judge(item, bounding(capability))).toMatchObject({ refused: [], told: [expect.any(String)] });
});

test("a program with the set-user-ID bit is another user", () => {
  const item = { section: "process", name: "uid", grave: true, actual: "0", configured: "7" } as const;
  expect(judge(item, { noNewPrivileges: false }).refused).toEqual([]);
});

test("no text of the image moves a terminal's cursor", () => {
  expect(judge({ name: "/\u001b[2J", grave: true, actual: "x" }).refused[0]).toContain("\\u001b[2J");
});
