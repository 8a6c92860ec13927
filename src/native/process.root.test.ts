/** The process area's steps, carried out: what a program started by them is really like. */

import { execFileSync, spawn as spawnChild } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { hookSteps } from "../compile/hooks.ts";
import { MOUNT_ATTR } from "../compile/mount-options.ts";
import {
  enterNamespaces,
  namespaceFlags,
  openNamespaces,
  processShape,
  serveNamespaces,
} from "../compile/namespaces.ts";
import { rlimitSteps, stackLimitSync } from "../compile/rlimits.ts";
import { encodePlan, point } from "../plan/encode.ts";
import { type ContainerStep, type HostStep, pivotMethods } from "../plan/vocabulary.ts";
import { openSession, type StepFailure } from "./native.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tsrun-process-"));
  // The programs below run as other users, too.
  chmodSync(directory, 0o711);
});
afterAll(() => rmSync(directory, { recursive: true }));

const spawn: HostStep = { kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 };
const run = (...args: string[]): ContainerStep => ({
  kind: "process.exec",
  program: args[0] as string,
  path: "/usr/bin:/bin",
  args,
  env: ["PATH=/usr/bin:/bin"],
  home: false,
});
let files = 0;
/** Runs a shell script as the program; what it prints comes back. */
function program(
  host: HostStep[],
  container: ContainerStep[],
  script: string,
): { output: string; failure?: StepFailure; value?: number } {
  const path = join(directory, `output-${files++}`);
  writeFileSync(path, "", { mode: 0o666 });
  chmodSync(path, 0o666);
  const session = openSession();
  const outcome = session.execute(
    encodePlan({
      title: "test",
      host: [...host, { kind: "process.waitExec" }],
      container: [...container, run("sh", "-c", `exec >${path} 2>&1; ${script}`)],
    }),
  );
  if (outcome.failure !== undefined) {
    session.close();
    return { output: "", failure: outcome.failure };
  }
  session.commit();
  const { value } = session.attach();
  session.close();
  return { output: readFileSync(path, "utf8"), value };
}
const field = (status: string, name: string): string =>
  new RegExp(`^${name}:[\\t ]*(.*?) *$`, "m").exec(status)?.[1] ?? "";

describe("process.waitExec", () => {
  test("waits for the execve, not for the program's end", () => {
    const session = openSession();
    try {
      const outcome = session.execute(
        encodePlan({ title: "test", host: [spawn, { kind: "process.waitExec" }], container: [run("sleep", "2")] }),
      );
      expect(outcome.failure).toBeUndefined();
      expect(readFileSync(`/proc/${outcome.pid}/stat`, "utf8")).toMatch(/^\d+ \(sleep\) [RSD] /);
    } finally {
      session.rollback();
      session.close();
    }
  });
});

describe("identity and capabilities", () => {
  const NET_BIND = 1n << 10n;
  test("are exactly what the steps say", () => {
    const { output } = program(
      [spawn],
      [
        { kind: "caps.bounding", keep: NET_BIND | 1n },
        { kind: "identity.set", uid: 1234, gid: 2345, groups: [7, 8], setGroups: true, umask: 0o27 },
        { kind: "caps.apply", effective: NET_BIND, permitted: NET_BIND, inheritable: NET_BIND, ambient: NET_BIND },
        { kind: "process.noNewPrivileges" },
      ],
      "cat /proc/self/status; umask",
    );
    expect(field(output, "Uid")).toBe("1234\t1234\t1234\t1234");
    expect(field(output, "Gid")).toBe("2345\t2345\t2345\t2345");
    expect(field(output, "Groups")).toBe("7 8");
    expect(field(output, "CapBnd")).toBe("0000000000000401");
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) expect(field(output, set)).toBe("0000000000000400");
    expect(field(output, "NoNewPrivs")).toBe("1");
    expect(output).toMatch(/^0?027$/m);
  });

  test("an id that means `as it is` to the kernel is refused", () => {
    const { failure } = program(
      [spawn],
      [{ kind: "identity.set", uid: 0xffff_ffff, gid: 0, groups: [], setGroups: true, umask: 0 }],
      "true",
    );
    expect(failure).toMatchObject({ kind: "identity.set", op: "verify" });
  });
});

