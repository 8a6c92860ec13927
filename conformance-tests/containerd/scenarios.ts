import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { IMAGE } from "../busybox-image.ts";
import { type Ended, execute, FOREVER, inTerminal, nap, processes, type Scenario, until } from "../scenarios.ts";
import type { Containerd } from "./engine.ts";
import { withEvents } from "./events.ts";
import { kubelet } from "./kubelet.ts";

export const scenarios: readonly Scenario<Containerd>[] = [
  {
    name: "run prints and removes",
    run: async (engine) => {
      const ended = await engine.ok(engine.run(["--rm"], engine.id(), "echo", "hello"));
      assert.equal(ended.stdout, "hello\n");
    },
  },
  {
    name: "standard error is apart",
    run: async (engine) => {
      const ended = await engine.ok(engine.run(["--rm"], engine.id(), "sh", "-c", "echo out; echo err >&2"));
      assert.deepEqual([ended.stdout, ended.stderr], ["out\n", "err\n"]);
    },
  },
  {
    name: "standard input reaches the program",
    run: async (engine) => {
      const text = "line\n".repeat(20_000);
      const ended = await engine.ok(engine.run(["--rm"], engine.id(), "sh", "-c", "head -c 100000 | sha256sum"), {
        input: text,
      });
      const alone = await engine.ok(
        engine.run(["--rm"], engine.id(), "sh", "-c", "yes line | head -c 100000 | sha256sum"),
      );
      assert.equal(ended.stdout, alone.stdout);
    },
  },
  {
    name: "exit status",
    run: async (engine) => {
      for (const status of [0, 1, 7, 255]) {
        assert.equal(
          (await engine.ctr(engine.run(["--rm"], engine.id(), "sh", "-c", `exit ${status}`))).status,
          status,
        );
      }
    },
  },
  {
    name: "exit status after a signal",
    run: async (engine) => {
      // Not pid 1, whose own signals the kernel holds back: its child ends so, and the shell repeats it.
      const ended = await engine.ctr(engine.run(["--rm"], engine.id(), "sh", "-c", "sh -c 'kill -SEGV $$'; exit $?"));
      assert.equal(ended.status, 128 + 11);
      const id = await engine.detached([], ...FOREVER);
      const waiting = engine.ctr(["task", "attach", id]);
      await nap(200);
      await engine.ok(["task", "kill", "--signal", "KILL", id]);
      assert.equal((await waiting).status, 128 + 9);
      await engine.remove(id);
    },
  },
  {
    name: "a program that is not there",
    run: async (engine) => {
      const id = engine.id();
      const ended = await engine.ctr(engine.run(["--rm"], id, "no-such-program"));
      assert.equal(ended.status, 1);
      assert.match(ended.stderr, /failed to create (?:shim )?task.*executable file .*not found in \$PATH/s);
    },
  },
  {
    name: "detached: running, killed, deleted",
    run: async (engine) => {
      const id = await engine.detached([], ...FOREVER);
      assert.equal(await engine.status(id), "RUNNING");
      assert.match((await engine.ctr(["task", "delete", id])).stderr, /RUNNING|running/);
      await engine.ok(["task", "kill", "--signal", "KILL", id]);
      await until("the task to stop", async () => (await engine.status(id)) === "STOPPED");
      await engine.ok(["task", "delete", id]);
      assert.equal(await engine.status(id), undefined);
      await engine.ok(["container", "delete", id]);
    },
  },
  {
    name: "a task of the same container again",
    run: async (engine) => {
      const id = await engine.detached([], ...FOREVER);
      await engine.ok(["task", "kill", "--signal", "KILL", id]);
      await until("the task to stop", async () => (await engine.status(id)) === "STOPPED");
      await engine.ok(["task", "delete", id]);
      await engine.ok(["task", "start", "--detach", "--fifo-dir", join(engine.work, "fifo"), id]);
      assert.equal(await engine.status(id), "RUNNING");
      await engine.remove(id);
    },
  },
  {
    name: "signals by name and number",
    run: async (engine) => {
      for (const [given, name] of [
        ["SIGUSR1", "USR1"],
        ["12", "USR2"],
        ["SIGTERM", "TERM"],
      ] as const) {
        const id = engine.id();
        const running = engine.ctr(
          engine.run(
            ["--rm"],
            id,
            "sh",
            "-c",
            `trap 'echo ${name}; exit 5' ${name}; touch /tmp/ready; while :; do sleep 0.05; done`,
          ),
        );
        await until(
          "the trap",
          async () => (await engine.ctr(engine.exec([], id, "test", "-e", "/tmp/ready"))).status === 0,
        );
        await engine.ok(["task", "kill", "--signal", given, id]);
        const { status, stdout } = await running;
        assert.deepEqual([status, stdout], [5, `${name}\n`]);
      }
    },
  },
  {
    name: "kill --all reaches every process",
    run: async (engine) => {
      const id = await engine.detached([], "sh", "-c", "for i in 1 2 3; do sleep 12345 & done; wait");
      const sleepers = (): number => processes().filter(({ command }) => command === "sleep 12345").length;
      await until("the children", () => sleepers() === 3);
      await engine.ok(["task", "kill", "--all", "--signal", "KILL", id]);
      await until("the end of all", () => sleepers() === 0);
      // A second kill would find nobody.
      await until("the task to stop", async () => (await engine.status(id)) === "STOPPED");
      await engine.remove(id);
    },
  },
  {
    name: "exec: output, status, directory, user",
    run: async (engine) => {
      const id = await engine.detached([], ...FOREVER);
      const ended = await engine.ctr(
        engine.exec(["--cwd", "/tmp", "--user", "65534"], id, "sh", "-c", "pwd; id -u; read end; exit 3"),
        { answer: { after: /65534\n/, text: "\n" } },
      );
      assert.deepEqual([ended.status, ended.stdout], [3, "/tmp\n65534\n"]);
      await engine.remove(id);
    },
  },
  {
    name: "exec: standard input",
    run: async (engine) => {
      const id = await engine.detached([], ...FOREVER);
      const ended = await engine.ok(
        engine.exec([], id, "sh", "-c", "echo ready; read line; echo got $line >/tmp/got"),
        {
          answer: { after: /ready\n/, text: "words\n" },
        },
      );
      assert.equal(ended.stdout, "ready\n");
      const got = engine.exec([], id, "sh", "-c", "cat /tmp/got; read end");
      assert.equal((await engine.ok(got, { answer: { after: /\n/, text: "\n" } })).stdout, "got words\n");
      await engine.remove(id);
    },
  },
  {
    name: "exec: a program that is not there",
    run: async (engine) => {
      const id = await engine.detached([], ...FOREVER);
      const ended = await engine.ctr(engine.exec([], id, "no-such-program"));
      assert.equal(ended.status, 1);
      assert.match(ended.stderr, /executable file .*not found in \$PATH/);
      assert.equal(await engine.status(id), "RUNNING");
      await engine.remove(id);
    },
  },
  {
    name: "exec: killed by its id",
    run: async (engine) => {
      const id = await engine.detached([], ...FOREVER);
      const running = engine.ctr([
        "task",
        "exec",
        "--fifo-dir",
        join(engine.work, "fifo"),
        "--exec-id",
        "victim",
        id,
        "sleep",
        "23456",
      ]);
      await until("the exec", () => processes().some(({ command }) => command === "sleep 23456"));
      await engine.ok(["task", "kill", "--exec-id", "victim", "--signal", "KILL", id]);
      assert.equal((await running).status, 137);
      assert.equal(await engine.status(id), "RUNNING");
      await engine.remove(id);
    },
  },
  {
    name: "exec: twenty at once",
    run: async (engine) => {
      const id = await engine.detached([], ...FOREVER);
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          engine.ok(engine.exec([], id, "sh", "-c", `echo ${i}; read end`), { answer: { after: /\n/, text: "\n" } }),
        ),
      );
      assert.equal(all.map(({ stdout }) => stdout.trim()).join(" "), Array.from({ length: 20 }, (_, i) => i).join(" "));
      await engine.remove(id);
    },
  },
  {
    name: "pause and resume",
    needs: ["pause", "resume"],
    run: async (engine) => {
      const shared = join(engine.work, "counter");
      mkdirSync(shared);
      const id = await engine.detached(
        ["--mount", `type=bind,src=${shared},dst=/shared,options=rbind:rw`],
        "sh",
        "-c",
        "n=0; while :; do n=$((n + 1)); echo $n >/shared/n; sleep 0.02; done",
      );
      const counter = (): string => (existsSync(join(shared, "n")) ? readFileSync(join(shared, "n"), "utf8") : "");
      await until("the counter", () => counter() !== "");
      await engine.ok(["task", "pause", id]);
      assert.equal(await engine.status(id), "PAUSED");
      const stood = counter();
      await nap(300);
      assert.equal(counter(), stood);
      await engine.ok(["task", "resume", id]);
      assert.equal(await engine.status(id), "RUNNING");
      await until("the counter to go on", () => counter() !== stood && counter() !== "");
      await engine.remove(id);
    },
  },
  {
    name: "processes of a task",
    needs: ["ps"],
    run: async (engine) => {
      const id = await engine.detached([], "sh", "-c", "sleep 34567 & wait");
      await until("the child", () => processes().some(({ command }) => command === "sleep 34567"));
      const { stdout } = await engine.ok(["task", "ps", id]);
      const pids = stdout
        .split("\n")
        .slice(1)
        .map((line) => Number(line.trim().split(/\s+/)[0]))
        .filter((pid) => pid > 0);
      const child = processes().find(({ command }) => command === "sleep 34567")?.pid;
      assert.deepEqual(new Set(pids), new Set([await engine.pid(id), child]));
      await engine.remove(id);
    },
  },
  {
    name: "metrics",
    run: async (engine) => {
      const id = await engine.detached([], ...FOREVER);
      const { processes, memoryBytes } = await engine.metrics(id);
      assert.equal(processes, 1);
      assert.ok(memoryBytes > 0);
      await engine.remove(id);
    },
  },
  {
    name: "a memory limit",
    run: async (engine) => {
      const id = await engine.detached(["--memory-limit", String(64 << 20)], ...FOREVER);
      assert.equal((await engine.metrics(id)).memoryLimitBytes, 64 << 20);
      await engine.remove(id);
    },
  },
  {
    name: "out of memory: killed, and an event",
    run: (engine) =>
      withEvents(engine, async (events) => {
        // The shim watches the cgroup when start has returned, so the program waits for our word.
        const program = "until [ -e /tmp/go ]; do sleep 0.05; done; tail /dev/zero & wait $!";
        const id = await engine.detached(["--memory-limit", String(16 << 20)], "sh", "-c", program);
        await engine.ok(engine.exec([], id, "touch", "/tmp/go"));
        await until("the end", async () => (await engine.status(id)) === "STOPPED");
        await until("the event", () => events.text.includes("/tasks/oom"));
        assert.match(events.text, /\/tasks\/exit .*"exit_status":137/);
        await engine.remove(id);
      }),
  },
  {
    name: "the events of a life",
    run: (engine) =>
      withEvents(engine, async (events) => {
        await engine.ctr(engine.run(["--rm"], engine.id(), "sh", "-c", "exit 9"));
        const topics = (): string[] => [...events.text.matchAll(/ \/tasks\/(\w+) /g)].map(([, topic]) => topic ?? "");
        await until("the events", () => topics().includes("delete"));
        assert.deepEqual(topics(), ["create", "start", "exit", "delete"]);
        assert.match(events.text, /\/tasks\/exit .*"exit_status":9/);
      }),
  },
  {
    name: "limits of processors",
    run: async (engine) => {
      const id = await engine.detached(
        ["--cpu-quota", "50000", "--cpu-period", "100000", "--cpu-shares", "512"],
        ...FOREVER,
      );
      const cgroup = readFileSync(`/proc/${await engine.pid(id)}/cgroup`, "utf8");
      const v1 = /^\d+:(?:[\w,]*,)?cpu(?:,[\w,]*)?:(.*)$/m.exec(cgroup)?.[1];
      const at = v1 === undefined ? `/sys/fs/cgroup${/^0::(.*)$/m.exec(cgroup)?.[1]}` : `/sys/fs/cgroup/cpu${v1}`;
      const read = (file: string): string => readFileSync(join(at, file), "utf8").trim();
      if (v1 === undefined) assert.equal(read("cpu.max"), "50000 100000");
      else assert.deepEqual([read("cpu.cfs_quota_us"), read("cpu.shares")], ["50000", "512"]);
      await engine.remove(id);
    },
  },
  {
    name: "a terminal",
    run: async (engine) => {
      // ctr tells the size after the start.
      const wait = "while [ \"$(stty size 2>&1)\" != '24 80' ]; do sleep 0.05; done";
      const ended = await terminal(
        engine,
        engine.run(["--rm", "--tty"], engine.id(), "sh", "-c", `tty; ${wait}; stty size; read end`),
        /24 80/,
      );
      assert.match(ended.stdout, /\/dev\/(?:pts\/0|console)\r*\n24 80\r*\n/);
      assert.equal(ended.status, 0);
    },
  },
  {
    name: "exec in a terminal",
    run: async (engine) => {
      const id = await engine.detached([], ...FOREVER);
      const ended = await terminal(
        engine,
        engine.exec(["--tty"], id, "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && tty; read end; exit 4"),
        /pts/,
      );
      assert.match(ended.stdout, /\/dev\/pts\/\d/);
      assert.equal(ended.status, 4);
      await engine.remove(id);
    },
  },
  {
    name: "a user namespace",
    run: async (engine) => {
      const ended = await engine.ok(
        engine.run(
          ["--rm", "--uidmap", "0:100000:65536", "--gidmap", "0:200000:65536"],
          engine.id(),
          "sh",
          "-c",
          "cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '; id -u; stat -c %u:%g /bin/busybox; touch /tmp/mine",
        ),
      );
      assert.equal(ended.stdout, " 0 100000 65536\n 0 200000 65536\n0\n0:0\n");
    },
  },
  {
    name: "the default seccomp profile",
    run: async (engine) => {
      const probe = ["sh", "-c", "grep ^Seccomp: /proc/self/status; unshare -U true 2>&1; echo $?"];
      const ended = await engine.ok(engine.run(["--rm", "--seccomp"], engine.id(), ...probe));
      assert.match(ended.stdout, /^Seccomp:\t2\n.*Operation not permitted\n1\n$/s);
      assert.match((await engine.ok(engine.run(["--rm"], engine.id(), ...probe))).stdout, /^Seccomp:\t0\n/);
    },
  },
  {
    name: "a seccomp profile from a file",
    run: async (engine) => {
      const profile = join(engine.work, "profile.json");
      writeFileSync(
        profile,
        JSON.stringify({
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }],
        }),
      );
      const ended = await engine.ctr(
        engine.run(["--rm", "--seccomp", "--seccomp-profile", profile], engine.id(), "mkdir", "/tmp/x"),
      );
      assert.equal(ended.status, 1);
      assert.match(ended.stderr, /Operation not permitted/);
    },
  },
  {
    name: "capabilities",
    run: async (engine) => {
      const bounding = async (...flags: string[]): Promise<bigint> => {
        const { stdout } = await engine.ok(
          engine.run(["--rm", ...flags], engine.id(), "grep", "CapBnd", "/proc/self/status"),
        );
        return BigInt(`0x${stdout.split("\t")[1]?.trim()}`);
      };
      const CHOWN = 1n << 0n;
      const SYS_PTRACE = 1n << 19n;
      const usual = await bounding();
      assert.equal(await bounding("--cap-drop", "CAP_CHOWN"), usual & ~CHOWN);
      assert.equal(await bounding("--cap-add", "CAP_SYS_PTRACE"), usual | SYS_PTRACE);
    },
  },
  {
    name: "no_new_privs",
    run: async (engine) => {
      const probe = ["grep", "NoNewPrivs", "/proc/self/status"];
      assert.equal((await engine.ok(engine.run(["--rm"], engine.id(), ...probe))).stdout, "NoNewPrivs:\t1\n");
      assert.equal(
        (await engine.ok(engine.run(["--rm", "--allow-new-privs"], engine.id(), ...probe))).stdout,
        "NoNewPrivs:\t0\n",
      );
    },
  },
  {
    name: "a read-only root and a mount",
    run: async (engine) => {
      const shared = join(engine.work, "shared");
      mkdirSync(shared);
      const mount = ["--mount", `type=bind,src=${shared},dst=/shared,options=rbind:rw`];
      const ended = await engine.ok(
        engine.run(
          ["--rm", "--read-only", ...mount],
          engine.id(),
          "sh",
          "-c",
          "touch /x 2>&1; echo written >/shared/file",
        ),
      );
      assert.match(ended.stdout, /Read-only file system/);
      assert.equal(readFileSync(join(shared, "file"), "utf8"), "written\n");
    },
  },
  {
    name: "environment and working directory",
    run: async (engine) => {
      const ended = await engine.ok(
        engine.run(["--rm", "--env", "A=b c", "--cwd", "/usr"], engine.id(), "sh", "-c", 'echo "$A"; pwd'),
      );
      assert.equal(ended.stdout, "b c\n/usr\n");
    },
  },
  {
    name: "namespaces of another container",
    run: async (engine) => {
      const id = await engine.detached([], ...FOREVER);
      const namespaces = `/proc/${await engine.pid(id)}/ns`;
      const program = ["sh", "-c", "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc"];
      const joined = await engine.ok(
        engine.run(
          ["--rm", "--with-ns", `network:${namespaces}/net`, "--with-ns", `ipc:${namespaces}/ipc`],
          engine.id(),
          ...program,
        ),
      );
      assert.equal(
        joined.stdout,
        `${readlinkSync(`${namespaces}/net`)}
${readlinkSync(`${namespaces}/ipc`)}
`,
      );
      await engine.remove(id);
    },
  },
  {
    name: "the host's network",
    run: async (engine) => {
      const ended = await engine.ok(
        engine.run(["--rm", "--net-host"], engine.id(), "sh", "-c", "ls /sys/class/net | sort"),
      );
      const host = await engine.ok(engine.run(["--rm"], engine.id(), "sh", "-c", "ls /sys/class/net"));
      assert.equal(host.stdout, "lo\n");
      assert.match(ended.stdout, /lo\n/);
    },
  },
  {
    name: "a privileged container",
    run: async (engine) => {
      const ended = await engine.ok(
        engine.run(
          ["--rm", "--privileged"],
          engine.id(),
          "sh",
          "-c",
          "mkdir /m && mount -t tmpfs none /m && grep -c ' /m tmpfs' /proc/mounts",
        ),
      );
      assert.equal(ended.stdout, "1\n");
    },
  },
  {
    name: "a device",
    run: async (engine) => {
      // One that the engine does not give to every container; opening it changes nothing.
      const device = ["/dev/fuse", "/dev/net/tun", "/dev/loop-control", "/dev/rtc0"].find(existsSync);
      assert.ok(device !== undefined, "no device to try with");
      const probe = ["sh", "-c", `test -c ${device} && : <${device} && stat -c %t:%T ${device}`];
      const ended = await engine.ok(engine.run(["--rm", "--device", device], engine.id(), ...probe));
      assert.equal(ended.stdout, (await execute("stat", ["-c", "%t:%T", device])).stdout);
      assert.notEqual((await engine.ctr(engine.run(["--rm"], engine.id(), ...probe))).status, 0);
    },
  },
  {
    name: "a pid file",
    run: async (engine) => {
      const file = join(engine.work, "pid");
      const id = await engine.detached(["--pid-file", file], ...FOREVER);
      assert.equal(Number(readFileSync(file, "utf8")), await engine.pid(id));
      await engine.remove(id);
    },
  },
  {
    name: "a shim that is killed",
    run: async (engine) => {
      const id = await engine.detached([], "sleep", "45678");
      const shim = processes().find(
        ({ command }) => command.includes("containerd-shim") && command.includes(`-id ${id} `),
      );
      assert.ok(shim !== undefined, "no shim");
      process.kill(shim.pid, "SIGKILL");
      // containerd runs the runtime's delete in the shim's place.
      await until("the container to go", () => processes().every(({ command }) => command !== "sleep 45678"));
      await until("the task to go", async () => [undefined, "STOPPED"].includes(await engine.status(id)));
      await engine.ctr(["task", "delete", id]);
      await engine.ok(["container", "delete", id]);
    },
  },
  {
    name: "fifty containers at once",
    run: async (engine) => {
      const numbers = Array.from({ length: 50 }, (_, i) => i);
      const all = await Promise.all(
        numbers.map((i) => engine.ok(engine.run(["--rm"], engine.id(), "sh", "-c", `echo ${i}`))),
      );
      assert.equal(all.map(({ stdout }) => stdout.trim()).join(" "), numbers.join(" "));
    },
  },
  {
    name: "the runtime from config.toml (shim v1)",
    run: async (engine) => {
      const id = engine.id();
      const v1 = ["run", "--runtime", "io.containerd.runtime.v1.linux", "--fifo-dir", join(engine.work, "fifo")];
      const ended = await engine.ctr([...v1, "--rm", IMAGE, id, "sh", "-c", "echo old; exit 6"]);
      assert.deepEqual([ended.status, ended.stdout], [6, "old\n"]);
    },
  },
  ...kubelet,
];

function terminal(engine: Containerd, args: readonly string[], after: RegExp): Promise<Ended> {
  return inTerminal(["ctr", "--address", join(engine.work, "containerd.sock"), ...args], { after, text: "\n" });
}
