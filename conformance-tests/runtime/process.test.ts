/** config.md, Process, and its relatives of config-linux.md: what the program finds itself to be. */

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, isTsrun, RUNTIME, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const onlyTsrun = isTsrun ? test : test.skip;
const status = (text: string, name: string): string =>
  new RegExp(`^${name}:[\\t ]*(.*?)\\s*$`, "m").exec(text)?.[1] ?? "";
const host = (): string => readFileSync("/proc/self/status", "utf8");
const isRoot = Number(status(host(), "Uid").split(/\s/)[1]) === 0;
const capabilities = BigInt(`0x${status(host(), "CapEff")}`);
const mayNice = isRoot && ((capabilities >> 23n) & 1n) === 1n;

/** A file of the root that the program can execute. */
function addProgram(bundle: string, name: string, text: string, mode = 0o755): void {
  writeFileSync(join(bundle, "rootfs", name), text);
  chmodSync(join(bundle, "rootfs", name), mode);
}

describe("capabilities", () => {
  const CHOWN = 1n;
  const KILL = 1n << 5n;
  const NET_BIND = 1n << 10n;
  const sets = (edit: (config: Config) => void) => {
    const { stdout, stderr } = box.container("cat /proc/self/status", edit);
    const of = (name: string): bigint => BigInt(`0x${status(stdout, name)}`);
    return { stderr, bnd: of("CapBnd"), eff: of("CapEff"), prm: of("CapPrm"), inh: of("CapInh"), amb: of("CapAmb") };
  };

  test("each set is what config.json says", () => {
    const found = sets((config) => {
      config.process.capabilities = {
        bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
        permitted: ["CAP_CHOWN", "CAP_KILL"],
        effective: ["CAP_CHOWN"],
        inheritable: ["CAP_KILL"],
        ambient: [],
      };
      // What root executes gets all of the bounding set (capabilities(7)): another user shows the sets.
      config.process.user = { uid: 1000, gid: 1000 };
    });
    expect(found).toMatchObject({ bnd: CHOWN | KILL | NET_BIND, inh: KILL, eff: 0n, prm: 0n, amb: 0n });
  });

  test("ambient ones reach the program of a user who is not root", () => {
    const names = ["CAP_NET_BIND_SERVICE"];
    const found = sets((config) => {
      config.process.user = { uid: 1000, gid: 1000 };
      config.process.capabilities = Object.fromEntries(
        ["bounding", "permitted", "effective", "inheritable", "ambient"].map((set) => [set, names]),
      );
    });
    expect(found).toMatchObject({ bnd: NET_BIND, eff: NET_BIND, prm: NET_BIND, inh: NET_BIND, amb: NET_BIND });
  });

  test("without any the program has none", () => {
    expect(sets((config) => delete config.process.capabilities)).toMatchObject({ bnd: 0n, eff: 0n, prm: 0n, inh: 0n });
  });

  onlyTsrun(
    "what cannot be granted is warned of, and left out (runc and crun refuse unknown names or log elsewhere)",
    () => {
      const found = sets((config) => {
        config.process.capabilities = {
          bounding: ["CAP_CHOWN", "CAP_FLY"],
          permitted: ["CAP_CHOWN"],
          effective: ["CAP_CHOWN", "CAP_KILL"],
          inheritable: [],
          ambient: ["CAP_CHOWN"],
        };
      });
      expect(found).toMatchObject({ bnd: CHOWN, amb: 0n });
      expect(found.stderr).toContain("/process/capabilities/bounding: ignoring unknown capability CAP_FLY");
      expect(found.stderr).toContain("/process/capabilities/effective: ignoring CAP_KILL: it is not permitted");
      expect(found.stderr).toContain(
        "/process/capabilities/ambient: ignoring CAP_CHOWN: it is not permitted and inheritable",
      );
    },
  );
});