describe("process shapes", () => {
  const config = (
    namespaces: NonNullable<Config["linux"]>["namespaces"],
    more: Partial<NonNullable<Config["linux"]>> = {},
  ): Config => ({ ociVersion: "1.3.0", linux: { namespaces, ...more } }) as Config;
  /** Runs a program in the shape of this configuration. */
  const inShape = (of: Config, script: string, facts = { uid: 0 }) => {
    const shape = processShape(of);
    const input = { config: of, facts } as Parameters<typeof enterNamespaces>[1];
    return program(
      [
        ...openNamespaces(shape, of),
        { ...spawn, cloneFlags: shape.spawnFlags } as HostStep,
        ...serveNamespaces(shape, input),
      ],
      enterNamespaces(shape, input),
      script,
    );
  };
  const mappings = {
    uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
    gidMappings: [{ containerID: 0, hostID: 200_000, size: 65_536 }],
  };

  test("direct: pid 1 in new namespaces", () => {
    const { output } = inShape(
      config([{ type: "pid" }, { type: "uts" }, { type: "ipc" }]),
      "echo pid $$; readlink /proc/thread-self/ns/uts /proc/$PPID/ns/ipc; true",
    );
    expect(output).toContain("pid 1\n");
  });

  test("a new user namespace owns the others, and the program is its root and pid 1", () => {
    const { output, failure } = inShape(
      config([{ type: "user" }, { type: "pid" }, { type: "network" }, { type: "mount" }], mappings),
      "echo pid $$; mount -t proc proc /proc; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; cat /proc/self/status; ip link set lo up 2>&1 && echo lo up",
    );
    expect(failure).toBeUndefined();
    expect(output).toMatch(/pid 1\n\s+0\s+100000\s+65536\n\s+0\s+200000\s+65536\nallow\n0\n/);
    expect(field(output, "Groups")).toBe("");
  });

  test("a time namespace has its offsets, also below a user namespace", () => {
    const time = { timeOffsets: { boottime: { secs: 1_000_000_000, nanosecs: 5 } } };
    for (const namespaces of [
      [{ type: "time" as const }],
      [{ type: "time" as const }, { type: "user" as const }, { type: "pid" as const }],
    ]) {
      const { output, failure } = inShape(
        config(namespaces, { ...mappings, ...time }),
        "cat /proc/uptime /proc/self/timens_offsets",
      );
      expect(failure).toBeUndefined();
      expect(Number.parseFloat(output)).toBeGreaterThan(1_000_000_000);
      expect(output).toMatch(/boottime\s+1000000000\s+5/);
    }
  });

  test("namespaces by path are joined, and one of another type is refused", () => {
    const sleeper = spawnChild("unshare", ["--uts", "--pid", "--fork", "--kill-child", "sleep", "30"], {
      stdio: "ignore",
    });
    try {
      const pid = sleeper.pid as number;
      let child = "";
      while (child === "") child = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
      const uts = readlinkSync(`/proc/${child}/ns/uts`);
      const { output, failure } = inShape(
        config([
          { type: "uts", path: `/proc/${child}/ns/uts` },
          { type: "pid", path: `/proc/${child}/ns/pid` },
        ]),
        "echo pid $$; readlink /proc/self/ns/uts; readlink /proc/self/ns/pid",
      );
      expect(failure).toBeUndefined();
      // /proc is the host's, where the shell's own number is another one.
      expect(Number(/^pid (\d+)$/m.exec(output)?.[1])).toBeLessThan(20);
      expect(output).toContain(uts);
      expect(inShape(config([{ type: "ipc", path: `/proc/${child}/ns/uts` }]), "true").failure).toMatchObject({
        kind: "ns.open",
        op: "verify",
        text: "a namespace of another type",
      });
      expect(inShape(config([{ type: "ipc", path: "/etc/passwd" }]), "true").failure).toMatchObject({
        kind: "ns.open",
        text: "not a namespace",
      });
    } finally {
      sleeper.kill("SIGKILL");
    }
  });

  test("a path to one's own user namespace asks for nothing", () => {
    expect(inShape(config([{ type: "user", path: "/proc/self/ns/user" }]), "true")).toMatchObject({ value: 0 });
  });
});

