/** The command line: what people and callers type, what comes back. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun, RUNTIME, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());
const own = isTsrun ? describe : describe.skip;

own("bin/tsrun", () => {
  test("works from any directory, through a link, with an empty environment", () => {
    const link = join(box.work, "linked");
    symlinkSync(RUNTIME, link);
    const again = join(box.work, "again");
    symlinkSync(link, again);
    for (const command of [RUNTIME, link, again]) {
      const result = spawnSync(command, ["--version"], { cwd: "/", env: {}, encoding: "utf8" });
      expect(result).toMatchObject({ status: 0, stderr: "" });
      expect(result.stdout).toMatch(/^tsrun version \S+\ncommit: \S+\nspec: 1\.3\.0\n$/);
    }
  });

  test("an argument for the container's program is none for Node: --env-file does not reach it", () => {
    const evil = join(box.work, "evil-argument.cjs");
    const mark = join(box.work, "evil-argument-ran");
    writeFileSync(evil, `require("fs").writeFileSync(${JSON.stringify(mark)}, "ran")`);
    const file = join(box.work, "evil.env");
    writeFileSync(file, `NODE_OPTIONS=--require=${evil}\n`);
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000"), id]);
    for (const args of [
      [`--env-file=${file}`],
      ["--env-file", file],
      ["--env-file-if-exists", file],
      ["--env-file=/no/such"],
    ]) {
      expect(box.ok(["exec", id, "echo", ...args]).stdout).toBe(`${args.join(" ")}\n`);
    }
    expect(existsSync(mark)).toBe(false);
    box.ok(["delete", "--force", id]);
  });

  test("closed standard streams do not put the state file or Node's descriptors in their place", () => {
    const id = box.id();
    const bundle = box.bundle("ls -l /proc/self/fd >/tmp/fds; echo done >>/tmp/fds", (config) => {
      config.root.readonly = false;
    });
    const script = `exec <&- >&- 2>&-; ${RUNTIME} --root ${box.root} run --bundle ${bundle} ${id}`;
    expect(spawnSync("sh", ["-c", script]).status).toBe(0);
    const fds = readFileSync(join(bundle, "rootfs/tmp/fds"), "utf8");
    expect(fds).toContain("done");
    expect(fds).not.toMatch(/state\.json|tsrun|memfd/);
  });

  test("--help names every command, and each has a help of its own", () => {
    const text = box.ok(["--help"]).stdout;
    const names = [...text.matchAll(/^ {2}tsrun (\w+)/gm)].map(([, name]) => name as string);
    expect(names).toEqual(
      expect.arrayContaining(["create", "start", "state", "kill", "delete", "run", "exec", "list"]),
    );
    for (const name of names) {
      const help = box.ok([name, "--help"]).stdout;
      expect(help).toContain(`tsrun [global options] ${name}`);
      expect(help).not.toContain("test-fault");
    }
  });

  test.each([
    [["frobnicate"], "unknown command"],
    [["state"], "an argument is missing"],
    [["state", "a", "b"], "too many arguments"],
    [["state", "--frob", "a"], "unknown option --frob"],
    [["state", "../x"], "invalid container id"],
    [["kill", "a", "NOPE"], "unknown signal"],
    [["list", "--format", "xml"], "neither table nor json"],
    [["--log-format", "xml", "list"], "neither text nor json"],
  ])("%j is refused", (args, message) => {
    expect(box.run(args)).toMatchObject({ status: 1, stdout: "", stderr: expect.stringContaining(message) });
  });

  test.each([
    [
      "checkpoint",
      ["--image-path", "i", "--work-path", "w", "--leave-running", "--status-fd", "-1", "--empty-ns", "network"],
    ],
    ["restore", ["--image-path", "i", "--bundle", ".", "--detach", "--no-subreaper", "--lsm-profile", "apparmor:x"]],
  ])("%s takes its options, and says what is missing", (command, options) => {
    const result = box.run([command, ...options, box.id()], { cwd: box.bundle("true") });
    expect(result).toMatchObject({ status: 1, stdout: "" });
    expect(result.stderr).toMatch(command === "checkpoint" ? /does not exist/ : /image|CRIU/);
  });

  test.each([
    ["checkpoint", ["--manage-cgroups-mode", "none"], "none of ignore, soft, full, strict"],
    ["checkpoint", ["--empty-ns", "pid"], "network namespace only"],
    ["checkpoint", ["--page-server", "10.0.0.1"], "not ADDRESS:PORT"],
    ["checkpoint", ["--page-server", "10.0.0.1:70000"], "not ADDRESS:PORT"],
    ["checkpoint", ["--status-fd", "x"], "not the number of a descriptor"],
    ["restore", ["--manage-cgroups-mode", "x"], "none of"],
    ["restore", ["--leave-running"], "unknown option --leave-running"],
  ])("%s %j: %s", (command, options, words) => {
    expect(box.run([command, ...options, box.id()])).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining(words),
    });
  });

  test("who is root in a user namespace only has the state of a user", () => {
    const runtime = join(box.work, "xdg");
    mkdirSync(runtime);
    const create = [RUNTIME, "create", "--test-fault", "create:host:0:fail", "--bundle", box.bundle("true"), box.id()];
    const made = spawnSync("unshare", ["--user", "--map-root-user", ...create], {
      env: { PATH: process.env.PATH, XDG_RUNTIME_DIR: runtime },
      encoding: "utf8",
    });
    expect(made.stderr).toContain("a test asked for this failure");
    expect(existsSync(join(runtime, "tsrun"))).toBe(true);
  });

  test("--rootless takes its value behind = only", () => {
    for (const flag of ["--rootless", "--rootless=true", "--rootless=false", "--rootless=auto"]) {
      expect(box.run(["list", "-q"], { global: [flag] })).toMatchObject({ status: 0 });
    }
  });
});

describe("list", () => {
  test("table, ids and JSON agree; sorted by id", () => {
    const bundle = box.bundle("sleep 1000", (config) => delete config.linux.cgroupsPath);
    const ids = [box.id(), box.id()];
    for (const id of ids) box.ok(["create", "--bundle", bundle, id]);
    const sorted = [...ids].sort();
    expect(box.ok(["list", "-q"]).stdout.trim().split("\n")).toEqual(sorted);
    const json = JSON.parse(box.ok(["list", "-f", "json"]).stdout) as Record<string, unknown>[];
    expect(json.map(({ id }) => id)).toEqual(sorted);
    expect(json[0]).toMatchObject({ status: "created", bundle, owner: "root", rootfs: join(bundle, "rootfs") });
    const table = box.ok(["list"]).stdout.split("\n");
    expect(table[0]?.trim().split(/\s+/)).toEqual(["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    expect(table[1]).toMatch(new RegExp(`^${sorted[0]} +\\d+ +created +${bundle} +\\S+ +root`));
    for (const id of ids) box.ok(["delete", id]);
  });
});

describe("--log", () => {
  const fail = (format: string): { line: string; stderr: string } => {
    const log = join(box.work, `log-${format}`);
    const result = box.run(["state", "nobody"], { global: ["--log", log, "--log-format", format] });
    expect(result.status).toBe(1);
    return { line: readFileSync(log, "utf8"), stderr: result.stderr };
  };

  test("json: one line with level, msg and time, and the text on standard error", () => {
    const { line, stderr } = fail("json");
    expect(line.trim().split("\n")).toHaveLength(1);
    expect(JSON.parse(line)).toEqual({
      level: "error",
      msg: expect.stringContaining("does not exist"),
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$|^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/),
    });
    expect(stderr).toContain("does not exist");
  });

  test("text: logrus's shape", () => {
    expect(fail("text").line).toMatch(/^time="[^"]+" level=error msg=".*does not exist.*"\n$/);
  });

  test("a call that has nothing to say makes no log", () => {
    const log = join(box.work, "log-none");
    box.ok(["list"], { global: ["--log", log, "--log-format", "json"] });
    if (isTsrun) expect(existsSync(log)).toBe(false);
  });
});

own("validate", () => {
  const validate = (text: string, ...flags: string[]) => {
    const bundle = join(box.work, `validate-${Math.random().toString(36).slice(2)}`);
    mkdirSync(bundle);
    writeFileSync(join(bundle, "config.json"), text);
    return box.run(["validate", ...flags, bundle]);
  };

  test("every problem at once: where, what was found, what is wanted, what was meant", () => {
    const text = [
      "{",
      '  "ociVersion": "9.0",',
      '  "root": { "path": "rootfs" },',
      '  "process": { "cwd": "here", "args": [], "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 9, "hard": 1 }] },',
      '  "linux": { "namespaces": [{ "type": "pid" }, { "type": "pid" }] }',
      "}",
    ].join("\n");
    const { status, stdout } = validate(text);
    expect(status).toBe(1);
    for (const part of ["config.json:2:3: /ociVersion", "/process/cwd", "/process/args", "/rlimits/0", ":5:"]) {
      expect(stdout).toContain(part);
    }
    expect(validate('{ "ociVersion": "1.3.0", "linux": { "namespaces": [{ "type": "pdi" }] } }').stdout).toContain(
      'did you mean "pid"?',
    );
  });

  test("a good bundle has none; broken JSON is placed", () => {
    expect(box.run(["validate", box.bundle("true")])).toMatchObject({ status: 0 });
    expect(validate('{\n  "ociVersion": 1.,\n}')).toMatchObject({ status: 1, stdout: expect.stringContaining(":2:") });
    expect(JSON.parse(validate("{}", "--json").stdout)).toEqual(
      expect.arrayContaining([expect.objectContaining({ pointer: "/ociVersion", severity: "error" })]),
    );
  });
});

own("plan", () => {
  test("shows every step and takes none; the same facts give the same plan anywhere", () => {
    const bundle = box.bundle("true");
    const text = box.ok(["plan", bundle]).stdout;
    expect(text).toMatch(/^# create plan\nhost +0 /);
    expect(text).toContain("process.exec");
    expect(box.leftovers()).toEqual([]);
    const facts = join(box.work, "facts.json");
    writeFileSync(facts, box.ok(["plan", "--print-host-facts"]).stdout);
    const planned = box.ok(["plan", "--host-facts", facts, bundle]).stdout;
    expect(box.ok(["plan", "--host-facts", facts, bundle]).stdout).toBe(planned);
    expect(JSON.parse(box.ok(["plan", "--json", bundle]).stdout)).toMatchObject({ title: "create plan" });
    writeFileSync(facts, "{}");
    expect(box.run(["plan", "--host-facts", facts, bundle])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(facts),
    });
  });

  test("names what it cannot do by JSON pointer", () => {
    const bundle = box.bundle("true", (config) => {
      config.linux.intelRdt = { closID: "x" };
    });
    expect(box.run(["plan", bundle])).toMatchObject({ status: 1, stderr: expect.stringContaining("/linux/intelRdt") });
  });
});

own("--trace", () => {
  test("writes the time of every step of both sides as a Chrome trace", () => {
    const file = join(box.work, "trace.json");
    box.ok(["run", "--trace", file, "--bundle", box.bundle("true"), box.id()]);
    const { traceEvents } = JSON.parse(readFileSync(file, "utf8")) as {
      traceEvents: { name: string; ph: string; tid: number; ts: number; dur: number }[];
    };
    const steps = traceEvents.filter(({ ph }) => ph === "X");
    expect(steps.map(({ name }) => name)).toEqual(expect.arrayContaining(["process.spawn", "root.pivot", "gate.open"]));
    for (const { ts, dur } of steps) {
      expect(ts).toBeGreaterThan(0);
      expect(dur).toBeGreaterThanOrEqual(0);
    }
  });
});
