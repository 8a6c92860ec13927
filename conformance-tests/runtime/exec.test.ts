import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, hierarchies, isTsrun, RUNTIME, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());
const own = isTsrun ? test : test.skip;
const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");

function running(edit: (config: Config, bundle: string) => void = () => {}, program = "sleep 1000"): string {
  const id = box.id();
  box.ok(["run", "--detach", "--bundle", box.bundle(program, edit), id]);
  return id;
}

/** Lines of /proc/self/status of a program exec'd with these options, tabs as blanks. */
function status(id: string, ...options: string[]): Record<string, string> {
  const { stdout } = box.ok(["exec", ...options, id, "cat", "/proc/self/status"]);
  return Object.fromEntries(
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/:\s+/, 2))
      .map(([name = "", value = ""]) => [name, value.trim().replaceAll("\t", " ")]),
  );
}

const caps = (...numbers: number[]): string =>
  numbers
    .reduce((mask, number) => mask | (1n << BigInt(number)), 0n)
    .toString(16)
    .padStart(16, "0");
const KILL = 5;
const NET_BIND_SERVICE = 10;
const NET_RAW = 13;
const AUDIT_WRITE = 29;

describe("exec: who the program is", () => {
  test("as the container's own process, but for what is asked", () => {
    const id = running((config) => {
      config.process.user = { uid: 7, gid: 8, additionalGids: [9] };
      config.process.noNewPrivileges = false;
    });
    expect(status(id)).toMatchObject({ Uid: "7 7 7 7", Gid: "8 8 8 8", Groups: "9", NoNewPrivs: "0", Umask: "0022" });
    // Without a gid the group stays.
    expect(status(id, "--user", "1000")).toMatchObject({ Uid: "1000 1000 1000 1000", Gid: "8 8 8 8", Groups: "9" });
    expect(status(id, "-u", "1000:1001", "-g", "5", "-g", "6", "--no-new-privs")).toMatchObject({
      Uid: "1000 1000 1000 1000",
      Gid: "1001 1001 1001 1001",
      Groups: "5 6 9",
      NoNewPrivs: "1",
    });
    box.ok(["delete", "--force", id]);
  });

  test("capabilities: the container's own; --cap adds, but neither inheritable nor ambient ones", () => {
    const id = running((config) => {
      const three = ["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE"];
      config.process.capabilities = { bounding: three, effective: three, permitted: three };
    });
    const held = caps(KILL, NET_BIND_SERVICE, AUDIT_WRITE);
    const none = caps();
    expect(status(id)).toMatchObject({ CapInh: none, CapPrm: held, CapEff: held, CapBnd: held, CapAmb: none });
    const more = caps(KILL, NET_BIND_SERVICE, AUDIT_WRITE, NET_RAW);
    const added = { CapInh: none, CapPrm: more, CapEff: more, CapBnd: more, CapAmb: none };
    expect(status(id, "--cap", "CAP_NET_RAW")).toMatchObject(added);
    // Who is not root keeps none that is not ambient.
    expect(status(id, "-u", "5", "-c", "CAP_NET_RAW")).toMatchObject({ CapEff: none, CapPrm: none, CapBnd: more });
    box.ok(["delete", "--force", id]);
  });

  test("inheritable and ambient ones are kept if config.json asks for them", () => {
    const id = running((config) => {
      const all = ["CAP_KILL", "CAP_NET_BIND_SERVICE"];
      config.process.capabilities = {
        bounding: all,
        effective: all,
        permitted: all,
        inheritable: ["CAP_KILL"],
        ambient: ["CAP_KILL"],
      };
    });
    const kill = caps(KILL);
    expect(status(id, "-u", "5")).toMatchObject({ CapInh: kill, CapPrm: kill, CapEff: kill, CapAmb: kill });
    box.ok(["delete", "--force", id]);
  });

  (existsSync("/proc/keys") ? test : test.skip)(
    "a session keyring of the container's, unless create was told to make none (kernels without keyrings have no /proc/keys)",
    () => {
      for (const [flags, keyrings] of [
        [[], 1],
        [["--no-new-keyring"], 0],
      ] as const) {
        const id = box.id();
        const bundle = box.bundle("sleep 1000", (config) => {
          config.linux.maskedPaths = [];
        });
        box.ok(["create", "--bundle", bundle, ...flags, id]);
        box.ok(["start", id]);
        // As its holder sees it, it has a name; it is one only, that of init.
        const { stdout } = box.run(["exec", id, "grep", `_ses.${id}:`, "/proc/keys"]);
        expect(stdout.split("\n").filter((line) => line !== "")).toHaveLength(keyrings);
        box.ok(["delete", "--force", id]);
      }
    },
  );

  test("the environment: the container's, what is added, HOME of the user", () => {
    const id = running((config, bundle) => {
      config.process.env = ["PATH=/bin", "A=old", "B=b"];
      writeFileSync(join(bundle, "rootfs/etc/passwd"), "root:x:0:0::/root:/bin/sh\nsome:x:77:77::/home/some:/bin/sh\n");
    });
    const env = (...options: string[]) =>
      box
        .ok(["exec", ...options, id, "env"])
        .stdout.trim()
        .split("\n")
        .sort();
    expect(env()).toEqual(["A=old", "B=b", "HOME=/root", "PATH=/bin"]);
    expect(env("-e", "A=new", "-e", "C=a=b")).toEqual(["A=new", "B=b", "C=a=b", "HOME=/root", "PATH=/bin"]);
    expect(env("-u", "77")).toContain("HOME=/home/some");
    expect(env("-u", "78")).toContain("HOME=/");
    expect(env("-e", "HOME=/elsewhere")).toContain("HOME=/elsewhere");
    box.ok(["delete", "--force", id]);
  });

  test("--cwd; the program's arguments are its own, options too", () => {
    const id = running((config) => {
      config.process.cwd = "/tmp";
    });
    expect(box.ok(["exec", id, "pwd"]).stdout).toBe("/tmp\n");
    expect(box.ok(["exec", "--cwd", "/proc", id, "pwd"]).stdout).toBe("/proc\n");
    expect(box.ok(["exec", id, "echo", "-e", "--cwd", "/x", "--", "-t"]).stdout).toBe("--cwd /x -- -t\n");
    box.ok(["delete", "--force", id]);
  });

  own("what is not a number is no user", () => {
    for (const user of ["root", "1x", "-1", "4294967295", "0x10", "1:2:3", ":1", "1:"]) {
      expect(box.run(["exec", `--user=${user}`, "nobody", "true"]).status).toBe(255);
    }
  });
});