describe("signals, limits, descriptors, directory", () => {
  test("signals are default but for the mask; the limit is the step's", () => {
    const { output } = program(
      [
        spawn,
        { kind: "process.rlimit", resource: 7, soft: 99n, hard: 100n },
        { kind: "process.oomScoreAdj", value: 321 },
        { kind: "sync.signal", point: point("host-ready") },
      ],
      [
        { kind: "sync.wait", point: point("host-ready") },
        { kind: "process.signals", ignored: 1n << 9n },
      ],
      "cat /proc/self/status /proc/self/oom_score_adj; ulimit -Sn; ulimit -Hn",
    );
    expect(field(output, "SigIgn")).toBe("0000000000000200");
    expect(field(output, "SigBlk")).toBe("0000000000000000");
    expect(output).toMatch(/^321\n99\n100\n$/m);
  });

  test("a stack limit is not undone by the end of tsrun-init's execve", () => {
    const rlimits = [{ type: "RLIMIT_STACK", soft: 10 << 20, hard: 20 << 20 }];
    const { host, container } = stackLimitSync(rlimits);
    // It was lost most of the times, not always.
    for (let i = 0; i < 10; i++) {
      const { output } = program(
        [
          spawn,
          ...host,
          ...rlimitSteps(rlimits, { soft: 100n, hard: 100n }),
          { kind: "sync.signal", point: point("host-ready") },
        ],
        [...container, { kind: "sync.wait", point: point("host-ready") }],
        "ulimit -Ss; ulimit -Hs",
      );
      expect(output).toBe("10240\n20480\n");
    }
  });

  test("no descriptor but the standard ones reaches the program", () => {
    const { output } = program([spawn], [{ kind: "fds.closeOnExec", first: 3 }], "ls /proc/self/fd");
    expect(output.split("\n").filter((line) => line !== "")).toEqual(["0", "1", "2", "3"]); // 3 is ls's own
  });

  test("a directory that root may not enter is entered as the user, or fails", () => {
    const { failure } = program([spawn], [{ kind: "process.cwd", path: "/nowhere", asUser: false }], "true");
    expect(failure).toMatchObject({ kind: "process.cwd", op: "chdir", errno: 2 });
  });
});

describe("finding the program", () => {
  const look = (name: string, path = "/usr/bin:/bin") =>
    program([spawn], [{ kind: "process.lookup", program: name, path }], "true").failure;
  test("errors are those that callers tell apart", () => {
    const plain = join(directory, "plain");
    writeFileSync(plain, "", { mode: 0o644 });
    expect(look("sh")).toBeUndefined();
    expect(look("no-such-program")).toMatchObject({ op: "lookup", errno: 2, path: "no-such-program" });
    expect(look("plain", directory)).toMatchObject({ op: "lookup", errno: 13, path: plain });
    expect(look("/no/such/program")).toMatchObject({ op: "lookup", errno: 2 });
    expect(look(plain)).toMatchObject({ op: "lookup", errno: 13, text: "it is not executable" });
    expect(look("/dev/null")).toMatchObject({ op: "lookup", errno: 13, text: "it is not a regular file" });
    expect(look(`${plain}/x`)).toMatchObject({ op: "lookup", errno: 20 });
    expect(look("/usr")).toMatchObject({ op: "lookup", errno: 21 });
    expect(look("sh", "/nowhere:")).toMatchObject({ op: "lookup", errno: 2 });
  });

  test("a file system that is mounted noexec is told from a file without the right to execute", () => {
    const target = join(directory, "noexec");
    mkdirSync(target);
    const mount: ContainerStep[] = [
      { kind: "ns.unshare", types: namespaceFlags.mount },
      { kind: "mount.propagation", flags: 0x4_4000 },
      { kind: "root.bind", path: "/", isolate: false },
      {
        kind: "mount.bind",
        source: "/usr/bin",
        slot: null,
        target: target.slice(1),
        recursive: false,
        attrSet: MOUNT_ATTR.NOEXEC,
        attrClear: 0,
        attrRecursive: false,
        propagation: 0,
        noSymlinks: false,
        magic: 0,
        links: 0,
      },
      { kind: "root.pivot", method: pivotMethods.chroot },
    ];
    const { failure } = program(
      [spawn],
      [...mount, { kind: "process.lookup", program: "sleep", path: `/nowhere:${target}` }],
      "true",
    );
    expect(failure).toMatchObject({
      op: "lookup",
      errno: 13,
      path: `${target}/sleep`,
      text: "its file system is mounted noexec",
    });
  });

  test("HOME comes from passwd", () => {
    const session = openSession();
    const path = join(directory, "home");
    session.execute(
      encodePlan({
        title: "test",
        host: [spawn, { kind: "process.waitExec" }],
        container: [
          {
            kind: "process.exec",
            program: "/bin/sh",
            path: "",
            args: ["sh", "-c", `echo $HOME >${path}`],
            env: [],
            home: true,
          },
        ],
      }),
    );
    session.attach();
    session.close();
    expect(readFileSync(path, "utf8")).toBe("/root\n");
  });
});