/** With cgroup v1 a group has no real-time unless it, and every one above it, is given some. */
function giveRealtime(config: Config): void {
  const parent = "/sys/fs/cgroup/cpu/tsrun-test";
  if (!existsSync("/sys/fs/cgroup/cpu/cpu.rt_runtime_us")) return;
  mkdirSync(parent, { recursive: true });
  writeFileSync(join(parent, "cpu.rt_runtime_us"), "50000");
  config.linux.resources = { ...config.linux.resources, cpu: { realtimeRuntime: 20_000, realtimePeriod: 1_000_000 } };
}

describe("scheduling", () => {
  // Fields 18 (priority), 19 (nice), 41 (policy) of proc_pid_stat(5), counted after the name.
  const stat = "sed 's/.*) //' /proc/self/stat | cut -d ' ' -f 16,17,39";

  test("scheduler: nice values", () => {
    const { stdout } = box.container(stat, (config) => {
      config.process.scheduler = { policy: "SCHED_BATCH", nice: 5 };
    });
    expect(stdout).toBe("25 5 3\n");
  });

  (mayNice ? test : test.skip)("scheduler: real-time, reset for what it starts (skipped without CAP_SYS_NICE)", () => {
    const { stdout } = box.container(`sed 's/.*) //' /proc/$$/stat | cut -d ' ' -f 16,39; ${stat}`, (config) => {
      giveRealtime(config);
      config.process.scheduler = { policy: "SCHED_RR", priority: 9, flags: ["SCHED_FLAG_RESET_ON_FORK"] };
    });
    expect(stdout).toBe("-10 2\n20 0 0\n");
  });

  test("scheduler: a combination that cannot be is an error in create", () => {
    const result = box.container("true", (config) => {
      config.process.scheduler = { policy: "SCHED_OTHER", priority: 9 };
    });
    expect(result).toMatchObject({ status: 1, stderr: expect.stringMatching(/priority/) });
  });

  test("ioPriority", () => {
    const { stdout } = box.container("ionice -p $$", (config) => {
      config.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 };
    });
    expect(stdout.trim()).toBe("best-effort: prio 6");
  });

  (availableParallelism() > 1 ? test : test.skip)(
    "execCPUAffinity is for exec, not for the container's init (skipped on one CPU)",
    () => {
      const id = box.id();
      const list = "grep Cpus_allowed_list /proc/self/status";
      const bundle = box.bundle(`${list}; sleep 1000`, (config) => {
        config.process.execCPUAffinity = { initial: "0", final: "1" };
      });
      box.ok(["run", "--detach", "--bundle", bundle, id]);
      expect(status(box.ok(["exec", id, "sh", "-c", list]).stdout, "Cpus_allowed_list")).toBe("1");
      const file = join(bundle, "process.json");
      const own = { cwd: "/", args: ["sh", "-c", list], env: ["PATH=/bin"], user: { uid: 0, gid: 0 } };
      writeFileSync(file, JSON.stringify({ ...own, execCPUAffinity: { final: "0" } }));
      expect(status(box.ok(["exec", "--process", file, id]).stdout, "Cpus_allowed_list")).toBe("0");
      box.ok(["delete", "--force", id]);
    },
  );
});

describe("memory policy and personality", () => {
  const policy = "head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2";

  onlyTsrun("memoryPolicy, of exec's processes too (peers came to it later)", () => {
    const id = box.id();
    const bundle = box.bundle("sleep 1000", (config) => {
      config.linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] };
    });
    box.ok(["run", "--detach", "--bundle", bundle, id]);
    const init = readFileSync(`/proc/${box.state(id).pid}/numa_maps`, "utf8").split(/\s/)[1];
    expect(init).toBe("bind=static:0");
    expect(box.ok(["exec", id, "sh", "-c", policy]).stdout.trim()).toBe("bind=static:0");
    box.ok(["delete", "--force", id]);
  });

  (process.arch === "x64" ? test : test.skip)("personality: a 32-bit machine (skipped where there may be none)", () => {
    const { stdout } = box.container("uname -m", (config) => {
      config.linux.personality = { domain: "LINUX32" };
    });
    expect(stdout.trim()).toBe("i686");
  });
});

