import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { parseJson } from "./json.ts";
import { loadBundle, loadProcess, loadSeccompProfile } from "./load.ts";
import { formatProblems } from "./problems.ts";
import { validateConfig } from "./validate.ts";

const good = {
  ociVersion: "1.3.0",
  root: { path: "rootfs" },
  process: { cwd: "/", args: ["sh"] },
  linux: { namespaces: [{ type: "mount" }, { type: "uts" }] },
};
const lines = (config: unknown): string =>
  formatProblems("config.json", validateConfig(typeof config === "string" ? config : JSON.stringify(config, null, 1)));

describe("parseJson", () => {
  test("keeps every digit of large integers, in keys order and in arrays", () => {
    expect(parseJson('{"a":18446744073709551615,"b":[9007199254740993, 1],"c":"18446744073709551615"}')).toEqual({
      a: 18446744073709551615n,
      b: [9007199254740993n, 1],
      c: "18446744073709551615",
    });
    expect(parseJson("9007199254740991 ")).toBe(9007199254740991);
  });

  test("agrees with JSON.parse but for the digits that it would lose", () => {
    const rounded = (value: unknown): unknown => {
      if (typeof value === "bigint") return Number(value);
      if (typeof value !== "object" || value === null) return value;
      if (Array.isArray(value)) return value.map(rounded);
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, rounded(inner)]));
    };
    fc.assert(fc.property(fc.json(), (text) => expect(rounded(parseJson(text))).toEqual(rounded(JSON.parse(text)))));
  });
});

describe("validateConfig", () => {
  test("finds nothing wrong with a good configuration", () => expect(lines(good)).toBe(""));

  test("takes a device's mode with the type of file in it, as podman and docker write it", () => {
    const devices = [{ type: "c", path: "/dev/fuse", major: 10, minor: 229, fileMode: 0o020600 }];
    expect(lines({ ...good, linux: { ...good.linux, devices } })).toBe("");
  });

  test("says where and what, for all problems at once", () => {
    expect(lines({ ...good, process: { cwd: "x", args: [], rlimits: [] }, hostname: 7 })).toBe(
      "config.json:21:2: /hostname: found 7, wanted a string",
    );
    expect(lines({ ...good, process: { cwd: "x", args: [] } })).toBe(
      'config.json:7:3: /process/cwd: found "x", wanted an absolute path (did you mean "/x"?)\nconfig.json:8:3: /process/args: found [], wanted at least the program',
    );
  });

  test("a syntax error has its line and column", () => {
    expect(lines('{\n "a": 1,\n}')).toBe('config.json:3:1: found unexpected "}", wanted a string');
  });

  test("a character that cannot be seen is shown by its number", () => {
    expect(lines("\ufeff{}")).toBe('config.json:1:1: found unexpected "\\ufeff", wanted a value');
  });

  test.each([
    ["99999999999999999999999", "found 99999999999999999999999, wanted a smaller number"],
    ["1e400", "found a number that is too large, wanted a smaller number"],
    ["4294967296", "found 4294967296, wanted at most 4294967295"],
    ["-1", "found -1, wanted at least 0"],
    ["1.5", "found 1.5, wanted an integer"],
    ['"1"', 'found "1", wanted a number'],
  ])("a uid of %s is refused for what it is", (uid, message) => {
    const text = JSON.stringify({ ...good, process: { ...good.process, user: { uid: "UID", gid: 0 } } });
    expect(lines(text.replace('"UID"', uid))).toMatch(new RegExp(`: /process/user/uid: ${message}$`));
  });

  test("a root file system that is missing is told of: it may come later", () => {
    const problems = validateConfig(JSON.stringify(good), (path) => `${path} is not there`);
    expect(formatProblems("config.json", problems)).toBe(
      'config.json:1:31: warning: /root/path: found "rootfs", wanted a directory by the time of create: rootfs is not there',
    );
  });

  test("suggests names and values that were probably meant", () => {
    expect(lines({ ...good, proces: {} })).toContain(
      'wanted a property of the specification (did you mean "process"?)',
    );
    expect(lines({ ...good, linux: { namespaces: [{ type: "pids" }] } })).toContain('(did you mean "pid"?)');
    expect(lines({ ...good, "org.example.extension": {} })).toBe("");
  });

  const bad: readonly [string, unknown, RegExp][] = [
    [
      "duplicate namespace",
      { linux: { namespaces: [{ type: "pid" }, { type: "pid" }] } },
      /namespaces\/1\/type.*at most once/,
    ],
    [
      "duplicate rlimit",
      {
        process: {
          cwd: "/",
          rlimits: [
            { type: "RLIMIT_CORE", soft: 0, hard: 0 },
            { type: "RLIMIT_CORE", soft: 1, hard: 1 },
          ],
        },
      },
      /rlimits\/1/,
    ],
    ["hostname without uts namespace", { hostname: "x", linux: {} }, /hostname.*uts namespace/],
    [
      "mappings without a user namespace",
      { linux: { uidMappings: [{ containerID: 0, hostID: 1, size: 1 }] } },
      /uidMappings/,
    ],
    ["user namespace without mappings", { linux: { namespaces: [{ type: "user" }] } }, /gidMappings/],
    [
      "a mapping past 2^32",
      {
        linux: {
          namespaces: [{ type: "user" }],
          uidMappings: [{ containerID: 0, hostID: 4294967295, size: 2 }],
          gidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
        },
      },
      /2\^32/,
    ],
    ["sysctl of the host", { linux: { sysctl: { "vm.swappiness": "1" } } }, /host's/],
    ["sysctl without its namespace", { linux: { sysctl: { "net.ipv4.ip_forward": "1" } } }, /network namespace/],
    [
      "sysctl of a user without its namespace",
      { linux: { sysctl: { "user.max_pid_namespaces": "1" } } },
      /user namespace/,
    ],
    ["sysctl with an empty part", { linux: { sysctl: { "net..core": "1" } } }, /sysctl name/],
    ["sysctl with ..", { linux: { sysctl: { "net/../kernel/core_pattern": "x" } } }, /sysctl name/],
    ["uid that would wrap", { process: { cwd: "/", user: { uid: 4294967296 } } }, /at most 4294967295/],
    ["negative gid", { process: { cwd: "/", user: { gid: -1 } } }, /at least 0/],
    ["relative hook", { hooks: { createRuntime: [{ path: "x" }] } }, /createRuntime\/0\/path/],
    ["another major version", { ociVersion: "2.0.0" }, /1\.x\.y/],
    [
      "notify without listener",
      {
        linux: {
          seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["open"], action: "SCMP_ACT_NOTIFY" }] },
        },
      },
      /listenerPath/,
    ],
    ["device without numbers", { linux: { devices: [{ type: "c", path: "/dev/x" }] } }, /major/],
    ["one-sided mount mappings", { mounts: [{ destination: "/x", uidMappings: [] }] }, /together/],
    ["cgroupsPath with ..", { linux: { cgroupsPath: "/a/../b" } }, /cgroupsPath/],
    ["NUL in an argument", { process: { cwd: "/", args: ["a\0b"] } }, /NUL/],
    ["swap below the limit", { linux: { resources: { memory: { limit: 100, swap: 50 } } } }, /swap/],
  ];
  test.each(bad)("%s", (_, change, expected) => expect(lines({ ...good, ...(change as object) })).toMatch(expected));

  test("survives any text", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.object({ maxDepth: 4 }).map((o) => JSON.stringify({ ...good, ...o })),
        ),
        (text) => {
          expect(Array.isArray(validateConfig(text))).toBe(true);
        },
      ),
    );
    expect(validateConfig("[".repeat(100_000))).toHaveLength(1);
  });
});

