/** run and exec in the foreground: the caller's terminal, signals, orphans, and what it finds when it ends. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, isTsrun, RUNTIME, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());
afterEach(() => {
  for (const id of box.ok(["list", "-q"]).stdout.split("\n")) if (id !== "") box.ok(["delete", "--force", id]);
});
const own = isTsrun ? test : test.skip;

/** The runtime on a terminal of 41 rows and 97 columns, typed at by these steps (terminal.py). */
function onTerminal(steps: string[], ...args: string[]): string {
  const script = resolve(__dirname, "../terminal.py");
  const result = spawnSync("python3", [script, "41", "97", RUNTIME, "--root", box.root, ...args], {
    input: `${steps.join("\n")}\n`,
    encoding: "utf8",
    env: { PATH: process.env.PATH },
  });
  if (result.status !== 0) throw new Error(result.stderr);
  return result.stdout;
}

const withTerminal = (config: Config): void => {
  config.process.terminal = true;
};

/** The runtime beside the test; its output goes to the test's. */
function beside(...args: string[]): { child: ChildProcess; ended: Promise<number | null> } {
  const child = spawn(RUNTIME, ["--root", box.root, ...args], { stdio: "ignore", env: { PATH: process.env.PATH } });
  return { child, ended: new Promise((done) => child.on("close", done)) };
}

describe("a terminal in the foreground", () => {
  test("run: a shell at work: its size, a resize, ^C and ^D, one carriage return a line", () => {
    const bundle = box.bundle(["sh", "-i"], withTerminal);
    const said = onTerminal(
      [
        "expect # ",
        "type tty; stty size\\n",
        "expect 41 97",
        "resize 20 90",
        "type until [ \"$(stty size)\" = '20 90' ]; do :; done; echo re''sized\\n",
        "expect resized",
        "expect # ",
        "type while :; do echo run''ning; sleep 0.02; done\\n",
        "expect running",
        "type \\x03",
        "expect # ",
        "type echo aft''er $((40+2))\\n",
        "expect after 42",
        "type exit 5\\n",
      ],
      "run",
      "--bundle",
      bundle,
      box.id(),
    );
    expect(said).toMatch(/\/dev\/(pts\/0|console)\r\n/);
    expect(said).not.toContain("\r\r\n");
    expect(said).toContain("status 5");
    expect(box.leftovers()).toEqual([]);
  });

  test("exec --tty: the size is there from the beginning; the caller's terminal is as it was at the end", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000"), id]);
    if (isTsrun) expect(onTerminal([], "exec", "--tty", id, "stty", "size")).toContain("41 97\r\n");
    const script = `stty -g >${box.work}/before; ${RUNTIME} --root ${box.root} exec -t ${id} sh -c 'stty -g; exit 3'; code=$?; stty -g >${box.work}/after; exit $code`;
    const result = spawnSync("python3", [resolve(__dirname, "../terminal.py"), "41", "97", "sh", "-c", script], {
      input: "\n",
      encoding: "utf8",
    });
    expect(result.stdout).toContain("status 3");
    expect(readFileSync(join(box.work, "after"), "utf8")).toBe(readFileSync(join(box.work, "before"), "utf8"));
    box.ok(["delete", "--force", id]);
  });

  own("much typed at a program that answers as much does not block", async () => {
    const size = 400_000;
    const bundle = box.bundle(`stty raw -echo; echo ready; exec head -c ${size}`, withTerminal);
    const child = spawn(RUNTIME, ["--root", box.root, "run", "--bundle", bundle, box.id()], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { PATH: process.env.PATH },
    });
    let said = "";
    child.stdout.on("data", (data) => {
      if (said === "") child.stdin.end("x".repeat(size));
      said += data;
    });
    expect(await new Promise((done) => child.on("close", done))).toBe(0);
    expect(said).toBe(`ready\n${"x".repeat(size)}`);
  });

  test("a terminal has to go to somebody, and a console socket wants a terminal", () => {
    for (const [args, terminal] of [
      [["create"], true],
      [["run", "--detach"], true],
      [["create", "--console-socket", "/nonexistent"], false],
      [["run", "--detach", "--console-socket", "/nonexistent"], false],
    ] as const) {
      const bundle = box.bundle("true", (config) => {
        config.process.terminal = terminal;
      });
      expect(box.run([...args, "--bundle", bundle, box.id()]).status).toBe(1);
      expect(box.leftovers()).toEqual([]);
    }
  });
});

