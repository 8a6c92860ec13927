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
      ["--rootless"],
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

  test("help COMMAND and an option that wants a value before --help are the same help", () => {
    const help = box.ok(["run", "--help"]).stdout;
    expect(box.ok(["help", "run"]).stdout).toBe(help);
    expect(box.ok(["run", "--bundle", "--help"]).stdout).toBe(help);
    expect(box.ok(["run", "--image", "--help"]).stdout).toMatch(/--security-opt/);
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

  test("a log that cannot be opened is an error before anything is done", () => {
    const id = box.id();
    const log = "/no/such/log";
    const { status, stderr } = box.run(["create", "--bundle", box.bundle("true"), id], { global: ["--log", log] });
    expect([status, stderr]).toEqual([1, expect.stringMatching(/\/no\/such\/log: .*no such file or directory/i)]);
    expect(box.leftovers()).toEqual([]);
  });

  // runc gives up there, or says nothing.
  (isTsrun ? test : test.skip)("one that cannot be written keeps nobody from what it tells of", () => {
    const { status, stderr } = box.run(["state", "nobody"], { global: ["--log", "/dev/full"] });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^tsrun: cannot write the log: ENOSPC.*\ncontainer nobody does not exist\n/);
  });
});

own("what goes wrong", () => {
  const refused = (args: readonly string[], message: RegExp, global: readonly string[] = []): void => {
    const { status, stderr } = box.run([...args], { global: [...global] });
    expect([status, stderr]).toEqual([args[0] === "exec" ? 255 : 1, expect.stringMatching(message)]);
    expect(box.leftovers()).toEqual([]);
  };

  test("a name that is not known, with what was probably meant", () => {
    refused(["creat", "x"], /unknown command "creat"\n {2}did you mean create\? tsrun --help lists them/);
    refused(["frobnicate"], /unknown command "frobnicate"\n {2}tsrun --help lists them/);
    refused(["help", "frobnicate"], /unknown command "frobnicate"/);
    refused(["state", "nobody"], /container nobody does not exist\n {2}there is none of this name in .*--root DIR/);
    refused(["list", "--frmat", "json"], /unknown option --frmat\n {2}did you mean --format\?/);
    refused(["delete", "--force=maybe", "x"], /--force: "maybe" is neither true nor false/);
    refused(["delete", "--regex", "("], /--regex: "\(" is not a regular expression/);
    refused(["run", "--image"], /--image: a value is missing/);
  });
  test("files that cannot be made, before anything is done", () => {
    const bundle = box.bundle("true");
    const create = (...flags: string[]) => ["create", ...flags, "--bundle", bundle, box.id()];
    refused(create("--trace", "/no/such/trace"), /cannot make the trace \/no\/such\/trace: ENOENT/);
    refused(create("--pid-file", "/no/such/pid"), /cannot write the pid file \/no\/such\/pid: ENOENT/);
    refused(["create", "--bundle", box.work, box.id()], /config\.json: ENOENT.*\n {2}a bundle is a directory/);
  });
  test("a state root that can be made nowhere", () => {
    const create = ["create", "--bundle", box.bundle("true"), box.id()];
    // There mkdir says ENOENT of a directory whose parent there is.
    refused(create, /state root \/proc\/tsrun-test: ENOENT/, ["--root", "/proc/tsrun-test"]);
    refused(create, /state root \/dev\/null: (?:EEXIST|ENOTDIR)/, ["--root", "/dev/null"]);
    refused(["list"], /cannot read the state root \/dev\/null: ENOTDIR/, ["--root", "/dev/null"]);
    const asUser = [
      "--reuid",
      "12345",
      "--regid",
      "12345",
      "--clear-groups",
      RUNTIME,
      "create",
      "--bundle",
      box.bundle("true"),
    ];
    const { stderr } = spawnSync("setpriv", [...asUser, "x"], { env: { PATH: process.env.PATH }, encoding: "utf8" });
    expect(stderr).toMatch(/EACCES.*\n {2}a user other than root needs XDG_RUNTIME_DIR or --root DIR\n$/);
  });
  test("a disk that is full, at whichever file of the state directory", () => {
    const disk = join(box.work, "disk");
    mkdirSync(disk);
    const bundle = box.bundle("true");
    const messages: string[] = [];
    for (let free = 0; ; free++) {
      const id = box.id();
      const script = `mount -t tmpfs -o size=1m tmpfs ${disk} && mkdir ${disk}/state && cd ${disk} &&
        head -c ${1024 * 1024 - 4096 * free} /dev/zero >filled
        ${RUNTIME} --root ${disk}/state create --bundle ${bundle} ${id}; echo $?
        ls -A state | grep -vx @seccomp
        ${RUNTIME} --root ${disk}/state delete --force ${id}`;
      const { stdout, stderr } = spawnSync("unshare", ["-m", "sh", "-c", script], { encoding: "utf8" });
      if (stdout === `0\n${id}\n`) break;
      expect([stdout, stderr]).toEqual(["1\n", expect.stringMatching(/^tsrun: cannot .*: ENOSPC: /)]);
      messages.push(stderr);
      expect(free).toBeLessThan(20);
    }
    expect(messages.join("")).toMatch(/cannot make .*\n(?:.*\n)*.*cannot write .*state\.json/);
    expect(box.leftovers()).toEqual([]);
  });
  test("arguments that are not UTF-8, which Node would change", () => {
    // spawnSync has no bytes to give, either.
    const script = `exec ${RUNTIME} --root ${box.root} "$(printf 'caf\\351')"`;
    const { status, stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
    expect([status, stderr]).toEqual([1, expect.stringMatching(/argument 3 is not UTF-8: "caf\ufffd"/)]);
    expect(box.run(["state", "caf\ufffd"]).stderr).toMatch(/invalid container id "caf\ufffd"/);
  });
  test("a standard output that is full, and one that nobody reads", () => {
    const to = (command: string) =>
      spawnSync("bash", ["-c", `${RUNTIME} ${command}; echo "\${PIPESTATUS[0]}"`], { encoding: "utf8" });
    expect(to("features >/dev/full")).toMatchObject({
      stdout: "1\n",
      stderr: expect.stringMatching(/^tsrun: cannot write to standard output: ENOSPC[^\n]*\n$/),
    });
    expect(to("features >/dev/full 2>/dev/full").stdout).toBe("1\n");
    expect(to("features | true")).toMatchObject({ stdout: "0\n", stderr: "" });
  });
  test("exec: a working directory that is relative, a user that is no number", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000"), id]);
    const exec = (...args: string[]) => box.run(["exec", ...args, "true"]);
    expect(exec("--cwd", "tmp", id)).toMatchObject({
      status: 255,
      stderr: expect.stringMatching(/--cwd: "tmp" is not an absolute path/),
    });
    expect(exec("--user", "4294967296", id)).toMatchObject({
      status: 255,
      stderr: expect.stringMatching(/--user/),
    });
    // runc's callers pass what is empty for what they do not set.
    expect(exec("--cwd=", "--pid-file=", "--console-socket=", "--pidfd-socket=", id).stderr).toBe("");
    expect(box.run(["delete", id]).stderr).toMatch(/it is running; .*; --force ends it first/);
    box.ok(["pause", id]);
    expect(exec(id).stderr).toMatch(/it is paused; .*; --ignore-paused waits until it is resumed/);
    box.ok(["delete", "--force", id]);
  });
  test("empty values of create are none", () => {
    const id = box.id();
    const empty = ["--config=", "--pid-file=", "--console-socket=", "--pidfd-socket=", "--trace="];
    box.ok(["create", ...empty, "--bundle", box.bundle("true"), id]);
    box.ok(["delete", "--force", id]);
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