describe("process.exec finds its program as process.lookup does, and says why it cannot run", () => {
  const execute = (name: string, path: string): StepFailure | undefined => {
    const session = openSession();
    const { failure } = session.execute(
      encodePlan({
        title: "test",
        host: [spawn, { kind: "process.waitExec" }],
        container: [{ kind: "process.exec", program: name, path, args: [name], env: [], home: false }],
      }),
    );
    if (failure === undefined) session.attach();
    session.close();
    return failure;
  };

  test("by path and by name, past directories and files that cannot be executed", () => {
    mkdirSync(join(directory, "first/true"), { recursive: true });
    mkdirSync(join(directory, "second"));
    writeFileSync(join(directory, "second/true"), "no program", { mode: 0o644 });
    expect(execute("/bin/true", "")).toBeUndefined();
    expect(execute("true", `/nowhere:${directory}/first:${directory}/second:/bin`)).toBeUndefined();
    expect(execute("true", `/nowhere:${directory}/first:${directory}/second`)).toMatchObject({
      op: "lookup",
      errno: 13,
      path: `${directory}/second/true`,
    });
    expect(execute("true", `/nowhere:${directory}/first`)).toMatchObject({ op: "lookup", errno: 2, path: "true" });
    expect(execute("/no/such", "/bin")).toMatchObject({ op: "lookup", errno: 2, path: "/no/such" });
    expect(execute(`${directory}/second/true`, "/bin")).toMatchObject({ op: "lookup", errno: 13 });
    expect(execute(`${directory}/first/true`, "/bin")).toMatchObject({ op: "lookup", errno: 21 });
  });

  test("a missing interpreter and a file that is no program are execve's word", () => {
    const script = join(directory, "orphan");
    writeFileSync(script, "#!/no/interpreter\n", { mode: 0o755 });
    writeFileSync(join(directory, "junk"), "junk", { mode: 0o755 });
    expect(execute(script, "")).toMatchObject({ op: "execve", errno: 2, path: script, text: "/no/interpreter" });
    // As a loader for another C library is, often.
    const binary = readFileSync("/usr/bin/env");
    const loader = /\/lib[^\0]*\/ld-linux[^\0]*/.exec(binary.toString("latin1")) as RegExpExecArray;
    binary.write("/mis", loader.index, "latin1");
    writeFileSync(join(directory, "elf"), binary, { mode: 0o755 });
    expect(execute(join(directory, "elf"), "")).toMatchObject({
      op: "execve",
      errno: 2,
      text: `/mis${loader[0].slice(4)}`,
    });
    writeFileSync(join(directory, "weak"), `#! ${script}x \n`, { mode: 0o755 });
    writeFileSync(`${script}x`, "", { mode: 0o644 });
    expect(execute(join(directory, "weak"), "")).toMatchObject({ op: "execve", errno: 13, text: `${script}x` });
    expect(execute("orphan", `/nowhere:${directory}`)).toMatchObject({ op: "execve", errno: 2, path: script });
    expect(execute("junk", `/nowhere:${directory}:/bin`)).toMatchObject({ op: "execve", errno: 8 });
  });
});