describe("exec --process", () => {
  const spec = (more: Config = {}): string =>
    JSON.stringify({
      args: ["sh", "-c", "id -u; pwd; echo $A"],
      cwd: "/bin",
      env: ["PATH=/bin", "A=a"],
      user: { uid: 3, gid: 3 },
      ...more,
    });

  test("a file, a fifo; without capabilities in it they are the container's", () => {
    const id = running((config) => {
      config.process.capabilities = Object.fromEntries(
        ["bounding", "effective", "permitted"].map((set) => [set, ["CAP_KILL"]]),
      );
    });
    const file = join(box.work, "process.json");
    writeFileSync(file, spec());
    expect(box.ok(["exec", "--process", file, id]).stdout).toBe("3\n/bin\na\n");
    const fifo = join(box.work, "process.fifo");
    expect(spawnSync("mkfifo", [fifo]).status).toBe(0);
    const writer = spawn("sh", ["-c", `cat ${file} >${fifo}`]);
    expect(box.ok(["exec", "-p", fifo, id]).stdout).toBe("3\n/bin\na\n");
    writer.kill();
    // As bash's <(…) gives it.
    const bash = `${RUNTIME} --root ${box.root} exec -p <(cat ${file}) ${id}`;
    expect(spawnSync("bash", ["-c", bash], { encoding: "utf8" }).stdout).toBe("3\n/bin\na\n");
    writeFileSync(file, spec({ args: ["grep", "CapBnd", "/proc/self/status"], user: { uid: 0, gid: 0 } }));
    expect(box.ok(["exec", "-p", file, id]).stdout).toBe(`CapBnd:\t${caps(KILL)}\n`);
    writeFileSync(file, "{");
    expect(box.run(["exec", "-p", file, id]).status).toBe(255);
    writeFileSync(file, spec({ cwd: "relative" }));
    expect(box.run(["exec", "-p", file, id]).status).toBe(255);
    box.ok(["delete", "--force", id]);
  });
});

