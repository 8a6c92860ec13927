/** SCMP_ACT_NOTIFY: the listener gets to the agent before anything needs an answer, whatever the filter asks about. */

import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { compileSeccomp } from "../compile/seccomp.ts";
import { kernelVersion } from "../host/read.ts";
import { encodePlan, point } from "../plan/encode.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import { kernelAtLeast } from "./container.fixture.ts";
import { openSession, type StepFailure } from "./native.ts";

type Seccomp = NonNullable<NonNullable<Config["linux"]>["seccomp"]>;

const AGENT = resolve(__dirname, "../../conformance-tests/seccomp-agent.py");
/** Numbers on this machine (asm/unistd.h). */
const nr = process.arch === "x64" ? { mkdir: "mkdir", getppid: 110 } : { mkdir: "mkdirat", getppid: 173 };

const directory = mkdtempSync(join(tmpdir(), "tsrun-listener-"));
chmodSync(directory, 0o755);
afterAll(() => rmSync(directory, { recursive: true }));

function waitFor(condition: () => boolean): void {
  const nap = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < 6000; i++) {
    if (condition()) return;
    Atomics.wait(nap, 0, 0, 10);
  }
  throw new Error("waited in vain");
}

let runs = 0;
let base: string;
let agent: ChildProcess | undefined;
beforeEach(() => {
  base = join(directory, String(runs++));
});
afterEach(() => {
  agent?.kill("SIGKILL");
  agent = undefined;
});
const file = (name: string): string => `${base}-${name}`;
function startAgent(...answers: string[]): void {
  agent = spawn("python3", [AGENT, file("socket"), file("state"), file("log"), ...answers], { stdio: "inherit" });
  waitFor(() => existsSync(file("socket")));
}
const asked = (): number[] => readFileSync(file("log"), "utf8").trim().split("\n").map(Number);

const notify = (...names: string[]): Seccomp => ({
  defaultAction: "SCMP_ACT_ALLOW",
  listenerPath: file("socket"),
  listenerMetadata: "opaque",
  syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }],
});
interface Run {
  readonly failure?: StepFailure;
  readonly output: string;
  readonly pid?: number;
}
function run(
  seccomp: Seccomp,
  script: string,
  more: { before?: ContainerStep[]; after?: ContainerStep[]; afterHost?: HostStep[]; cloneFlags?: number } = {},
): Run {
  const output = file("output");
  writeFileSync(output, "");
  const steps = compileSeccomp({
    id: "web",
    bundle: "/bundle",
    config: { linux: { seccomp }, annotations: { key: "value" } },
    facts: { uid: 0, kernel: kernelVersion() },
    options: { seccompCache: undefined },
  });
  const session = openSession();
  try {
    const { failure, pid } = session.execute(
      encodePlan({
        title: "test",
        host: [
          ...steps.host,
          { kind: "process.spawn", cloneFlags: more.cloneFlags ?? 0, cgroup: null, keepFds: 0 },
          ...steps.listener,
          ...(more.afterHost ?? []),
          { kind: "process.waitExec" },
        ],
        container: [
          { kind: "process.signals", ignored: 0 },
          ...(more.before ?? [{ kind: "process.noNewPrivileges" }]),
          ...steps.container,
          ...(more.after ?? []),
          {
            kind: "process.exec",
            program: "sh",
            path: "/bin",
            args: ["sh", "-c", `exec >${output} 2>&1; ${script}`],
            env: ["PATH=/usr/bin:/bin"],
            home: false,
          },
        ],
      }),
    );
    if (failure !== undefined) return { failure, output: "" };
    session.commit();
    session.attach();
    return { output: readFileSync(output, "utf8"), ...(pid !== undefined && { pid }) };
  } finally {
    session.close();
  }
}

describe("the agent", () => {
  test("gets the state and answers in the kernel's place", () => {
    startAgent(`${nr.getppid}=4242`);
    const { output, pid } = run(notify("getppid"), "echo $PPID");
    expect(output).toBe("4242\n");
    expect(JSON.parse(readFileSync(file("state"), "utf8"))).toEqual({
      ociVersion: "1.3.0",
      fds: ["seccompFd"],
      pid,
      metadata: "opaque",
      state: {
        ociVersion: "1.3.0",
        id: "web",
        status: "creating",
        pid,
        bundle: "/bundle",
        annotations: { key: "value" },
      },
    });
  });

  test("is asked about tsrun-init's own last system calls, too, and has the listener in time", () => {
    startAgent();
    const own = ["sendto", "sendmsg", "recvfrom", "close", "execve", "openat", "read", "mmap", "fcntl", "futex"];
    const { output, failure } = run(notify(...own), "echo works", {
      after: [
        { kind: "sync.signal", point: point("ready") },
        { kind: "sync.wait", point: point("host-ready") },
      ],
      afterHost: [
        { kind: "sync.wait", point: point("ready") },
        { kind: "sync.signal", point: point("host-ready") },
      ],
    });
    expect(failure).toBeUndefined();
    expect(output).toBe("works\n");
    // recvfrom, by which tsrun-init waits for us, and sendto, its word that it is ready.
    expect(asked().slice(0, 2)).toEqual(process.arch === "x64" ? [45, 3] : [207, 57]);
    expect(asked()).toContain(process.arch === "x64" ? 44 : 206);
  });

  test("also for the first process of a pid namespace", () => {
    startAgent(`${nr.getppid}=7`);
    expect(run(notify("getppid"), "echo $$ $PPID", { cloneFlags: 0x2000_0000 }).output).toBe("1 7\n");
  });

  test("is the listener's only holder: with it the answer goes", () => {
    startAgent();
    const script = `ls -l /proc/self/fd | grep -c seccomp; kill -9 ${agent?.pid}; while kill -0 ${agent?.pid} && ! grep -q ') Z' /proc/${agent?.pid}/stat; do :; done; mkdir ${file("made")}`;
    const { output } = run(notify(nr.mkdir), script);
    expect(output).toMatch(/^0\n(.*\n)*mkdir: .*Function not implemented\n$/);
  });

  test("that waits killably is a flag of the kernel's", () => {
    startAgent(`${nr.getppid}=5`);
    const seccomp: Seccomp = { ...notify("getppid"), flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] };
    if (!kernelAtLeast(5, 19)) {
      expect(() => run(seccomp, "true")).toThrow("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs Linux 5.19");
      return;
    }
    expect(run(seccomp, "echo $PPID").output).toBe("5\n");
  });
});

describe("failures end the container and say why", () => {
  test("nobody listens", () => {
    expect(run(notify("getppid"), "true").failure).toMatchObject({
      side: "host",
      kind: "seccomp.listener",
      op: "connect",
      errno: 2,
      path: file("socket"),
    });
  });

  test("the filter cannot be loaded: the container's word, not a wait for its listener", () => {
    startAgent();
    const before: ContainerStep[] = [{ kind: "caps.apply", effective: 0, permitted: 0, inheritable: 0, ambient: 0 }];
    expect(run(notify("getppid"), "true", { before }).failure).toMatchObject({
      side: "container",
      kind: "seccomp.load",
      op: "seccomp",
      errno: 13,
    });
  });
});