describe("namespaced settings", () => {
  test("loopback, names and sysctls of new namespaces", () => {
    const flags = namespaceFlags.network | namespaceFlags.uts | namespaceFlags.ipc;
    const { output, failure } = program(
      [{ ...spawn, cloneFlags: flags } as HostStep],
      [
        { kind: "net.loopback" },
        { kind: "uts.hostname", name: "inner" },
        { kind: "uts.domainname", name: "example.org" },
        { kind: "sysctl.write", key: "net.ipv4.ip_forward", value: "1" },
        { kind: "sysctl.write", key: "net.ipv4.conf.lo.forwarding", value: "1" },
        { kind: "sysctl.write", key: "kernel.msgmax", value: "4096" },
        { kind: "keyring.join", name: "_ses.tsrun-test", permissions: 0x8_0000 },
      ],
      "hostname; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/net/fib_trie; grep ses /proc/keys",
    );
    expect(failure).toBeUndefined();
    expect(output).toMatch(/^inner\nexample.org\n1\n4096\n/);
    expect(output).toContain("127.0.0.1");
    expect(output).toContain("_ses.tsrun-test");
  });

  test("a sysctl that would leave /proc/sys is refused", () => {
    const { failure } = program([spawn], [{ kind: "sysctl.write", key: "//.//.self.comm", value: "x" }], "true");
    expect(failure).toMatchObject({ kind: "sysctl.write", op: "openat2", errno: 18 });
  });
});

describe("hooks", () => {
  const container = { id: "web", bundle: "/bundle", annotations: { a: "b" } };
  const hook = (args: string[], more: object = {}) =>
    hookSteps(
      "createRuntime",
      { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", ...args], ...more }] },
      container,
      "live",
    );
  const withHook = (steps: HostStep[]) =>
    program(
      [spawn, ...steps, { kind: "sync.signal", point: point("host-ready") }],
      [{ kind: "sync.wait", point: point("host-ready") }],
      "echo $$",
    );

  test("get the state with the pid, exactly their environment, and no descriptor of ours", () => {
    const path = join(directory, "hook");
    const { output } = withHook(hook([`{ cat; echo; env; ls /proc/self/fd; } >${path}`], { env: ["ONLY=this"] }));
    const [state, ...rest] = readFileSync(path, "utf8").split("\n");
    expect(JSON.parse(state as string)).toEqual({
      ociVersion: "1.3.0",
      id: "web",
      status: "created",
      pid: Number(output),
      bundle: "/bundle",
      annotations: { a: "b" },
    });
    // PWD and _ are the shell's own.
    expect(rest.filter((line) => line.includes("=") && !/^(PWD|_|SHLVL|OLDPWD)=/.test(line))).toEqual(["ONLY=this"]);
    expect(rest.filter((line) => /^\d+$/.test(line))).toEqual(["0", "1", "2", "3"]);
  });

  test("run in the bundle, or in the root when that is gone", () => {
    const path = join(directory, "hook");
    const where = (bundle: string): string => {
      const steps = hookSteps(
        "createRuntime",
        { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", `pwd >${path}`] }] },
        { ...container, bundle },
        "live",
      );
      expect(withHook(steps).failure).toBeUndefined();
      return readFileSync(path, "utf8").trim();
    };
    expect(where(directory)).toBe(directory);
    expect(where("/no/bundle")).toBe("/");
  });

  test("tell their status, signal, timeout and last words", () => {
    expect(withHook(hook(["echo out; echo err >&2; exit 3"])).failure).toMatchObject({
      kind: "hook.run",
      op: "exited",
      detail: 3,
      path: "/bin/sh",
      text: "out\nerr\n",
    });
    expect(withHook(hook(["kill -9 $$"])).failure).toMatchObject({ op: "killed", detail: 9 });
    const marker = join(directory, "grandchild");
    expect(withHook(hook([`(sleep 2; echo no >${marker}) & sleep 30`], { timeout: 0.2 })).failure).toMatchObject({
      op: "timeout",
      detail: 200,
    });
    expect(
      withHook(hookSteps("prestart", { prestart: [{ path: "/no/hook" }] }, container, "live")).failure,
    ).toMatchObject({ op: "execve", errno: 2, path: "/no/hook" });
    expect(existsSync(marker)).toBe(false);
  });

  test("need not read their state, and may say very much", () => {
    const large = { ...container, annotations: { large: "x".repeat(300_000) } };
    const steps = hookSteps(
      "createRuntime",
      {
        createRuntime: [
          { path: "/bin/sh", args: ["sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' y; echo end; exit 1"] },
        ],
      },
      large,
      "live",
    );
    const { failure } = withHook(steps);
    expect(failure).toMatchObject({ op: "exited", detail: 1 });
    expect(failure?.text).toMatch(/^y{1000,1030}end\n$/);
  });

  test("in the container they see the container's pid", () => {
    const path = join(directory, "inner-hook");
    const steps = hookSteps(
      "createContainer",
      { createContainer: [{ path: "/bin/sh", args: ["sh", "-c", `cat >${path}`] }] },
      container,
      "live",
    );
    program([{ ...spawn, cloneFlags: namespaceFlags.pid } as HostStep], steps, "true");
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ status: "created", pid: 1 });
  });
});

