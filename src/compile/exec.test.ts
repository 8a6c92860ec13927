import { describe, expect, test } from "@jest/globals";
import { completeProcess, type ExecOverrides, execCgroups, execProcess } from "./exec.ts";
import type { Place } from "./kill.ts";

const place = (version: 1 | 2, hierarchy: string, path: string, ...controllers: string[]): Place => ({
  hierarchy,
  path,
  version,
  controllers,
  created: true,
});

const plain: ExecOverrides = {
  args: ["ls"],
  env: [],
  cwd: undefined,
  user: undefined,
  additionalGids: [],
  capabilities: [],
  noNewPrivileges: undefined,
  terminal: false,
  apparmorProfile: undefined,
  selinuxLabel: undefined,
};

describe("execProcess", () => {
  const own = {
    args: ["init"],
    env: ["A=1"],
    cwd: "/srv",
    terminal: true,
    consoleSize: { height: 1, width: 1 },
    user: { uid: 5, gid: 6, umask: 0o77, additionalGids: [7] },
    capabilities: {
      bounding: ["CAP_KILL", "CAP_CHOWN"],
      effective: ["CAP_KILL"],
      permitted: ["CAP_KILL"],
      inheritable: ["CAP_CHOWN"],
    },
    noNewPrivileges: true,
    oomScoreAdj: 3,
  };

  test("is the container's own with another program and no terminal", () => {
    const { consoleSize: _, ...rest } = own;
    expect(execProcess(own, plain)).toEqual({
      ...rest,
      args: ["ls"],
      terminal: false,
      capabilities: { ...own.capabilities, ambient: [] },
    });
  });

  test("--user without gid keeps the group; --additional-gids and --env add", () => {
    const process = execProcess(own, {
      ...plain,
      env: ["B=2"],
      user: { uid: 9, gid: undefined },
      additionalGids: [8],
    });
    expect(process).toMatchObject({
      env: ["A=1", "B=2"],
      user: { uid: 9, gid: 6, umask: 0o77, additionalGids: [7, 8] },
    });
    expect(execProcess(own, { ...plain, user: { uid: 9, gid: 10 } }).user).toMatchObject({ uid: 9, gid: 10 });
  });

  test("--cap never makes inheritable, and ambient only what is inheritable (CVE-2022-29162)", () => {
    expect(execProcess(own, { ...plain, capabilities: ["CAP_NET_RAW", "CAP_CHOWN"] }).capabilities).toEqual({
      bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW", "CAP_CHOWN"],
      effective: ["CAP_KILL", "CAP_NET_RAW", "CAP_CHOWN"],
      permitted: ["CAP_KILL", "CAP_NET_RAW", "CAP_CHOWN"],
      inheritable: ["CAP_CHOWN"],
      ambient: ["CAP_CHOWN"],
    });
    expect(execProcess(undefined, { ...plain, capabilities: ["CAP_KILL"] }).capabilities).toMatchObject({
      inheritable: [],
      ambient: [],
    });
  });
});

describe("completeProcess", () => {
  test("limits that the file leaves out are the container's", () => {
    const own = {
      cwd: "/",
      capabilities: { bounding: ["CAP_KILL"] },
      oomScoreAdj: 7,
      noNewPrivileges: true,
      user: { umask: 0o77 },
    };
    expect(completeProcess(own, { cwd: "/tmp", args: ["ls"] })).toEqual({
      cwd: "/tmp",
      args: ["ls"],
      capabilities: own.capabilities,
      oomScoreAdj: 7,
      user: { umask: 0o77 },
    });
    const given = { cwd: "/", capabilities: {}, oomScoreAdj: 0, user: { uid: 3, umask: 0 } };
    expect(completeProcess(own, given)).toMatchObject(given);
    expect(completeProcess(undefined, { cwd: "/" })).toEqual({ cwd: "/", user: { umask: undefined } });
  });
});

describe("execCgroups", () => {
  const places = [
    place(1, "/cg/memory", "/web", "memory"),
    place(1, "/cg/cpu,cpuacct", "/web", "cpu", "cpuacct"),
    place(2, "/cg/unified", "/web"),
  ];
  const paths = (asked: string[], fallback = "") =>
    execCgroups(places, asked, fallback).map(({ path, fallback: other }) => (other === "" ? path : `${path}|${other}`));

  test("the container's own; on v2 init's present one, if it has no room", () => {
    expect(paths([])).toEqual(["/web", "/web", "/web"]);
    expect(paths([], "/web/init")).toEqual(["/web", "/web", "/web|/web/init"]);
  });

  test("a path is for all hierarchies, and has no fallback", () => {
    expect(paths(["sub/./x"], "/web/init")).toEqual(["/web/sub/x", "/web/sub/x", "/web/sub/x"]);
    expect(paths(["/sub"])).toEqual(["/web/sub", "/web/sub", "/web/sub"]);
    expect(paths(["/"])).toEqual(["/web", "/web", "/web"]);
  });

  test("with controllers for theirs", () => {
    expect(paths(["memory:a", "cpu:b"], "/web/init")).toEqual(["/web/a", "/web/b", "/web|/web/init"]);
    expect(paths(["memory,cpu,cpuacct:/c"])).toEqual(["/web/c", "/web/c", "/web"]);
  });

  test.each([
    [["../x"], '".."'],
    [["a/../../x"], '".."'],
    [["memory:../x"], '".."'],
    [["a", "b"], "only one"],
    [["memory:a", "b"], "CONTROLLER[,CONTROLLER]:PATH"],
    [["memory:a:b"], "CONTROLLER[,CONTROLLER]:PATH"],
    [["memory:"], "missing"],
    [[""], "missing"],
    [["memory:a", "memory:b"], "twice"],
    [["cpu:a", "cpuacct:b"], "one hierarchy"],
    [["pids:a"], '"pids"'],
    [[":a"], '""'],
  ])("%j is refused", (asked, message) => {
    expect(() => paths(asked)).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringContaining(message) }),
    );
  });
});
