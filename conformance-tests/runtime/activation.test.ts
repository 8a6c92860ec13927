/** What a service manager hands over by the environment: listening sockets, and the socket to be told on. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, isTsrun, RUNTIME, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());
const own = isTsrun ? test : test.skip;

describe("LISTEN_FDS", () => {
  const lists = "env | grep ^LISTEN | sort; for i in 3 4 5 6 7; do [ -e /proc/self/fd/$i ] && echo $i; done; cat <&3";
  /** The runtime by `exec`, so that LISTEN_PID is its pid; with descriptors 3 to 6 open. */
  const shell = (variables: string, flags = ""): string => {
    const file = join(box.work, "listened");
    writeFileSync(file, "three\n");
    const bundle = box.bundle(lists);
    const open = `exec 3<${file} 4<${file} 5<${file} 6<${file}; ${variables}`;
    const command = `${open} exec ${RUNTIME} --root ${box.root} run ${flags} --bundle ${bundle} ${box.id()}`;
    return spawnSync("sh", ["-c", command], { encoding: "utf8" }).stdout;
  };

  test("goes to the program with LISTEN_PID=1, and --preserve-fds counts from behind it", () => {
    const two = "LISTEN_FDS=2\nLISTEN_PID=1\n";
    expect(shell("LISTEN_FDS=2 LISTEN_PID=$$")).toBe(`${two}3\n4\nthree\n`);
    expect(shell("LISTEN_FDS=2 LISTEN_PID=$$", "--preserve-fds 1")).toBe(`${two}3\n4\n5\nthree\n`);
  });

  test("is not ours when LISTEN_PID names another process", () => {
    expect(shell("LISTEN_FDS=2 LISTEN_PID=1")).toBe("");
    expect(shell("LISTEN_FDS=2 LISTEN_PID=$$; unset LISTEN_PID;")).toBe("");
  });
});

describe("NOTIFY_SOCKET", () => {
  const says = (more: string): string =>
    `import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
${more}`;
  /** Python from the host, as the program; its user is not root. */
  const python = (script: string) => (config: Config, bundle: string) => {
    for (const name of ["lib", "lib64"]) symlinkSync(`usr/${name}`, join(bundle, "rootfs", name));
    config.mounts.push({ destination: "/usr", type: "bind", source: "/usr", options: ["rbind", "ro"] });
    config.process.args = ["/usr/bin/python3", "-c", script];
    config.process.user = { uid: 1234, gid: 1234 };
  };

  interface Manager {
    readonly path: string;
    readonly heard: string[];
  }
  const managers: ChildProcess[] = [];
  afterEach(() => {
    for (const each of managers.splice(0)) each.kill("SIGKILL");
  });
  async function manager(name: string): Promise<Manager> {
    const path = join(box.work, name);
    const child = spawn("python3", [resolve(__dirname, "../notify.py"), path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    managers.push(child);
    const heard: string[] = [];
    let rest = "";
    child.stdout.on("data", (data) => {
      rest += data;
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        heard.push(JSON.parse(rest.slice(0, end)) as string);
        rest = rest.slice(end + 1);
      }
    });
    while (heard.shift() !== "listening") await new Promise((done) => setTimeout(done, 10));
    return { path, heard };
  }
  async function until(what: string, condition: () => boolean): Promise<void> {
    for (let i = 0; i < 6000 && !condition(); i++) await new Promise((done) => setTimeout(done, 10));
    if (!condition()) throw new Error(`waited in vain for ${what}`);
  }
  const beside = (env: Record<string, string>, ...args: string[]): { child: ChildProcess; ended: Promise<unknown> } => {
    const child = spawn(RUNTIME, ["--root", box.root, ...args], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { PATH: process.env.PATH ?? "", ...env },
    });
    return { child, ended: new Promise((done) => child.on("close", done)) };
  };
  const ready = says('s.send(b"STATUS=nearly\\nREADY=1\\nX=2")\ntime.sleep(1000)');

  test("create and start: start returns when the program is ready, and has told so", async () => {
    const { path, heard } = await manager("notify-start");
    const env = { NOTIFY_SOCKET: path };
    const id = box.id();
    const script = says('s.send(b"READY=1")\ntime.sleep(1000)');
    const bundle = box.bundle("true", python(script));
    box.ok(["create", "--bundle", bundle, id], { env: { PATH: process.env.PATH, ...env } });
    const { ended } = beside(env, "start", id);
    expect(await ended).toBe(0);
    // runc 1.1 sends no barrier.
    await until("the messages", () => heard.length >= (isTsrun ? 3 : 2));
    const wanted = ["READY=1\n", `MAINPID=${box.state(id).pid}\n`, "BARRIER=1"];
    expect(heard).toEqual(isTsrun ? wanted : wanted.slice(0, 2));
    box.ok(["delete", "--force", id]);
  });

  own("run --detach, READY anywhere in the message", async () => {
    const { heard, path } = await manager("notify-detach");
    const id = box.id();
    const { ended } = beside(
      { NOTIFY_SOCKET: path },
      "run",
      "--detach",
      "--bundle",
      box.bundle("true", python(ready)),
      id,
    );
    expect(await ended).toBe(0);
    await until("the messages", () => heard.length >= 3);
    expect(heard).toEqual(["READY=1\n", `MAINPID=${box.state(id).pid}\n`, "BARRIER=1"]);
    box.ok(["delete", "--force", id]);
  });

  own("run in the foreground: the service is tsrun itself", async () => {
    const { path, heard } = await manager("notify-run");
    const id = box.id();
    const { child, ended } = beside({ NOTIFY_SOCKET: path }, "run", "--bundle", box.bundle("true", python(ready)), id);
    await until("the messages", () => heard.length >= 3);
    expect(heard).toEqual(["READY=1\n", `MAINPID=${child.pid}\n`, "BARRIER=1"]);
    box.ok(["kill", id, "KILL"]);
    expect(await ended).toBe(137);
  });

  own("a program that ends without being ready, or a manager that is gone, keeps nobody", async () => {
    const { path, heard } = await manager("notify-silent");
    const id = box.id();
    const silent = box.bundle("true", python(says("")));
    expect(await beside({ NOTIFY_SOCKET: path }, "run", "--detach", "--bundle", silent, id).ended).toBe(0);
    expect(heard).toEqual([]);
    waitFor("its end", () => box.state(id).status === "stopped");
    box.ok(["delete", id]);
    for (const each of managers) each.kill("SIGKILL");
    const other = box.id();
    const result = box.run(["run", "--detach", "--bundle", box.bundle("true", python(ready)), other], {
      env: { PATH: process.env.PATH, NOTIFY_SOCKET: join(box.work, "nobody") },
    });
    expect(result).toMatchObject({ status: 0, stderr: expect.stringContaining("warning") });
    expect(box.state(other).status).toBe("running");
    box.ok(["delete", "--force", other]);
  });

  test("without one the container has none", () => {
    const result = box.container("env; ls /run");
    expect(result.stdout).not.toMatch(/notify/i);
    expect(existsSync("/run/notify")).toBe(false);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain("/run/notify");
  });
});