describe("exec: status, pid, waiting", () => {
  test("the program's own status, 128+n after a signal, 255 if it could not start", () => {
    const id = running();
    expect(box.run(["exec", id, "sh", "-c", "exit 7"]).status).toBe(7);
    expect(box.run(["exec", id, "sh", "-c", "kill -9 $$"]).status).toBe(137);
    expect(box.run(["exec", id, "no-such-program"])).toMatchObject({
      status: 255,
      stderr: expect.stringContaining("executable file not found in $PATH"),
    });
    expect(box.run(["exec", id, "/no/such"]).status).toBe(255);
    expect(box.run(["exec", "nobody", "true"])).toMatchObject({
      status: 255,
      stderr: expect.stringContaining("does not exist"),
    });
    expect(box.run(["exec", id]).status).not.toBe(0);
    box.ok(["kill", id, "KILL"]);
    waitFor("its end", () => box.state(id).status === "stopped");
    expect(box.run(["exec", id, "true"])).toMatchObject({ status: 255, stderr: expect.stringContaining("stopped") });
    box.ok(["delete", id]);
  });

  test("--detach returns while the program runs; --pid-file has its pid on the host", () => {
    const id = running();
    const file = join(box.work, "exec-pid");
    box.ok(["exec", "--detach", "--pid-file", file, id, "sleep", "1234"]);
    const pid = readFileSync(file, "utf8");
    // runc does not wait for execve.
    waitFor("sleep", () => readFileSync(`/proc/${pid}/cmdline`, "utf8") === "sleep\x001234\0");
    expect(JSON.parse(box.ok(["ps", "-f", "json", id]).stdout)).toContain(Number(pid));
    box.ok(["delete", "--force", id]);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test("into a created container", () => {
    const id = box.id();
    box.ok(["create", "--bundle", box.bundle("sleep 1000"), id]);
    expect(box.ok(["exec", id, "echo", "early"]).stdout).toBe("early\n");
    expect(box.state(id).status).toBe("created");
    box.ok(["start", id]);
    box.ok(["delete", "--force", id]);
  });

  test("descriptors: the standard ones, and those of --preserve-fds", () => {
    const id = running();
    const file = join(box.work, "kept");
    writeFileSync(file, "kept\n");
    const list = `exec 3<${file} 4<${file} 5<${file}; exec ${RUNTIME} --root ${box.root} exec`;
    const fds = (options: string) =>
      spawnSync(
        "sh",
        [
          "-c",
          `${list} ${options} ${id} sh -c 'for i in 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$i ] && echo $i; done; cat <&3'`,
        ],
        {
          encoding: "utf8",
        },
      ).stdout;
    expect(fds("--preserve-fds 2")).toBe("3\n4\nkept\n");
    expect(fds("")).toBe("");
    box.ok(["delete", "--force", id]);
  });
});

describe("exec: terminals", () => {
  test("a terminal has to go to somebody, and a console socket wants one", () => {
    const id = running();
    expect(box.run(["exec", "--detach", "--tty", id, "true"]).status).toBe(255);
    expect(box.run(["exec", "--detach", "--console-socket", "/nonexistent", id, "true"]).status).toBe(255);
    box.ok(["delete", "--force", id]);
  });

  own("--tty in the foreground is relayed, with one line end", () => {
    const id = running();
    expect(box.ok(["exec", "--tty", id, "sh", "-c", "tty; echo two"]).stdout).toBe("/dev/pts/0\ntwo\n");
    expect(box.ok(["exec", id, "sh", "-c", "tty || echo none"]).stdout).toContain("none");
    box.ok(["delete", "--force", id]);
  });
});

describe("exec: paused containers", () => {
  own("--ignore-paused waits until somebody resumes it", async () => {
    const id = running();
    box.ok(["pause", id]);
    expect(box.run(["exec", id, "true"]).status).toBe(255);
    const child = spawn(RUNTIME, ["--root", box.root, "exec", "--ignore-paused", id, "sh", "-c", "exit 9"], {
      stdio: "ignore",
    });
    const ended = new Promise((done) => child.on("close", done));
    waitFor("it to be in the cgroup", () => JSON.parse(box.ok(["ps", "-f", "json", id]).stdout).length > 1);
    expect(child.exitCode).toBe(null);
    box.ok(["resume", id]);
    expect(await ended).toBe(9);
    box.ok(["delete", "--force", id]);
  });
});

describe("exec --cgroup", () => {
  const where = (id: string, ...options: string[]): string[] =>
    box
      .ok(["exec", ...options, id, "cat", "/proc/self/cgroup"])
      .stdout.trim()
      .split("\n");
  const noNamespace = (config: Config): void => {
    config.linux.namespaces = config.linux.namespaces.filter(({ type }: { type: string }) => type !== "cgroup");
  };

  test("a cgroup below the container's, in all hierarchies or in those that are named", () => {
    let path = "";
    const id = running((config) => {
      path = config.linux.cgroupsPath;
      noNamespace(config);
    });
    expect(where(id).every((line) => line.endsWith(path))).toBe(true);
    const made = hierarchies().map((hierarchy) => join(hierarchy, path, "sub"));
    for (const directory of made) {
      mkdirSync(directory);
      // v1: without CPUs and memory nodes no process may be in it.
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        const above = join(directory, "..", file);
        if (!unified && existsSync(above)) writeFileSync(join(directory, file), readFileSync(above));
      }
    }
    expect(where(id, "--cgroup", "sub").every((line) => line.endsWith(`${path}/sub`))).toBe(true);
    if (existsSync("/sys/fs/cgroup/memory")) {
      const lines = where(id, "--cgroup", "memory:sub", "--cgroup", "pids:sub");
      expect(
        lines
          .filter((line) => line.endsWith("/sub"))
          .map((line) => line.split(":")[1])
          .sort(),
      ).toEqual(["memory", "pids"]);
      expect(box.run(["exec", "--cgroup", "nonsense:sub", id, "true"]).status).toBe(255);
    }
    for (const path of ["missing", "../x", "sub/../../x"]) {
      expect(box.run(["exec", "--cgroup", path, id, "true"]).status).toBe(255);
    }
    for (const directory of made) rmdirSync(directory);
    box.ok(["delete", "--force", id]);
  });

  (unified ? test : test.skip)(
    "v2: one that gives its children controllers has no room, so init's present one it is",
    () => {
      let path = "";
      const id = running((config) => {
        path = config.linux.cgroupsPath;
        noNamespace(config);
      });
      const own = join("/sys/fs/cgroup", path);
      // As systemd in a container does it.
      for (const name of ["init", "other"]) mkdirSync(join(own, name));
      for (const pid of readFileSync(join(own, "cgroup.procs"), "utf8").trim().split("\n"))
        writeFileSync(join(own, "init/cgroup.procs"), pid);
      // A domain controller: with threaded ones alone (pids) a cgroup without processes below takes some itself.
      writeFileSync(join(own, "cgroup.subtree_control"), "+memory");
      expect(where(id)).toEqual([`0::${path}/init`]);
      expect(where(id, "--cgroup", "other")).toEqual([`0::${path}/other`]);
      // What is asked for is never another.
      mkdirSync(join(own, "other/below"));
      writeFileSync(join(own, "other/cgroup.subtree_control"), "+memory");
      expect(box.run(["exec", "--cgroup", "other", id, "true"])).toMatchObject({
        status: 255,
        stderr: expect.stringMatching(/other.*: E(BUSY|OPNOTSUPP)|EBUSY|device or resource busy/),
      });
      box.ok(["delete", "--force", id]);
      expect(box.leftovers()).toEqual([]);
    },
  );
});