describe("run in the foreground", () => {
  test("signals go to the program; it exits with 128+n", async () => {
    const id = box.id();
    const bundle = box.bundle(
      "trap 'echo usr1 >/tmp/got' USR1; touch /tmp/ready; while [ ! -e /tmp/got ]; do sleep 0.01; done; exec sleep 1000",
      (config) => {
        config.root.readonly = false;
      },
    );
    const { child, ended } = beside("run", "--bundle", bundle, id);
    waitFor("the trap", () => existsSync(join(bundle, "rootfs/tmp/ready")));
    child.kill("SIGUSR1");
    waitFor("the signal", () => existsSync(join(bundle, "rootfs/tmp/got")));
    waitFor("sleep", () => /^sleep/.test(readFileSync(`/proc/${box.state(id).pid}/cmdline`, "utf8")));
    box.ok(["kill", id, "KILL"]);
    expect(await ended).toBe(137);
    expect(box.leftovers()).toEqual([]);
  });

  test("--keep leaves the stopped container", () => {
    const id = box.id();
    expect(box.run(["run", "--keep", "--bundle", box.bundle("exit 4"), id]).status).toBe(4);
    expect(box.state(id)).toMatchObject({ status: "stopped", pid: 0 });
    box.ok(["delete", id]);
  });

  test("a program that cannot be executed leaves nothing", () => {
    const bundle = box.bundle(["/bin/broken"], (_, path) => {
      spawnSync("sh", [
        "-c",
        `echo '#!/no/such/interpreter' >${path}/rootfs/bin/broken; chmod 755 ${path}/rootfs/bin/broken`,
      ]);
    });
    // runc's --detach does not wait for execve.
    for (const flags of isTsrun ? [[], ["--detach"], ["--keep"]] : [[]]) {
      const id = box.id();
      expect(box.run(["run", ...flags, "--bundle", bundle, id])).toMatchObject({
        status: 1,
        stderr: expect.stringContaining("no such file or directory"),
      });
      expect(box.run(["state", id]).stderr).toContain("does not exist");
    }
    expect(box.leftovers()).toEqual([]);
  });

  test("killed for want of memory: 137, and nothing is left", () => {
    const result = box.container(["tail", "/dev/zero"], (config) => {
      config.linux.resources.memory = { limit: 20_000_000, swap: 20_000_000 };
    });
    expect(result.status).toBe(137);
    expect(box.leftovers()).toEqual([]);
  });

  test("killed itself, the container lives on and can be stopped and deleted", () => {
    const id = box.id();
    const { child } = beside("run", "--bundle", box.bundle("sleep 1000"), id);
    waitFor("the container", () => box.run(["state", id]).status === 0 && box.state(id).status === "running");
    child.kill("SIGKILL");
    waitFor("its end", () => child.signalCode !== null || !existsSync(`/proc/${child.pid}/exe`));
    expect(box.state(id).status).toBe("running");
    box.ok(["exec", id, "true"]);
    box.ok(["kill", id, "KILL"]);
    waitFor("the stop", () => box.state(id).status === "stopped");
    box.ok(["delete", id]);
    expect(box.leftovers()).toEqual([]);
  });
});

