import { describe, expect, test } from "@jest/globals";
import type { StepFailure } from "../native/native.ts";
import type { Plan } from "../plan/vocabulary.ts";
import { failureText, throwFailure } from "./failure-text.ts";

const plan: Plan = {
  title: "create web",
  host: [
    { kind: "cgroup.create", hierarchy: "/sys/fs/cgroup", path: "/web", cpuset: false, controllers: [], needed: [] },
    {
      kind: "hook.run",
      hook: "prestart",
      index: 0,
      path: "/bin/hook",
      args: ["hook"],
      env: [],
      directory: "/",
      timeoutMs: 1000,
      stateBefore: "{}",
      stateAfter: "",
      out: null,
      err: null,
    },
  ],
  container: [{ kind: "process.setsid" }],
};
const failure = (more: Partial<StepFailure>): StepFailure => ({
  side: "host",
  index: 0,
  kind: "cgroup.create",
  op: "mkdirat",
  errno: 2,
  detail: 0,
  durationMs: 12.4,
  path: "/web",
  text: "",
  ...more,
});

describe("messages of failed steps", () => {
  test("say plan, step, operation, path and what the kernel said", () => {
    expect(failureText(plan, failure({}))).toBe(
      "create web: step 0 cgroup.create: mkdirat /web: ENOENT (no such file or directory)",
    );
    expect(
      failureText(plan, failure({ side: "container", kind: "process.setsid", op: "setsid", errno: 1, path: "" })),
    ).toBe("create web: container step 0 process.setsid: setsid: EPERM (operation not permitted)");
  });

  test("a control file's refusal with the value that it was given", () => {
    const refused = failure({ kind: "cgroup.write", op: "write", errno: 22, path: "/c/pids.max", text: "-5" });
    expect(failureText(plan, refused)).toBe(
      'create web: step 0 cgroup.write: write /c/pids.max: EINVAL (invalid argument): "-5"',
    );
  });

  test("programs that cannot be found: runc's words, which podman and conmon match", () => {
    const lookup = (path: string, errno: number) =>
      failureText(plan, failure({ side: "container", kind: "process.lookup", op: "lookup", path, errno }));
    expect(lookup("nope", 2)).toBe('create web: exec: "nope": executable file not found in $PATH');
    expect(lookup("/no/such", 2)).toBe('create web: exec: "/no/such": stat /no/such: no such file or directory');
    expect(lookup("/etc/passwd", 13)).toBe('create web: exec: "/etc/passwd": permission denied');
    expect(lookup("/etc", 21)).toMatch(/is a directory: permission denied$/);
    // Why, where errno does not say it; docker and podman make 126 of "permission denied".
    const denied = { side: "container", kind: "process.lookup", op: "lookup", errno: 13 } as const;
    expect(failureText(plan, failure({ ...denied, path: "/bin/x", text: "it is not executable" }))).toBe(
      'create web: exec: "/bin/x": it is not executable: permission denied',
    );
    const exec = { side: "container", kind: "process.exec", op: "execve", errno: 2, path: "/bin/x" } as const;
    expect(failureText(plan, failure({ ...exec, text: "/bin/bash" }))).toBe(
      "create web: exec /bin/x: its interpreter /bin/bash: no such file or directory",
    );
  });

  test("a failed hook says which, how it ended and what it said", () => {
    const hook = { index: 1, kind: "hook.run", path: "/bin/hook" } as const;
    expect(failureText(plan, failure({ ...hook, op: "exited", detail: 3, text: "no device\n" }))).toBe(
      "create web: prestart hook 0 (/bin/hook): exited with status 3 after 12 ms; its output: no device",
    );
    expect(failureText(plan, failure({ ...hook, op: "timeout", detail: 1000 }))).toBe(
      "create web: prestart hook 0 (/bin/hook): no end within 1000 ms",
    );
    expect(failureText(plan, failure({ ...hook, op: "killed", detail: 9 }))).toBe(
      "create web: prestart hook 0 (/bin/hook): was killed by signal 9 after 12 ms",
    );
  });

  test.each([
    [{ kind: "process.spawn", op: "clone3", errno: 12 }, "memory/limit"], // ENOMEM
    [{ kind: "mount.bind", op: "open_tree", errno: 2, path: "/nope" }, "the source is not there"], // ENOENT
    [{ kind: "process.spawn", op: "clone3", errno: 105 }, "memory/limit"], // ENOBUFS
    [{ kind: "cgroup.update", op: "write", errno: 16, path: "/m/memory.limit_in_bytes" }, "uses more than that"], // EBUSY
    [{ kind: "cgroup.write", op: "write", errno: 16, path: "/m/memory.memsw.limit_in_bytes" }, "uses more than that"],
    [{ kind: "cgroup.update", op: "write", errno: 22, path: "/c/cpu.cfs_quota_us" }, "at least 1000"], // EINVAL
    [{ kind: "cgroup.write", op: "write", errno: 22, path: "/c/cpu.max" }, "at least 1000"],
    [{ kind: "cgroup.update", op: "write", errno: 34, path: "/c/cpuset.cpus" }, "cpu/online"], // ERANGE
    [{ kind: "cgroup.write", op: "write", errno: 13, path: "/c/cpuset.mems" }, "cpuset of the cgroup above"], // EACCES
    [{ kind: "cgroup.update", op: "openat2", errno: 2, path: "/m/memory.memsw.limit_in_bytes" }, "swapaccount=1"], // ENOENT
  ] as const)("of %j there is advice", (fields, advice) => {
    expect(() => throwFailure(plan, failure(fields))).toThrow(
      expect.objectContaining({ advice: expect.stringContaining(advice) }),
    );
  });

  test("advice comes along where we know some", () => {
    expect(() => throwFailure(plan, failure({ errno: 30 }))).toThrow(
      expect.objectContaining({ code: "step", advice: expect.stringContaining("not writable") }),
    );
    // tsrun-init below a filter that kills, or that forbids it to say why.
    const filtered: Plan = {
      ...plan,
      container: [{ kind: "seccomp.load", slot: "seccomp", flags: 0, listener: false, dumpable: false }],
    };
    for (const end of [
      { op: "killed", detail: 31 },
      { op: "exited", detail: 1 },
    ]) {
      const ended = failure({ kind: "sync.wait", errno: 0, path: "tsrun-init", ...end });
      expect(() => throwFailure(filtered, ended)).toThrow(
        expect.objectContaining({ advice: expect.stringContaining("sendto, recvfrom, accept4 and execve") }),
      );
      expect(() => throwFailure(plan, ended)).toThrow(expect.objectContaining({ advice: undefined }));
    }
  });
});
