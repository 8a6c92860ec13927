/** checkpoint and restore with a real CRIU: what goes on after it, what was the host's, what is left. */
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { criuProblem } from "../criu.ts";
import { type Config, hierarchies, isTsrun, RUNTIME, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const CONSOLE = resolve(__dirname, "../console.py");
const TERMINAL = resolve(__dirname, "../terminal.py");

/** Nothing of the test's own files stays open: CRIU restores only into a file that has the size it had. */
const QUIET = "exec </dev/null >/dev/null 2>&1;";
/** Counts in a file that is the host's, four times a second. */
const COUNT = `${QUIET} i=0; while :; do i=$((i+1)); echo $i >/data/i; sleep 0.25; done`;

interface Counter {
  readonly id: string;
  readonly bundle: string;
  /** What it has come to. */
  count(): number;
  /** Waits until it goes on counting from at least this. */
  goesOn(from: number): void;
  readonly image: string;
  readonly work: string;
  dump(...options: string[]): ReturnType<Sandbox["run"]>;
}

function counter(edit: (config: Config) => void = () => {}): Counter {
  const id = box.id();
  const data = join(box.work, `${id}-data`);
  mkdirSync(data);
  const bundle = box.bundle(COUNT, (config) => {
    config.mounts.push({ destination: "/data", type: "bind", source: data, options: ["bind"] });
    edit(config);
  });
  const image = join(box.work, `${id}-image`);
  const work = join(box.work, `${id}-work`);
  // The shell empties the file before it writes to it.
  const count = (): number => (existsSync(join(data, "i")) ? Number(readFileSync(join(data, "i"), "utf8")) : 0);
  const goesOn = (from: number): void => {
    waitFor(`${id} to count on from ${from}`, () => count() >= from);
    const now = count();
    waitFor(`${id} to count on`, () => count() > now);
  };
  const made = {
    id,
    bundle,
    image,
    work,
    count,
    goesOn,
    dump: (...options: string[]) => box.run(["checkpoint", "--image-path", image, "--work-path", work, ...options, id]),
  };
  box.ok(["run", "--detach", "--bundle", bundle, id]);
  goesOn(1);
  return made;
}

const restore = (from: Counter, id: string, ...options: string[]) =>
  box.run(
    [
      "restore",
      "--detach",
      "--bundle",
      from.bundle,
      "--image-path",
      from.image,
      "--work-path",
      from.work,
      ...options,
      id,
    ],
    {
      suffix: "-restored",
    },
  );
const worked = (result: ReturnType<Sandbox["run"]>) => expect(result).toMatchObject({ status: 0, stderr: "" });
const restored = (from: Counter, id: string, ...options: string[]): void => worked(restore(from, id, ...options));

/** Needs no network namespace, whose content takes CRIU as long as all the rest. */
const onHostNetwork = (config: Config): void => {
  config.linux.namespaces = config.linux.namespaces.filter(({ type }: { type: string }) => type !== "network");
};

/** The runtime beside the test, its output in a pipe, as callers have it. */
function piped(name: string, ...args: string[]): { said(): string; status(): number } {
  const path = join(box.work, name);
  const script = `{ "$@"; echo $? >"$0.status"; } </dev/null 2>&1 | cat >"$0.said"`;
  spawn("sh", ["-c", script, path, RUNTIME, "--root", box.root, ...args], { stdio: "ignore" });
  const read = (kind: string): string => (existsSync(`${path}.${kind}`) ? readFileSync(`${path}.${kind}`, "utf8") : "");
  return {
    said: () => read("said"),
    status: () => {
      waitFor(`the end of ${name}`, () => read("status") !== "");
      return Number(read("status"));
    },
  };
}

// A dump takes seconds where the machine is emulated.
jest.setTimeout(300_000);

(criuProblem === undefined ? describe : describe.skip)(`with CRIU (skipped: ${criuProblem ?? "never here"})`, () => {
  test("ends with the dump, and goes on where it was; the stopped one does not block its id", () => {
    const one = counter();
    worked(one.dump());
    const at = one.count();
    if (isTsrun) expect(box.state(one.id).status).toBe("stopped");
    expect(existsSync(join(one.work, "dump.log"))).toBe(true);
    const pidFile = join(box.work, "pid");
    restored(one, one.id, "--pid-file", pidFile);
    one.goesOn(at + 1);
    const state = box.state(one.id);
    expect(state).toMatchObject({ status: "running", pid: Number(readFileSync(pidFile, "utf8")) });
    // CRIU by itself makes it writable.
    expect(box.run(["exec", one.id, "touch", "/file"]).stderr).toContain("Read-only file system");
    expect(box.ok(["exec", one.id, "hostname"]).stdout).toBe(
      box.ok(["exec", one.id, "cat", "/proc/sys/kernel/hostname"]).stdout,
    );
    // Once more: what was restored can be dumped.
    worked(one.dump("--leave-running"));
    one.goesOn(one.count());
    box.ok(["delete", "--force", one.id]);
    expect(box.leftovers()).toEqual([]);
  });

  test("--leave-running lets it go on; the image makes another one, elsewhere", () => {
    const one = counter();
    worked(one.dump("--leave-running"));
    const at = one.count();
    one.goesOn(at);
    expect(box.state(one.id).status).toBe("running");
    box.ok(["delete", "--force", one.id]);
    const other = box.id();
    const config = JSON.parse(readFileSync(join(one.bundle, "config.json"), "utf8")) as Config;
    config.linux.cgroupsPath = `/tsrun-test/${box.name}-other`;
    config.linux.resources = { ...config.linux.resources, memory: { limit: 64 * 1024 * 1024 }, pids: { limit: 30 } };
    writeFileSync(join(one.bundle, "config.json"), JSON.stringify(config));
    restored(one, other);
    one.goesOn(at);
    const { pid } = box.state(other);
    for (const line of readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n")) {
      expect(line).toMatch(new RegExp(`:/tsrun-test/${box.name}-other$`));
    }
    const [limit] = hierarchies()
      .flatMap((hierarchy) =>
        ["memory.max", "memory.limit_in_bytes"].map((file) => join(hierarchy, config.linux.cgroupsPath, file)),
      )
      .filter(existsSync);
    expect(readFileSync(limit as string, "utf8").trim()).toBe(String(64 * 1024 * 1024));
    box.ok(["kill", other, "KILL"]);
    waitFor("its end", () => box.state(other).status === "stopped");
    box.ok(["delete", other]);
    expect(box.leftovers()).toEqual([]);
  });

  test("in the foreground its output goes on, and its status is the program's", () => {
    const id = box.id();
    const data = join(box.work, `${id}-data`);
    mkdirSync(data);
    const script = "i=0; until [ -e /data/end ]; do i=$((i+1)); echo line $i; sleep 0.1; done; echo end; exit 7";
    const bundle = box.bundle(script, (config) => {
      onHostNetwork(config);
      config.mounts.push({ destination: "/data", type: "bind", source: data, options: ["bind"] });
    });
    const image = join(box.work, `${id}-image`);
    const before = piped("before", "run", "--detach", "--bundle", bundle, id);
    waitFor("its output", () => before.said().includes("line 2"));
    worked(box.run(["checkpoint", "--image-path", image, id]));
    const dumpedAt = Number(/line (\d+)\n$/.exec(before.said())?.[1]);
    const after = piped("after", "restore", "--bundle", bundle, "--image-path", image, id);
    waitFor("its output to go on", () => after.said().includes("line"));
    writeFileSync(join(data, "end"), "");
    expect(after.status()).toBe(7);
    expect(after.said()).toMatch(new RegExp(`^line ${dumpedAt + 1}\\n([^]*\\n)?end\\n$`));
    expect(box.leftovers()).toEqual([]);
  });

  /** A dump that waits for its memory to be fetched. The one who waits for `ready` sees that it can be. */
  function lazyDump(one: Counter): { readonly pid: number; readonly port: string } {
    const port = String(20_000 + (process.pid % 10_000));
    const ready = join(box.work, `${one.id}-ready`);
    const fd = openSync(ready, "w");
    const options = ["--lazy-pages", "--page-server", `127.0.0.1:${port}`, "--status-fd", "3"];
    const { pid = 0 } = spawn(
      RUNTIME,
      ["--root", box.root, "checkpoint", ...options, "--image-path", one.image, "--work-path", one.work, one.id],
      { stdio: ["ignore", "ignore", "inherit", fd] },
    );
    closeSync(fd);
    waitFor("the page server", () => statSync(ready).size === 1);
    return { pid, port };
  }
  const criu = (): string => spawnSync("pgrep", ["-x", "criu"], { encoding: "utf8" }).stdout;

  test("memory is fetched when it is used", () => {
    const one = counter(onHostNetwork);
    const { port } = lazyDump(one);
    const work = join(box.work, `${one.id}-lazy`);
    mkdirSync(work);
    const env = { PATH: `${process.env.PATH}:/usr/sbin` };
    const server = ["--page-server", "--address", "127.0.0.1", "--port", port];
    // No child of ours: one that has ended would stay a zombie, and be found.
    const script = 'exec criu "$@" </dev/null >/dev/null 2>&1 &';
    spawnSync("sh", ["-c", script, "sh", "lazy-pages", ...server, "-D", one.image, "-W", work], { env });
    waitFor("who fetches", () => existsSync(join(work, "lazy-pages.socket")));
    const at = one.count();
    const file = join(one.bundle, "config.json");
    const config = JSON.parse(readFileSync(file, "utf8")) as Config;
    config.linux.cgroupsPath = `/tsrun-test/${box.name}-lazy`;
    writeFileSync(file, JSON.stringify(config));
    const other = box.id();
    restored({ ...one, work }, other, "--lazy-pages");
    one.goesOn(at);
    waitFor("the end of the dump", () => box.state(one.id).status === "stopped");
    for (const id of [one.id, other]) box.ok(["delete", "--force", id]);
    waitFor("the end of who fetched", () => criu() === "");
    expect(box.leftovers()).toEqual([]);
  });

  test("one that waits for ever to be fetched can be deleted, also when its tsrun was killed", () => {
    const one = counter(onHostNetwork);
    process.kill(lazyDump(one).pid, "SIGKILL");
    box.ok(["delete", "--force", one.id]);
    waitFor("the end of CRIU", () => criu() === "");
    box.ok(["gc"]);
    expect(box.leftovers()).toEqual([]);
  });

  test("a paused one can be dumped, and stays so if it is left", () => {
    const one = counter(onHostNetwork);
    box.ok(["pause", one.id]);
    worked(one.dump("--leave-running"));
    expect(box.state(one.id).status).toBe("paused");
    box.ok(["resume", one.id]);
    one.goesOn(one.count());
    box.ok(["delete", "--force", one.id]);
  });

  test("memory first, then the rest", () => {
    const one = counter(onHostNetwork);
    const first = join(box.work, `${one.id}-first`);
    worked(box.run(["checkpoint", "--image-path", first, "--work-path", one.work, "--pre-dump", one.id]));
    expect(box.state(one.id).status).toBe("running");
    worked(one.dump("--parent-path", `../${one.id}-first`));
    const at = one.count();
    restored(one, one.id);
    one.goesOn(at);
    box.ok(["delete", "--force", one.id]);
  });

  test("a terminal goes on, and is relayed in the foreground", () => {
    const id = box.id();
    const bundle = box.bundle("while read line; do echo got $line; [ $line = end ] && exit 5; done", (config) => {
      onHostNetwork(config);
      config.process.terminal = true;
    });
    const socket = join(box.work, "console");
    const said = join(box.work, "terminal-said");
    const receiver = spawn("sh", ["-c", 'exec python3 "$0" "$1" "first\n" >"$2"', CONSOLE, socket, said]);
    try {
      waitFor("the console socket", () => existsSync(socket));
      box.ok(["run", "--detach", "--console-socket", socket, "--bundle", bundle, id]);
      waitFor("an answer", () => readFileSync(said, "utf8").includes("got first"));
      const image = join(box.work, `${id}-image`);
      worked(box.run(["checkpoint", "--image-path", image, id]));
      const restoring = ["--root", box.root, "restore", "--bundle", bundle, "--image-path", image, id];
      const typed = ["type second\\n", "expect got second", "type end\\n", "expect got end"];
      const result = spawnSync("python3", [TERMINAL, "41", "97", RUNTIME, ...restoring], {
        input: `${typed.join("\n")}\n`,
        encoding: "utf8",
      });
      expect(result).toMatchObject({ stderr: "", stdout: expect.stringContaining("status 5") });
    } finally {
      receiver.kill("SIGKILL");
    }
    expect(box.leftovers()).toEqual([]);
  });

  test("hooks run around a restore", () => {
    const mark = join(box.work, "mark");
    const one = counter((config) => {
      onHostNetwork(config);
      const say = (word: string) => [{ path: "/bin/sh", args: ["sh", "-c", `cat >>${mark}; echo ${word} >>${mark}`] }];
      config.hooks = { createRuntime: say("createRuntime"), poststop: say("poststop") };
    });
    worked(one.dump());
    writeFileSync(mark, "");
    restored(one, one.id);
    const { pid } = box.state(one.id);
    // That of the stopped container, whose place it took, came first.
    expect(readFileSync(mark, "utf8").match(/(createRuntime|poststop)$/gm)).toEqual(["poststop", "createRuntime"]);
    expect(readFileSync(mark, "utf8")).toContain(`"pid":${pid}`);
    box.ok(["delete", "--force", one.id]);
  });

  (isTsrun ? test : test.skip)("what the image has otherwise than config.json is told", () => {
    const one = counter(onHostNetwork);
    worked(one.dump());
    const file = join(one.bundle, "config.json");
    const config = JSON.parse(readFileSync(file, "utf8")) as Config;
    config.process.args = ["true"];
    config.linux.sysctl = { "kernel.msgmax": "4242" };
    config.annotations = { of: "no account" };
    writeFileSync(file, JSON.stringify(config));
    expect(restore(one, one.id)).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^tsrun: warning: .*as in the image, not .*: \/process\/args, \/linux\/sysctl\n$/),
    });
    one.goesOn(one.count());
    box.ok(["delete", "--force", one.id]);
  });

  test("a dump that fails leaves it running, and says why", () => {
    // An open file without a name that has another one elsewhere.
    const one = counter((config) => {
      onHostNetwork(config);
      config.process.args[2] = `exec 9>/data/a; ln /data/a /data/b; rm /data/a; ${COUNT}`;
    });
    const failed = one.dump();
    expect(failed.status).toBe(1);
    expect(failed.stderr).toMatch(/checkpoint .*: CRIU failed: .*link.remap.*\n.*CRIU's log: .*dump\.log/);
    expect(box.state(one.id).status).toBe("running");
    one.goesOn(one.count());
    worked(one.dump("--link-remap", "--leave-running"));
    one.goesOn(one.count());
    box.ok(["delete", "--force", one.id]);
    expect(box.leftovers()).toEqual([]);
  });

  (isTsrun ? describe : describe.skip)("killed at any moment (skipped: faults are tsrun's own)", () => {
    // What comes before these is as in create (crash.test).
    const SPAWN = { checkpoint: 1, restore: 4 };

    test("checkpoint: at every step, the container goes on, and gc cleans", () => {
      const one = counter(onHostNetwork);
      let killed = 0;
      const survives = (fault: string): boolean => {
        const { status } = one.dump("--leave-running", "--test-fault", fault);
        if (status !== null) return false;
        killed++;
        one.goesOn(one.count());
        return true;
      };
      for (let i = SPAWN.checkpoint; survives(`checkpoint:host:${i}:kill`); i++);
      expect(killed).toBe(4);
      box.ok(["delete", "--force", one.id]);
      box.ok(["gc"]);
      expect(box.leftovers()).toEqual([]);
    });

    test("restore: at every step, nothing is left that gc or delete cannot clean", () => {
      const one = counter(onHostNetwork);
      worked(one.dump());
      box.ok(["delete", one.id]);
      let killed = 0;
      const survives = (fault: string): boolean => {
        const { status } = restore(one, one.id, "--test-fault", fault);
        if (status !== null) {
          box.ok(["delete", "--force", one.id]);
          return false;
        }
        if (killed++ % 2 === 0 && fault.startsWith("restore:")) box.ok(["gc"]);
        else box.ok(["delete", "--force", one.id]);
        waitFor(`nothing to be left after ${fault}`, () => {
          const left = box.leftovers();
          // What delete does not look for.
          return left.every((each) => each.startsWith("state @criu"));
        });
        return true;
      };
      for (let i = SPAWN.restore; survives(`restore:host:${i}:kill`); i++);
      expect(killed).toBeGreaterThan(4);
      for (const point of ["recorded", "committed"]) {
        expect([point, survives(`point:${point}`)]).toEqual([point, true]);
      }
      box.ok(["gc"]);
      expect(box.leftovers()).toEqual([]);
    });
  });
});