describe("loadBundle", () => {
  let work: string;
  beforeAll(() => {
    work = mkdtempSync(join(tmpdir(), "tsrun-bundle-"));
    mkdirSync(join(work, "rootfs"));
    writeFileSync(join(work, "config.json"), JSON.stringify(good));
  });
  afterAll(() => rmSync(work, { recursive: true }));

  test("resolves bundle and root", () => {
    expect(loadBundle(work)).toMatchObject({
      bundle: work,
      rootfs: join(work, "rootfs"),
      config: { process: { cwd: "/" } },
    });
  });

  test("names what is missing or wrong", () => {
    expect(() => loadBundle(join(work, "nowhere"))).toThrow(/nowhere/);
    expect(() => loadBundle(work, "other.json")).toThrow(/other\.json/);
    expect(() => loadBundle(work, "rootfs")).toThrow(/not a regular file/);
    for (const path of ["missing", "/", "config.json"]) {
      writeFileSync(join(work, "bad.json"), JSON.stringify({ ...good, root: { path } }));
      expect(() => loadBundle(work, "bad.json")).toThrow(/root\.path/);
    }
    writeFileSync(join(work, "bad.json"), "{");
    expect(() => loadBundle(work, "bad.json")).toThrow(/bad\.json:1:2/);
  });

  test("takes UTF-8 only, since a replacement would name another file", () => {
    const file = join(work, "latin1.json");
    writeFileSync(file, Buffer.from('{"a": "\ufffd\u00e9",\n "path": "\xe9"}', "utf8"));
    expect(() => loadProcess(file)).toThrow(/\/cwd/);
    const bytes = Buffer.concat([Buffer.from('{"a": "\ufffd",\n "path": "'), Buffer.from([0xe9]), Buffer.from('"}')]);
    writeFileSync(file, bytes);
    expect(() => loadProcess(file)).toThrow(/latin1\.json:2:11: found bytes that are no UTF-8/);
  });

  test("says what a bundle is where none is", () => {
    expect(() => loadBundle(tmpdir())).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/cannot read .*config\.json: ENOENT/),
        advice: expect.stringMatching(/^a bundle is a directory with a config\.json/),
      }),
    );
  });

  test("reads the process of exec", () => {
    writeFileSync(join(work, "process.json"), JSON.stringify({ cwd: "/", args: ["id"] }));
    expect(loadProcess(join(work, "process.json")).args).toEqual(["id"]);
    writeFileSync(join(work, "process.json"), JSON.stringify({ cwd: "relative" }));
    expect(() => loadProcess(join(work, "process.json"))).toThrow(/absolute/);
  });
});