describe("a program that cannot be run: which and why, told apart as shells do", () => {
  const attempt = (args: string[], edit?: (config: Config, bundle: string) => void) => {
    const result = box.container(args, edit);
    expect(result.status).toBe(1);
    return result.stderr;
  };
  const files = (_: Config, bundle: string): void => {
    addProgram(bundle, "sbin/plain", "#!/bin/sh\n", 0o644);
    addProgram(bundle, "sbin/orphan", "#!/no/interpreter\n");
    addProgram(bundle, "bin/junk", "junk");
  };

  test("not there: in $PATH, by path, below a file", () => {
    expect(attempt(["no-such"])).toMatch(/exec: "no-such": executable file not found in \$PATH/);
    expect(attempt(["/no/such"])).toMatch(/\/no\/such: no such file or directory/);
    expect(attempt(["/etc/passwd/x"])).toMatch(/not a directory/);
  });

  test("a directory, a file without the right to execute", () => {
    expect(attempt(["/etc"])).toMatch(/is a directory|permission denied/);
    expect(attempt(["/etc/passwd"])).toMatch(/permission denied/);
  });

  onlyTsrun("and says more: what was searched, which file was refused, for what", () => {
    expect(attempt(["no-such"], (config) => (config.process.env = ["PATH=/bin:/opt"]))).toContain("/bin:/opt");
    expect(attempt(["plain"], files)).toContain('exec: "/sbin/plain": it is not executable: permission denied');
    expect(
      attempt(["/mnt/x"], (config, bundle) => {
        addProgram(bundle, "bin/x", "#!/bin/sh\n");
        config.mounts.push({ destination: "/mnt", source: join(bundle, "rootfs/bin"), options: ["bind", "noexec"] });
      }),
    ).toContain('exec: "/mnt/x": its file system is mounted noexec: permission denied');
  });

  onlyTsrun("what only execve can know is start's error: a missing interpreter, a file of no known kind", () => {
    expect(attempt(["orphan"], files)).toContain(
      "exec /sbin/orphan: its interpreter /no/interpreter: no such file or directory",
    );
    expect(attempt(["junk"], files)).toMatch(/exec format error/i);
    const id = box.id();
    box.ok(["create", "--bundle", box.bundle(["orphan"], files), id]);
    expect(box.run(["start", id])).toMatchObject({ status: 1, stderr: expect.stringContaining("/no/interpreter") });
    box.ok(["delete", "--force", id]);
  });
});

describe("security modules", () => {
  const apparmor = existsSync("/sys/kernel/security/apparmor/profiles");
  const selinux = existsSync("/sys/fs/selinux/enforce");

  onlyTsrun("one that is off is an error, not a container without its protection (crun passes it over)", () => {
    const attempt = (edit: (config: Config) => void) => box.container("true", edit);
    if (!apparmor) {
      expect(attempt((config) => (config.process.apparmorProfile = "web"))).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('/process/apparmorProfile: "web" asks for AppArmor, which is off here'),
      });
      expect(attempt((config) => (config.process.apparmorProfile = "unconfined")).status).toBe(0);
    }
    if (!selinux) {
      for (const edit of [
        (config: Config) => (config.process.selinuxLabel = "a:b:c:s0"),
        (config: Config) => (config.linux.mountLabel = "a:b:c:s0"),
      ]) {
        expect(attempt(edit)).toMatchObject({ status: 1, stderr: expect.stringContaining("asks for SELinux") });
      }
    }
    expect(box.leftovers()).toEqual([]);
  });
});