test("a console is a terminal of the root's devpts, controlling, of the asked size, with its master handed out", () => {
  const session = openSession();
  const path = join(directory, "tty");
  const outcome = session.execute(
    encodePlan({
      title: "test",
      host: [{ kind: "console.pair", slot: "console" }, spawn, { kind: "process.waitExec" }],
      container: [
        { kind: "process.setsid" },
        { kind: "console.open", slot: "console", uid: 0, rows: 33, columns: 77, bind: false, onlcr: false },
        run("sh", "-c", `{ tty; stty size; ps -o tty= -p $$; } >${path} 2>&1`),
      ],
    }),
  );
  expect(outcome.failure).toBeUndefined();
  session.attach();
  session.close();
  expect(readFileSync(path, "utf8")).toMatch(/^\/dev\/pts\/\d+\n33 77\npts\/\d+/);
});

test("exec joins a process by pidfd, checked by its start time", () => {
  const sleeper = spawnChild("unshare", ["--uts", "--ipc", "sh", "-c", "hostname joined; exec sleep 30"], {
    stdio: "ignore",
  });
  try {
    const pid = sleeper.pid as number;
    while (!readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep")) execFileSync("true");
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const startTime = BigInt(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] as string);
    const join_ = (time: bigint) =>
      program(
        [{ kind: "ns.openProcess", pid, startTime: time, slot: "init" }, spawn],
        [{ kind: "ns.join", slot: "init", types: namespaceFlags.uts | namespaceFlags.ipc }],
        "hostname",
      );
    expect(join_(startTime).output).toBe("joined\n");
    expect(join_(startTime + 1n).failure).toMatchObject({ kind: "ns.openProcess", op: "pidfd_open", errno: 3 });
    const kill = (time: bigint, gone: boolean) => {
      const session = openSession();
      const { failure } = session.execute(
        encodePlan({
          title: "kill",
          host: [{ kind: "process.signal", pid, startTime: time, signal: 9, gone }],
          container: [],
        }),
      );
      session.close();
      return failure;
    };
    expect(kill(startTime + 1n, false)).toMatchObject({ errno: 3 });
    expect(kill(startTime + 1n, true)).toBeUndefined();
    expect(kill(startTime, false)).toBeUndefined();
  } finally {
    sleeper.kill("SIGKILL");
  }
});