describe("a seccomp profile", () => {
  let file: string;
  beforeAll(() => {
    file = join(mkdtempSync(join(tmpdir(), "tsrun-profile-")), "profile.json");
  });
  afterAll(() => rmSync(join(file, ".."), { recursive: true }));
  const loaded = (profile: unknown) => {
    writeFileSync(file, typeof profile === "string" ? profile : JSON.stringify(profile, null, 1));
    return loadSeccompProfile(file);
  };
  const rule = (more: object) => ({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ action: "SCMP_ACT_ERRNO", ...more }],
  });

  test("has docker's form or that of config.json, to the last digit", () => {
    const own = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG","args":[ARG]}]}';
    const argument = '{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}';
    expect(loaded(own.replace("ARG", argument)).syscalls?.[0]?.args?.[0]?.value).toBe(2n ** 64n - 1n);
    expect(loaded({ ...rule({ name: "a", comment: "" }), archMap: null }).syscalls).toEqual([
      { name: "a", action: "SCMP_ACT_ERRNO" },
    ]);
  });
  test.each([
    [{}, /profile\.json:1:1: \/defaultAction: found nothing, wanted one of SCMP_ACT_KILL/],
    [rule({ names: ["a"], action: "ALLOW" }), /profile\.json:5:4: \/syscalls\/0\/action: found "ALLOW"/],
    [rule({ names: ["a"], name: "b" }), /\/syscalls\/0\/name: found "b", wanted either name or names/],
    [rule({ names: [] }), /\/syscalls\/0: .*wanted names of system calls/],
    [rule({ names: ["a"], errno: "EWHAT" }), /\/syscalls\/0\/errno: found "EWHAT", wanted the name of an errno/],
    [rule({ names: ["a"], action: "SCMP_ACT_ALLOW", errno: "EPERM" }), /wanted no errno for SCMP_ACT_ALLOW/],
    [rule({ names: ["a"], action: "SCMP_ACT_NOTIFY" }), /wanted a listenerPath/],
    [
      rule({ names: ["a"], args: [{ index: 6, value: 0, op: "SCMP_CMP_EQ" }] }),
      /\/args\/0\/index: found 6, wanted 0 to 5/,
    ],
    [rule({ names: ["a"], includes: { minKernel: "new" } }), /\/includes\/minKernel: found "new", wanted a version/],
    // A condition that nobody looked at would leave a rule for everybody.
    [rule({ names: ["a"], excludes: { cap: ["CAP_CHOWN"] } }), /\/excludes: .*with caps, arches and minKernel only/],
    [{ ...rule({ names: ["a"] }), defaultErrno: "E" }, /\/defaultErrno: found "E", wanted the name of an errno/],
    [
      { ...rule({ names: ["a"] }), architectures: ["SCMP_ARCH_X86"], archMap: [{ architecture: "SCMP_ARCH_X86" }] },
      /\/archMap: .*wanted either architectures or archMap/,
    ],
    ["[]", /found \[\], wanted an object/],
    ["{", /profile\.json:1:2: unexpected end of the file/],
  ])("%j is refused", (profile, message) => expect(() => loaded(profile)).toThrow(message));
});