const PROFILE = `profile tsrun-test-web flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  signal,
  unix,
  deny /etc/secret rw,
}
`;
(existsSync("/sys/kernel/security/apparmor/profiles") ? describe : describe.skip)(
  "AppArmor (skipped where it is off)",
  () => {
    const parser = (action: string): void => {
      execFileSync("apparmor_parser", [action], { input: PROFILE });
    };
    beforeAll(() => parser("--replace"));
    afterAll(() => parser("--remove"));
    const script = "cat /proc/self/attr/current; cat /etc/secret";
    const confined = (config: Config, bundle: string): void => {
      writeFileSync(join(bundle, "rootfs/etc/secret"), "secret\n");
      config.process.apparmorProfile = "tsrun-test-web";
    };

    test.each([true, false])("a profile confines the program, with no_new_privs %s", (noNewPrivileges) => {
      const { stdout, stderr } = box.container(script, (config, bundle) => {
        confined(config, bundle);
        config.process.noNewPrivileges = noNewPrivileges;
      });
      expect(stdout).toBe("tsrun-test-web (enforce)\n");
      expect(stderr).toContain("Permission denied");
    });

    test("unconfined is asked for, too", () => {
      const { stdout } = box.container(script, (config, bundle) => {
        confined(config, bundle);
        config.process.apparmorProfile = "unconfined";
      });
      expect(stdout).toBe("unconfined\nsecret\n");
    });

    test("in a user namespace as well", () => {
      const { stdout } = box.container(script, (config, bundle) => {
        confined(config, bundle);
        config.linux.namespaces.push({ type: "user" });
        config.linux.uidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
        config.linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
      });
      expect(stdout).toBe("tsrun-test-web (enforce)\n");
    });

    test("exec has the container's unless it names another", () => {
      const id = box.id();
      const bundle = box.bundle("sleep 1000", confined);
      box.ok(["run", "--detach", "--bundle", bundle, id]);
      const current = (...options: string[]): string =>
        box.ok(["exec", ...options, id, "cat", "/proc/self/attr/current"]).stdout.trim();
      expect(current()).toBe("tsrun-test-web (enforce)");
      const file = join(bundle, "process.json");
      writeFileSync(file, JSON.stringify({ cwd: "/", args: ["cat", "/proc/self/attr/current"], env: ["PATH=/bin"] }));
      expect(box.ok(["exec", "--process", file, id]).stdout.trim()).toBe("tsrun-test-web (enforce)");
      expect(current("--apparmor", "unconfined")).toBe("unconfined");
      box.ok(["delete", "--force", id]);
    });

    test("one that is not loaded fails in create", () => {
      const result = box.run([
        "create",
        "--bundle",
        box.bundle("true", (config) => {
          config.process.apparmorProfile = "tsrun-test-missing";
        }),
        box.id(),
      ]);
      expect(result).toMatchObject({ status: 1, stderr: expect.stringMatching(/tsrun-test-missing|apparmor/) });
      if (isTsrun) expect(result.stderr).toContain("the profile is not loaded");
      expect(box.leftovers()).toEqual([]);
    });
  },
);

(existsSync("/sys/fs/selinux/enforce") ? describe : describe.skip)("SELinux (skipped where it is off)", () => {
  const LABEL = "system_u:system_r:initrc_t:s0:c1,c2";
  const MOUNT_LABEL = "system_u:object_r:tmp_t:s0:c1,c2";
  const labelled = (config: Config): void => {
    config.process.selinuxLabel = LABEL;
    config.linux.mountLabel = MOUNT_LABEL;
  };

  test("the program has its label, and so has exec's, or the one that exec names", () => {
    const id = box.id();
    const bundle = box.bundle("cat /proc/self/attr/current; exec sleep 1000", labelled);
    box.ok(["run", "--detach", "--bundle", bundle, id]);
    const current = (...options: string[]): string =>
      box
        .ok(["exec", ...options, id, "cat", "/proc/self/attr/current"])
        .stdout.replaceAll("\0", "")
        .trim();
    expect(readFileSync(`/proc/${box.state(id).pid}/attr/current`, "utf8")).toContain(LABEL);
    // What is made for it, and nothing later, has its label.
    expect(readFileSync(`/proc/${box.state(id).pid}/attr/keycreate`, "utf8")).toBe("");
    expect(current()).toBe(LABEL);
    expect(current("--process-label", "system_u:system_r:initrc_t:s0:c5")).toBe("system_u:system_r:initrc_t:s0:c5");
    box.ok(["delete", "--force", id]);
  });

  test("its file systems are labelled, those that take no option by an attribute", () => {
    const id = box.id();
    const bundle = box.bundle("sleep 1000", (config) => {
      labelled(config);
      config.mounts.push({ destination: "/tmp", type: "tmpfs", options: ["mode=1777"] });
      config.linux.maskedPaths = ["/sys/firmware"];
    });
    box.ok(["run", "--detach", "--bundle", bundle, id]);
    const { pid } = box.state(id);
    const labelOf = (path: string): string =>
      execFileSync("stat", ["--format=%C", `/proc/${pid}/root${path}`], { encoding: "utf8" }).trim();
    for (const path of ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/tmp", "/sys/firmware"]) {
      expect([path, labelOf(path)]).toEqual([path, MOUNT_LABEL]);
    }
    expect(labelOf("/proc")).not.toBe(MOUNT_LABEL);
    box.ok(["delete", "--force", id]);
  });

  test("a label that the policy does not know fails in create", () => {
    const result = box.container("true", (config) => {
      config.process.selinuxLabel = "nobody_u:no_r:no_t:s0";
    });
    expect(result).toMatchObject({ status: 1, stderr: expect.stringContaining("nobody_u:no_r:no_t:s0") });
    expect(box.leftovers()).toEqual([]);
  });
});