describe("a container without a pid namespace of its own", () => {
  const shared = (config: Config): void => {
    config.linux.namespaces = config.linux.namespaces.filter(({ type }: { type: string }) => type !== "pid");
    config.mounts = config.mounts.filter(({ destination }: { destination: string }) => destination !== "/proc");
    config.mounts.push({ destination: "/proc", type: "bind", source: "/proc", options: ["rbind", "ro"] });
    config.root.readonly = false;
  };
  const parentOf = (pid: number): number =>
    Number(/^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

  test("run becomes the parent of its orphans, and reaps them; --no-subreaper: not", async () => {
    for (const flags of [[], ["--no-subreaper"]]) {
      const id = box.id();
      const bundle = box.bundle("(sleep 1000 & echo $! >/tmp/orphan); exec sleep 1000", shared);
      const { child, ended } = beside("run", ...flags, "--bundle", bundle, id);
      const file = join(bundle, "rootfs/tmp/orphan");
      waitFor("the orphan", () => existsSync(file) && readFileSync(file, "utf8").endsWith("\n"));
      const orphan = Number(readFileSync(file, "utf8"));
      if (flags.length === 0) {
        waitFor("adoption", () => parentOf(orphan) === child.pid);
        process.kill(orphan, "SIGKILL");
        waitFor("it to be reaped", () => !existsSync(`/proc/${orphan}`));
      } else waitFor("adoption by another", () => ![child.pid, box.state(id).pid].includes(parentOf(orphan)));
      box.ok(["kill", id, "KILL"]);
      expect(await ended).toBe(137);
      waitFor("nothing to be left", () => box.leftovers().length === 0);
    }
  });

  test("the end of init does not end the others; kill --all and delete do", () => {
    // runc prints null for none.
    const pids = (id: string): number[] => JSON.parse(box.ok(["ps", "-f", "json", id]).stdout) ?? [];
    const bundle = box.bundle("sleep 1000 & sleep 1000 & exec sleep 1000", shared);
    for (const end of ["kill --all", "delete", "delete --force"]) {
      const id = box.id();
      box.ok(["run", "--detach", "--bundle", bundle, id]);
      waitFor("three processes", () => pids(id).length === 3);
      const { pid } = box.state(id);
      if (end !== "delete --force") {
        process.kill(pid, "SIGKILL");
        waitFor("the stop", () => box.state(id).status === "stopped");
        expect(pids(id).filter((each) => each !== pid)).toHaveLength(2);
      }
      if (end === "kill --all") {
        box.ok(["kill", "--all", id, "KILL"]);
        waitFor("their end", () => pids(id).length === 0);
      }
      box.ok(end === "delete --force" ? ["delete", "--force", id] : ["delete", id]);
      waitFor("nothing to be left", () => box.leftovers().length === 0);
    }
  });
});

describe("kill", () => {
  const shell = (trap: string): string => `trap '${trap}' TERM; touch /tmp/ready; while :; do sleep 0.02; done`;

  test("--all signals every process, also where a pid namespace would end with init", () => {
    const id = box.id();
    const bundle = box.bundle(`(${shell("touch /tmp/child; exit")}) & ${shell("touch /tmp/init")}`, (config) => {
      config.root.readonly = false;
    });
    box.ok(["run", "--detach", "--bundle", bundle, id]);
    const at = (name: string): boolean => existsSync(join(bundle, "rootfs/tmp", name));
    waitFor("the traps", () => at("ready") && JSON.parse(box.ok(["ps", "-f", "json", id]).stdout).length >= 2);
    waitFor("both to be told", () => {
      box.ok(["kill", "--all", id, "TERM"]);
      return at("child") && at("init");
    });
    box.ok(["delete", "--force", id]);
  });

  test("of a stopped container: an error in the words that callers look for; with --all none", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("true"), id]);
    waitFor("its end", () => box.state(id).status === "stopped");
    expect(box.run(["kill", id, "TERM"])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("container not running"),
    });
    box.ok(["kill", "--all", id, "KILL"]);
    box.ok(["kill", "-a", id, "TERM"]);
    box.ok(["delete", id]);
    expect(box.run(["kill", "--all", id, "KILL"]).stderr).toContain("does not exist");
  });
});