describe("rules of scheduling and memory", () => {
  const process = (more: object): string => lines({ ...good, process: { ...good.process, ...more } });
  const linux = (more: object): string => lines({ ...good, linux: { ...good.linux, ...more } });

  test.each([
    [{ policy: "SCHED_OTHER", nice: 20 }, "/process/scheduler/nice"],
    [{ policy: "SCHED_FIFO" }, "/process/scheduler/priority"],
    [{ policy: "SCHED_RR", priority: 100 }, "/process/scheduler/priority"],
    [{ policy: "SCHED_BATCH", priority: 1 }, "/process/scheduler/priority"],
    [{ policy: "SCHED_IDLE", runtime: 5000 }, "/process/scheduler/runtime"],
    [{ policy: "SCHED_DEADLINE" }, "/process/scheduler/runtime"],
    [{ policy: "SCHED_DEADLINE", runtime: 5000, deadline: 4000 }, "/process/scheduler/deadline"],
    [{ policy: "SCHED_DEADLINE", runtime: 5000, deadline: 6000, period: 5500 }, "/process/scheduler/period"],
  ])("scheduler %j", (scheduler, pointer) => expect(process({ scheduler })).toContain(` ${pointer}: `));

  test.each([
    { policy: "SCHED_OTHER", nice: -20 },
    { policy: "SCHED_FIFO", priority: 99 },
    { policy: "SCHED_DEADLINE", runtime: 5000, deadline: 6000 },
    { policy: "SCHED_DEADLINE", runtime: 5000, deadline: 6000, period: 6000, flags: ["SCHED_FLAG_RESET_ON_FORK"] },
  ])("scheduler %j is good", (scheduler) => expect(process({ scheduler })).toBe(""));

  test("a deadline forbids fork, and hooks in the container need it", () => {
    const deadline = { policy: "SCHED_DEADLINE", runtime: 5000, deadline: 6000 };
    const hooks = { startContainer: [{ path: "/bin/true" }] };
    const reset = { ...deadline, flags: ["SCHED_FLAG_RESET_ON_FORK"] };
    expect(lines({ ...good, hooks, process: { ...good.process, scheduler: deadline } })).toContain(
      "startContainer hooks",
    );
    expect(lines({ ...good, hooks, process: { ...good.process, scheduler: reset } })).toBe("");
    expect(
      lines({ ...good, hooks: { prestart: hooks.startContainer }, process: { ...good.process, scheduler: deadline } }),
    ).toBe("");
  });

  test("CPU lists", () => {
    expect(process({ execCPUAffinity: { initial: "0-3,7", final: "" } })).toBe("");
    expect(process({ execCPUAffinity: { initial: "3-0", final: "8192" } })).toMatch(
      /execCPUAffinity\/initial: found "3-0".*\n.*execCPUAffinity\/final: found "8192"/,
    );
  });

  test.each([
    [{}, "/mode"],
    [{ mode: "MPOL_BIND" }, "/nodes"],
    [{ mode: "MPOL_INTERLEAVE", nodes: "x" }, "/nodes"],
    [{ mode: "MPOL_DEFAULT", nodes: "0" }, "/nodes"],
    [{ mode: "MPOL_LOCAL", nodes: "0" }, "/nodes"],
    [{ mode: "MPOL_LOCAL", flags: ["MPOL_F_STATIC_NODES"] }, "/flags"],
    [{ mode: "MPOL_PREFERRED", flags: ["MPOL_F_RELATIVE_NODES"] }, "/flags"],
    [{ mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"] }, "/flags"],
    [{ mode: "MPOL_INTERLEAVE", nodes: "0", flags: ["MPOL_F_NUMA_BALANCING"] }, "/flags"],
  ])("memoryPolicy %j", (memoryPolicy, where) =>
    expect(linux({ memoryPolicy })).toContain(` /linux/memoryPolicy${where}: `),
  );

  test.each([
    { mode: "MPOL_DEFAULT" },
    { mode: "MPOL_PREFERRED" },
    { mode: "MPOL_BIND", nodes: "0-1", flags: ["MPOL_F_STATIC_NODES", "MPOL_F_NUMA_BALANCING"] },
  ])("memoryPolicy %j is good", (memoryPolicy) => expect(linux({ memoryPolicy })).toBe(""));

  test("a personality has a domain", () => {
    expect(linux({ personality: { domain: "LINUX32", flags: [] } })).toBe("");
    expect(linux({ personality: {} })).toContain("/linux/personality/domain: found nothing");
  });

  test("seccomp: whom to ask is said, by an absolute path, and write is not asked about", () => {
    const seccomp = (more: object, names = ["mkdir"]): string =>
      linux({
        seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }], ...more },
      });
    expect(seccomp({ listenerPath: "/run/agent" })).toBe("");
    expect(seccomp({})).toContain("/linux/seccomp/syscalls/0/action");
    expect(seccomp({ listenerPath: "agent" })).toContain("wanted an absolute path");
    expect(seccomp({ listenerPath: "/run/agent" }, ["write"])).toContain("/linux/seccomp/syscalls/0/names");
    expect(seccomp({ listenerPath: "/run/agent", defaultAction: "SCMP_ACT_NOTIFY" })).toContain("/defaultAction");
    expect(seccomp({ syscalls: [], listenerMetadata: "x" })).toContain("/linux/seccomp/listenerMetadata");
  });
});