describe("hooks", () => {
  const hook = (bundle: string, script: string, more: object = {}) => {
    addProgram(bundle, "../hook", `#!/bin/sh\n${script}\n`);
    return { path: join(bundle, "hook"), args: ["the hook", "argument"], env: ["A=1"], ...more };
  };

  test("get their arguments, their environment and nothing else, and the state", () => {
    const bundle = box.bundle("true", (config, at) => {
      config.annotations = { key: "value" };
      config.hooks = { prestart: [hook(at, `{ echo "$1"; env | sort; cat; } > ${at}/said`)] };
    });
    const id = box.id();
    box.ok(["run", "--bundle", bundle, id], { env: { PATH: process.env.PATH, SECRET: "caller's" } });
    const said = readFileSync(join(bundle, "said"), "utf8");
    expect(said).toMatch(/^argument\nA=1\n/);
    expect(said).not.toContain("SECRET");
    expect(JSON.parse(said.slice(said.indexOf("{")))).toMatchObject({ id, bundle, annotations: { key: "value" } });
  });

  onlyTsrun("a failure says which hook, how it ended, how long it took and what it said", () => {
    const attempt = (script: string, more: object = {}) =>
      box.container("true", (config, at) => {
        config.hooks = { createRuntime: [{ path: "/bin/true" }, hook(at, script, more)] };
      });
    const failed = attempt("sleep 0.2; echo no device; exit 3");
    expect(failed.status).toBe(1);
    const text = /createRuntime hook 1 \(\/.*\/hook\): exited with status 3 after (\d+) ms; its output: no device/;
    expect(failed.stderr).toMatch(text);
    expect(Number(text.exec(failed.stderr)?.[1])).toBeGreaterThanOrEqual(200);
    expect(attempt("kill -9 $$").stderr).toMatch(/createRuntime hook 1 .*was killed by signal 9 after \d+ ms/);
    expect(attempt("echo waiting; sleep 60", { timeout: 1 }).stderr).toMatch(
      /createRuntime hook 1 .*no end within 1000 ms; its output: waiting/,
    );
    expect(attempt("true", { path: "/no/such/hook" }).stderr).toMatch(
      /createRuntime hook 1 \(\/no\/such\/hook\): execve/,
    );
    expect(box.leftovers()).toEqual([]);
  });
});

/** The runtime's own template for a user without root. */
function rootlessConfig(user: number, args: string[]): Config {
  const folder = join(box.work, "rootless");
  mkdirSync(folder);
  expect(spawnSync(RUNTIME, ["spec", "--rootless", "--bundle", folder]).status).toBe(0);
  const config: Config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  config.process = { ...config.process, terminal: false, args };
  for (const name of ["uidMappings", "gidMappings"]) config.linux[name] = [{ containerID: 0, hostID: user, size: 1 }];
  return config;
}