describe("without an image or CRIU", () => {
  const onTsrun = isTsrun ? test : test.skip;

  onTsrun("a container that does not run is not dumped", () => {
    const id = box.id();
    box.ok(["create", "--bundle", box.bundle("true"), id]);
    expect(box.run(["checkpoint", "--image-path", join(box.work, "none"), id])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("cannot be checkpointed in created state"),
    });
    expect(existsSync(join(box.work, "none"))).toBe(false);
    box.ok(["delete", id]);
  });

  onTsrun("a CRIU that is not there, or too old, is named, and nothing is changed", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000"), id]);
    const programs = join(box.work, "programs");
    mkdirSync(programs);
    writeFileSync(join(programs, "criu"), "#!/bin/sh\necho Version: 3.11\n");
    chmodSync(join(programs, "criu"), 0o755);
    const image = join(box.work, "no-image");
    expect(box.run(["checkpoint", "--image-path", image, id], { env: { PATH: programs } })).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/CRIU 3\.11, which is too old\n.*install the package criu/),
    });
    expect(existsSync(image)).toBe(false);
    expect(box.state(id).status).toBe("running");
    box.ok(["delete", "--force", id]);
  });

  onTsrun("a socket cannot take the place of a pipe, which is said before the id is taken", () => {
    const image = join(box.work, "piped-image");
    mkdirSync(image);
    writeFileSync(join(image, "descriptors.json"), '["/dev/null","pipe:[1]","/dev/null"]');
    const id = box.id();
    const args = ["--root", box.root, "restore", "--bundle", box.bundle("true"), "--image-path", image, id];
    // What Node calls a pipe is a socket.
    expect(spawnSync(RUNTIME, args, { encoding: "utf8" })).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/standard output was a pipe, .* is a socket/),
    });
    expect(readdirSync(box.root)).not.toContain(id);
  });

  onTsrun("what is no image is refused before the id is taken", () => {
    const empty = join(box.work, "empty");
    mkdirSync(empty);
    const id = box.id();
    const bundle = box.bundle("true");
    for (const [path, words] of [
      [empty, "descriptors.json"],
      [join(box.work, "nowhere"), "ENOENT"],
    ] as const) {
      const result = box.run(["restore", "--bundle", bundle, "--image-path", path, id]);
      expect(result).toMatchObject({ status: 1, stderr: expect.stringContaining(words) });
      expect(readdirSync(box.root)).not.toContain(id);
    }
    expect(readdirSync(empty)).toEqual([]);
    symlinkSync(empty, join(box.work, "linked"));
    expect(box.run(["restore", "--bundle", bundle, "--image-path", join(box.work, "linked"), id]).stderr).toContain(
      "link",
    );
  });
});