describe("seccomp notify (config-linux.md, Seccomp)", () => {
  let agent: ChildProcess | undefined;
  afterEach(() => {
    agent?.kill("SIGKILL");
    agent = undefined;
  });
  const getppid = process.arch === "x64" ? 110 : 173;
  let agents = 0;
  const startAgent = (...answers: string[]) => {
    const base = join(box.work, `agent-${agents++}`);
    const [socket, state, log] = ["socket", "state", "log"].map((name) => `${base}-${name}`) as [
      string,
      string,
      string,
    ];
    const script = resolve(__dirname, "../seccomp-agent.py");
    agent = spawn("python3", [script, socket, state, log, ...answers], { stdio: "inherit" });
    waitFor("the agent", () => existsSync(socket));
    return { socket, state: () => JSON.parse(readFileSync(state, "utf8")), remove: () => rmSync(socket) };
  };
  const notify =
    (socket: string, names: string[], noNewPrivileges = true) =>
    (config: Config): void => {
      config.annotations = { key: "value" };
      config.process.noNewPrivileges = noNewPrivileges;
      config.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        listenerPath: socket,
        listenerMetadata: "for the agent",
        syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }],
      };
    };

  test.each([true, false])("an agent answers in the kernel's place, with no_new_privs %s", (noNewPrivileges) => {
    const { socket, state } = startAgent(`${getppid}=4242`);
    const bundle = box.bundle("echo $PPID", notify(socket, ["getppid"], noNewPrivileges));
    const id = box.id();
    expect(box.ok(["run", "--bundle", bundle, id]).stdout).toBe("4242\n");
    const { pid, ...rest } = state();
    expect(rest).toMatchObject({
      fds: ["seccompFd"],
      metadata: "for the agent",
      state: { id, status: "creating", pid, bundle, annotations: { key: "value" } },
    });
  });

  test("also about what the runtime itself does on the way to the program", () => {
    const { socket } = startAgent();
    const names = ["close", "connect", "sendto", "sendmsg", "recvfrom", "execve", "openat", "setresuid", "capset"];
    expect(box.container("echo works", notify(socket, names, false)).stdout).toBe("works\n");
  });

  test("exec hands over a listener of its own: the state is running, the pids differ", () => {
    const first = startAgent();
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000", notify(first.socket, ["getppid"])), id]);
    agent?.kill("SIGKILL");
    waitFor("the agent's end", () => agent?.signalCode !== null || !existsSync(`/proc/${agent?.pid}/exe`));
    first.remove();
    // The same path: config.json says it.
    const again = resolve(__dirname, "../seccomp-agent.py");
    const state = join(box.work, "exec-state");
    agent = spawn("python3", [again, first.socket, state, `${state}-log`, `${getppid}=7`], { stdio: "inherit" });
    waitFor("the agent", () => existsSync(first.socket));
    expect(box.ok(["exec", id, "sh", "-c", "echo $PPID"]).stdout).toBe("7\n");
    const said = JSON.parse(readFileSync(state, "utf8"));
    expect(said.state).toMatchObject({ id, status: "running", pid: box.state(id).pid });
    expect(said.pid).not.toBe(said.state.pid);
    box.ok(["delete", "--force", id]);
  });

  onlyTsrun("also when the runtime has no privilege", () => {
    const USER = 1000;
    const { socket } = startAgent(`${getppid}=8`);
    chmodSync(socket, 0o777);
    const root = join(box.work, "user-state");
    mkdirSync(root, { mode: 0o700 });
    chownSync(root, USER, USER);
    const bundle = box.bundle("echo $PPID", (config) => {
      Object.assign(config, rootlessConfig(USER, config.process.args));
      notify(socket, ["getppid"])(config);
    });
    const ids = ["--reuid", `${USER}`, "--regid", `${USER}`, "--clear-groups"];
    const result = spawnSync("setpriv", [...ids, RUNTIME, "--root", root, "run", "--bundle", bundle, box.id()], {
      encoding: "utf8",
      env: { PATH: process.env.PATH },
    });
    expect(result).toMatchObject({ status: 0, stdout: "8\n" });
  });

  test("without an agent create fails and leaves nothing", () => {
    const result = box.container("true", notify(join(box.work, "nobody"), ["getppid"]));
    expect(result).toMatchObject({ status: 1, stderr: expect.stringContaining("nobody") });
    expect(box.leftovers()).toEqual([]);
  });
});
