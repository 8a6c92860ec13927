import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readlinkSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { IMAGE } from "../busybox-image.ts";
import { cgroupFile, execute, gone, inTerminal, nap, processes, type Scenario, until } from "../scenarios.ts";
import type { Podman } from "./engine.ts";

const FOREVER = ["sleep", "100000"] as const;

/** The lines of /proc/self/status that a program in a new container sees, by name. */
async function status(engine: Podman, flags: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const text = await engine.ok(engine.run(["--rm", ...flags], "cat", "/proc/self/status"));
  return Object.fromEntries(text.split("\n").map((line) => line.split(/:\s*/, 2)));
}

/** A file of the container's cgroup: `v1` in the controller's hierarchy, or `v2`. */
async function cgroupOf(engine: Podman, name: string, controller: string, v1: string, v2: string): Promise<string> {
  return cgroupFile(Number(await engine.inspect(name, "{{.State.Pid}}")), controller, v1, v2);
}

export const scenarios: readonly Scenario<Podman>[] = [
  {
    name: "run prints and removes",
    run: async (engine) => {
      assert.equal(await engine.ok(engine.run(["--rm"], "echo", "hello")), "hello\n");
      assert.equal(await engine.ok(["ps", "--all", "--quiet"]), "");
    },
  },
  {
    name: "exit status",
    run: async (engine) => {
      for (const status of [0, 1, 7, 255]) {
        assert.equal((await engine.podman(engine.run(["--rm"], "sh", "-c", `exit ${status}`))).status, status);
      }
    },
  },
  {
    name: "127 for a program that is not there, 126 for one that cannot be run",
    run: async (engine) => {
      const missing = await engine.podman(engine.run(["--rm"], "no-such-program"));
      assert.equal(missing.status, 127);
      assert.match(missing.stderr, /executable file .*not found in \$PATH/);
      assert.equal((await engine.podman(engine.run(["--rm"], "/no/such/program"))).status, 127);
      assert.equal((await engine.podman(engine.run(["--rm"], "/etc/passwd"))).status, 126);
      assert.equal((await engine.podman(engine.run(["--rm"], "/etc"))).status, 126);
    },
  },
  {
    name: "standard input reaches the program",
    run: async (engine) => {
      const input = "line\n".repeat(20_000);
      assert.equal(await engine.ok(engine.run(["--rm", "--interactive"], "wc", "-c"), { input }), `${input.length}\n`);
    },
  },
  {
    name: "detached: logs, state, stop, remove",
    run: async (engine) => {
      const name = await engine.detached(
        [],
        "sh",
        "-c",
        "echo out; echo err >&2; trap 'exit 3' TERM; while :; do sleep 0.05; done",
      );
      await until("the log", async () => (await engine.ok(["logs", name])) === "out\n");
      assert.equal((await engine.podman(["logs", name])).stderr, "err\n");
      assert.equal(await engine.inspect(name, "{{.State.Status}} {{.State.Running}}"), "running true");
      await engine.ok(["stop", name]);
      assert.equal(await engine.inspect(name, "{{.State.Status}} {{.State.ExitCode}}"), "exited 3");
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "stop kills who does not listen",
    run: async (engine) => {
      const name = await engine.detached([], "sh", "-c", "trap '' TERM; sleep 12345");
      await engine.ok(["stop", "--time", "1", name]);
      assert.equal(await engine.inspect(name, "{{.State.ExitCode}}"), "137");
      await gone("sleep 12345");
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "create, init, start, wait",
    run: async (engine) => {
      const name = engine.name();
      await engine.ok(["create", "--network", "none", "--name", name, IMAGE, "sh", "-c", "exit 9"]);
      assert.equal(await engine.inspect(name, "{{.State.Status}}"), "created");
      await engine.ok(["init", name]);
      assert.equal(await engine.inspect(name, "{{.State.Status}}"), "initialized");
      await engine.ok(["start", name]);
      assert.equal(await engine.ok(["wait", name]), "9\n");
      // Started again: a new create of the same container.
      await engine.ok(["start", name]);
      assert.equal(await engine.ok(["wait", name]), "9\n");
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "an initialized container is removed",
    run: async (engine) => {
      const name = engine.name();
      await engine.ok(["create", "--network", "none", "--name", name, IMAGE, "true"]);
      await engine.ok(["init", name]);
      await engine.ok(["rm", "--force", name]);
    },
  },
  {
    name: "restart",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      const before = await engine.inspect(name, "{{.State.Pid}}");
      await engine.ok(["restart", "--time", "0", name]);
      assert.notEqual(await engine.inspect(name, "{{.State.Pid}}"), before);
      assert.equal(await engine.inspect(name, "{{.State.Status}}"), "running");
      await engine.remove(name);
    },
  },
  {
    name: "a restart policy",
    run: async (engine) => {
      const name = await engine.detached(["--restart", "on-failure:3"], "sh", "-c", "echo once; exit 1");
      await until(
        "three restarts",
        async () => (await engine.inspect(name, "{{.RestartCount}} {{.State.Status}}")) === "3 exited",
      );
      assert.equal(await engine.ok(["logs", name]), "once\n".repeat(4));
      await engine.remove(name);
    },
  },
  {
    name: "signals",
    run: async (engine) => {
      for (const signal of ["USR1", "12", "SIGTERM"]) {
        const name = await engine.detached(
          [],
          "sh",
          "-c",
          'for s in USR1 USR2 TERM; do trap "echo got $s; exit 5" $s; done; echo ready; while :; do sleep 0.05; done',
        );
        await until("the traps", async () => (await engine.ok(["logs", name])) === "ready\n");
        await engine.ok(["kill", "--signal", signal, name]);
        assert.equal(await engine.ok(["wait", name]), "5\n");
        const expected = { USR1: "USR1", 12: "USR2", SIGTERM: "TERM" }[signal];
        assert.equal(await engine.ok(["logs", name]), `ready\ngot ${expected}\n`);
        await engine.ok(["rm", name]);
      }
    },
  },
  {
    name: "exec: output, status, directory, user, environment",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      const flags = ["--workdir", "/tmp", "--user", "65534:7", "--env", "A=b c"];
      const ended = await engine.podman(["exec", ...flags, name, "sh", "-c", 'pwd; id -u; id -g; echo "$A"; exit 3']);
      assert.deepEqual([ended.status, ended.stdout], [3, "/tmp\n65534\n7\nb c\n"]);
      await engine.remove(name);
    },
  },
  {
    name: "exec: 127 and 126",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      assert.equal((await engine.podman(["exec", name, "no-such-program"])).status, 127);
      assert.equal((await engine.podman(["exec", name, "/etc/passwd"])).status, 126);
      await engine.remove(name);
    },
  },
  {
    name: "exec: standard input, detached, in a terminal",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      assert.equal(await engine.ok(["exec", "--interactive", name, "cat"], { input: "words\n" }), "words\n");
      await engine.ok(["exec", "--detach", name, "sh", "-c", "echo done >/tmp/file"]);
      await until(
        "the file",
        async () => (await engine.podman(["exec", name, "cat", "/tmp/file"])).stdout === "done\n",
      );
      const command = engine.command([
        "exec",
        "--tty",
        "--interactive",
        name,
        "sh",
        "-c",
        "test -t 0 && tty; read end; exit 4",
      ]);
      const ended = await inTerminal(command, { after: /pts/, text: "\n" }, engine.environment());
      assert.match(ended.stdout, /\/dev\/pts\/\d/);
      assert.equal(ended.status, 4);
      await engine.remove(name);
    },
  },
  {
    name: "exec: privileged, and as the container is",
    run: async (engine) => {
      const name = await engine.detached(["--cap-drop", "all"], ...FOREVER);
      const effective = async (...flags: string[]): Promise<string | undefined> =>
        (await engine.ok(["exec", ...flags, name, "grep", "CapEff", "/proc/self/status"])).split("\t")[1]?.trim();
      assert.equal(await effective(), "0000000000000000");
      assert.notEqual(await effective("--privileged"), "0000000000000000");
      await engine.remove(name);
    },
  },
  {
    name: "exec: ten at once",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      const numbers = Array.from({ length: 10 }, (_, i) => i);
      const all = await Promise.all(numbers.map((i) => engine.ok(["exec", name, "echo", String(i)])));
      assert.equal(all.map((text) => text.trim()).join(" "), numbers.join(" "));
      await engine.remove(name);
    },
  },
  {
    name: "attach",
    run: async (engine) => {
      const name = engine.name();
      await engine.ok([
        "create",
        "--network",
        "none",
        "--interactive",
        "--name",
        name,
        IMAGE,
        "sh",
        "-c",
        "read x; echo got $x; exit 2",
      ]);
      const ended = await engine.podman(["start", "--attach", "--interactive", name], { input: "words\n" });
      assert.deepEqual([ended.status, ended.stdout], [2, "got words\n"]);
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "a terminal",
    run: async (engine) => {
      const wait = "while [ \"$(stty size 2>&1)\" != '24 80' ]; do sleep 0.05; done";
      const command = engine.command(
        engine.run(["--rm", "--tty", "--interactive"], "sh", "-c", `tty; ${wait}; stty size; read end; exit 6`),
      );
      const ended = await inTerminal(command, { after: /24 80/, text: "\n" }, engine.environment());
      assert.match(ended.stdout, /\/dev\/(?:pts\/0|console)\r*\n24 80\r*\n/);
      assert.equal(ended.status, 6);
    },
  },
  {
    name: "a terminal in the background",
    run: async (engine) => {
      const name = await engine.detached(["--tty"], "sh", "-c", "tty; sleep 100000");
      await until("the terminal", async () => /\/dev\/(pts\/0|console)/.test(await engine.ok(["logs", name])));
      await engine.remove(name);
    },
  },
  {
    name: "pause and unpause",
    needs: ["pause", "resume"],
    run: async (engine) => {
      const name = await engine.detached([], "sh", "-c", "n=0; while :; do n=$((n + 1)); echo $n; sleep 0.02; done");
      await until("the counter", async () => (await engine.ok(["logs", name])) !== "");
      await engine.ok(["pause", name]);
      assert.equal(await engine.inspect(name, "{{.State.Status}}"), "paused");
      const stood = await engine.ok(["logs", name]);
      await nap(300);
      assert.equal(await engine.ok(["logs", name]), stood);
      await engine.ok(["unpause", name]);
      await until("the counter to go on", async () => (await engine.ok(["logs", name])) !== stood);
      await engine.remove(name);
    },
  },
  {
    name: "removal of a paused container",
    needs: ["pause", "resume"],
    run: async (engine) => {
      const name = await engine.detached([], "sleep", "23456");
      await engine.ok(["pause", name]);
      await engine.remove(name);
      await gone("sleep 23456");
    },
  },
  {
    name: "update",
    needs: ["update"],
    run: async (engine) => {
      const name = await engine.detached(["--memory", "64m"], ...FOREVER);
      await engine.ok(["update", "--memory", "32m", name]);
      assert.equal(await cgroupOf(engine, name, "memory", "memory.limit_in_bytes", "memory.max"), String(32 << 20));
      await engine.remove(name);
    },
  },
  {
    name: "top and stats",
    run: async (engine) => {
      const name = await engine.detached([], "sleep", "34567");
      assert.match(await engine.ok(["top", name, "pid", "args"]), /1 +sleep 34567/);
      const stats = await engine.ok(["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", name]);
      assert.equal(stats, `${name} 1\n`);
      await engine.remove(name);
    },
  },
  {
    name: "a memory limit, and what it does",
    run: async (engine) => {
      const name = await engine.detached(
        ["--memory", "16m", "--memory-swap", "16m"],
        "sh",
        "-c",
        "until [ -e /tmp/go ]; do sleep 0.05; done; tail /dev/zero",
      );
      assert.equal(await cgroupOf(engine, name, "memory", "memory.limit_in_bytes", "memory.max"), String(16 << 20));
      await engine.ok(["exec", name, "touch", "/tmp/go"]);
      assert.equal(await engine.ok(["wait", name]), "137\n");
      // conmon watches for it, and may look too late when the cgroup goes with the process.
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "limits of processors and processes",
    run: async (engine) => {
      const name = await engine.detached(
        ["--cpu-quota", "50000", "--cpu-shares", "512", "--pids-limit", "32"],
        ...FOREVER,
      );
      assert.match(await cgroupOf(engine, name, "cpu", "cpu.cfs_quota_us", "cpu.max"), /^50000/);
      assert.equal(await cgroupOf(engine, name, "pids", "pids.max", "pids.max"), "32");
      await engine.remove(name);
    },
  },
  {
    name: "capabilities",
    run: async (engine) => {
      const CHOWN = 1n << 0n;
      const SYS_PTRACE = 1n << 19n;
      const bounding = async (...flags: string[]): Promise<bigint> =>
        BigInt(`0x${(await status(engine, flags)).CapBnd}`);
      const usual = await bounding();
      assert.equal(await bounding("--cap-drop", "chown"), usual & ~CHOWN);
      assert.equal(await bounding("--cap-add", "sys_ptrace"), usual | SYS_PTRACE);
      assert.equal(await bounding("--cap-drop", "all"), 0n);
    },
  },
  {
    name: "no_new_privs and seccomp",
    run: async (engine) => {
      const usual = await status(engine, []);
      assert.deepEqual([usual.NoNewPrivs, usual.Seccomp], ["0", "2"]);
      assert.equal((await status(engine, ["--security-opt", "no-new-privileges"])).NoNewPrivs, "1");
      assert.equal((await status(engine, ["--security-opt", "seccomp=unconfined"])).Seccomp, "0");
      const profile = join(engine.work, "profile.json");
      writeFileSync(
        profile,
        JSON.stringify({
          defaultAction: "SCMP_ACT_ALLOW",
          syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }],
        }),
      );
      const ended = await engine.podman(
        engine.run(["--rm", "--security-opt", `seccomp=${profile}`], "mkdir", "/tmp/x"),
      );
      assert.match(ended.stderr, /Operation not permitted/);
    },
  },
  {
    name: "a privileged container",
    run: async (engine) => {
      const program =
        "mkdir /m && mount -t tmpfs none /m && grep -c ' /m tmpfs' /proc/mounts; ls /sys/fs/cgroup >/dev/null && echo ok";
      assert.equal(await engine.ok(engine.run(["--rm", "--privileged"], "sh", "-c", program)), "1\nok\n");
    },
  },
  {
    name: "a read-only root",
    run: async (engine) => {
      const program = "touch /x 2>&1; touch /tmp/y && touch /run/z && echo ok";
      assert.match(
        await engine.ok(engine.run(["--rm", "--read-only"], "sh", "-c", program)),
        /Read-only file system\nok\n$/,
      );
    },
  },
  {
    name: "masked and read-only paths",
    run: async (engine) => {
      const masked = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"].filter(existsSync);
      assert.ok(masked.length > 0);
      const program = `cat ${masked.join(" ")}; ls -A /sys/firmware; echo 1 >/proc/sys/vm/swappiness`;
      const ended = await engine.podman(engine.run(["--rm"], "sh", "-c", program));
      assert.equal(ended.stdout, "");
      assert.match(ended.stderr, /^[^\n]*Read-only file system\n$/);
    },
  },
  {
    name: "volumes: folders of the host, read-only, named, tmpfs",
    run: async (engine) => {
      const shared = join(engine.work, "shared");
      mkdirSync(shared);
      const program =
        "echo written >/rw/file; touch /ro/x 2>&1; echo named >/named/file; grep -c ' /tmpfs tmpfs .*size=1024k' /proc/mounts";
      const flags = ["-v", `${shared}:/rw`, "-v", `${shared}:/ro:ro`, "-v", "data:/named", "--tmpfs", "/tmpfs:size=1m"];
      assert.match(await engine.ok(engine.run(["--rm", ...flags], "sh", "-c", program)), /Read-only file system\n1\n$/);
      assert.equal(readFileSync(join(shared, "file"), "utf8"), "written\n");
      assert.equal(await engine.ok(engine.run(["--rm", "-v", "data:/elsewhere"], "cat", "/elsewhere/file")), "named\n");
      await engine.ok(["volume", "rm", "data"]);
    },
  },
  {
    name: "volumes: one file, propagation, no exec",
    run: async (engine) => {
      const file = join(engine.work, "one-file");
      writeFileSync(file, "content\n");
      const folder = join(engine.work, "noexec");
      mkdirSync(folder);
      const flags = ["-v", `${file}:/a/new/path:ro`, "-v", `${folder}:/n:noexec,nosuid,nodev,rslave`];
      const text = await engine.ok(
        engine.run(["--rm", ...flags], "sh", "-c", "cat /a/new/path; grep ' /n ' /proc/self/mountinfo"),
      );
      assert.match(text, /^content\n.* \/n rw,nosuid,nodev,noexec.*\n$/);
    },
  },
  {
    name: "a user namespace by maps",
    run: async (engine) => {
      const flags = ["--rm", "--uidmap", "0:300000:65536", "--gidmap", "0:400000:65536"];
      const program =
        "tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map; id -u; stat -c %u:%g /bin/busybox; touch /mine && echo ok";
      assert.equal(
        await engine.ok(engine.run(flags, "sh", "-c", program)),
        " 0 300000 65536\n 0 400000 65536\n0\n0:0\nok\n",
      );
    },
  },
  {
    name: "a user namespace chosen by podman",
    run: async (engine) => {
      const first = await engine.detached(["--userns", "auto"], ...FOREVER);
      const second = await engine.detached(["--userns", "auto:size=8192"], ...FOREVER);
      const map = async (name: string): Promise<number[]> =>
        (await engine.ok(["exec", name, "cat", "/proc/self/uid_map"])).trim().split(/\s+/).map(Number);
      const [, from, size] = await map(first);
      const [, other, otherSize] = await map(second);
      assert.equal(otherSize, 8192);
      assert.ok((from ?? 0) + (size ?? 0) <= (other ?? 0) || (other ?? 0) + 8192 <= (from ?? 0), "the maps overlap");
      assert.equal(await engine.ok(["exec", second, "sh", "-c", "touch /mine && stat -c %u /mine"]), "0\n");
      await engine.remove(first);
      await engine.remove(second);
    },
  },
  {
    name: "user, groups, umask",
    run: async (engine) => {
      const flags = ["--rm", "--user", "1234:2345", "--group-add", "7", "--umask", "0077"];
      assert.equal(
        await engine.ok(engine.run(flags, "sh", "-c", "id -u; id -g; id -G; umask")),
        "1234\n2345\n2345 7\n0077\n",
      );
    },
  },
  {
    name: "host name, environment, directory",
    run: async (engine) => {
      const flags = ["--rm", "--hostname", "testname", "--env", "A=b c", "--workdir", "/usr"];
      const program = 'hostname; echo "$A"; pwd; grep -c testname /etc/hosts';
      assert.match(await engine.ok(engine.run(flags, "sh", "-c", program)), /^testname\nb c\n\/usr\n/);
    },
  },
  {
    name: "limits of resources and sysctls",
    run: async (engine) => {
      const flags = [
        "--rm",
        "--ulimit",
        "nofile=100:200",
        "--ulimit",
        "nproc=300:400",
        "--sysctl",
        "kernel.msgmax=4096",
        "--shm-size",
        "1m",
        "--oom-score-adj",
        "300",
      ];
      const program =
        "ulimit -Sn; ulimit -Hn; ulimit -u; cat /proc/sys/kernel/msgmax; df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2; cat /proc/self/oom_score_adj";
      assert.equal(await engine.ok(engine.run(flags, "sh", "-c", program)), "100\n200\n300\n4096\n1024\n300\n");
    },
  },
  {
    name: "--init reaps and forwards signals",
    run: async (engine) => {
      const name = await engine.detached(
        ["--init"],
        "sh",
        "-c",
        "trap 'exit 8' TERM; sh -c 'sleep 0.01 &'; while :; do sleep 0.05; done",
      );
      assert.match(await engine.ok(["exec", name, "cat", "/proc/1/cmdline"]), /init/);
      await engine.ok([
        "exec",
        name,
        "sh",
        "-c",
        "sh -c 'sleep 0.01 &'; sleep 0.1; ! grep -l '(sleep) Z' /proc/[0-9]*/stat",
      ]);
      await engine.ok(["stop", name]);
      assert.equal(await engine.inspect(name, "{{.State.ExitCode}}"), "8");
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "a health check",
    run: async (engine) => {
      const flags = ["--health-cmd", "test -e /tmp/healthy", "--health-interval", "disable", "--health-retries", "1"];
      const name = await engine.detached(flags, ...FOREVER);
      assert.equal((await engine.podman(["healthcheck", "run", name])).status, 1);
      await engine.ok(["exec", name, "touch", "/tmp/healthy"]);
      await engine.ok(["healthcheck", "run", name]);
      await engine.remove(name);
    },
  },
  {
    name: "the host's namespaces",
    run: async (engine) => {
      for (const [flag, type] of [
        ["--network", "net"],
        ["--ipc", "ipc"],
        ["--uts", "uts"],
        ["--cgroupns", "cgroup"],
      ] as const) {
        const read = async (mode: string): Promise<string> =>
          (await engine.ok(engine.run(["--rm", flag, mode], "readlink", `/proc/self/ns/${type}`))).trim();
        const own = readlinkSync(`/proc/self/ns/${type}`);
        assert.equal(await read("host"), own);
        assert.notEqual(await read(flag === "--network" ? "none" : "private"), own);
      }
    },
  },
  {
    name: "the host's pid namespace: all processes end with the container",
    run: async (engine) => {
      const name = await engine.detached(["--pid", "host"], "sh", "-c", "sleep 45678 & sleep 45678");
      await until("the child", () => processes().filter(({ command }) => command === "sleep 45678").length === 2);
      await engine.ok(["stop", "--time", "0", name]);
      await engine.ok(["rm", name]);
      await gone("sleep 45678");
    },
  },
  {
    name: "another container's namespaces",
    run: async (engine) => {
      const name = await engine.detached(["--ipc", "shareable"], "sleep", "56789");
      const flags = [
        "--rm",
        "--network",
        `container:${name}`,
        "--pid",
        `container:${name}`,
        "--ipc",
        `container:${name}`,
      ];
      const program = [
        "sh",
        "-c",
        "for n in net pid ipc; do readlink /proc/self/ns/$n; done; tr '\\0' ' ' </proc/1/cmdline",
      ];
      const own = await engine.ok(["exec", name, ...program]);
      assert.equal(await engine.ok(engine.run(flags, ...program)), own);
      assert.match(own, /sleep 56789 $/);
      await engine.remove(name);
    },
  },
  {
    name: "a pod",
    run: async (engine) => {
      await engine.ok(["pod", "create", "--name", "pod", "--network", "none", "--infra-image", IMAGE]);
      const first = await engine.detached(["--pod", "pod"], ...FOREVER);
      const second = await engine.detached(["--pod", "pod"], ...FOREVER);
      const namespaces = (name: string): Promise<string> =>
        engine.ok(["exec", name, "sh", "-c", "for n in net ipc uts; do readlink /proc/self/ns/$n; done"]);
      assert.equal(await namespaces(first), await namespaces(second));
      await engine.ok(["pod", "stop", "--time", "0", "pod"]);
      assert.equal(await engine.inspect(first, "{{.State.Status}}"), "exited");
      await engine.ok(["pod", "start", "pod"]);
      assert.equal(await engine.inspect(second, "{{.State.Status}}"), "running");
      await engine.ok(["pod", "rm", "--force", "--time", "0", "pod"]);
    },
  },
  {
    name: "copying, changes, commit",
    run: async (engine) => {
      const file = join(engine.work, "copied");
      writeFileSync(file, "copied\n");
      const name = await engine.detached([], ...FOREVER);
      await engine.ok(["cp", file, `${name}:/tmp/here`]);
      assert.equal(await engine.ok(["exec", name, "cat", "/tmp/here"]), "copied\n");
      assert.match(await engine.ok(["diff", name]), /^A \/tmp\/here$/m);
      await engine.ok(["commit", "--quiet", name, "localhost/committed"]);
      assert.equal(
        await engine.ok(["run", "--rm", "--network", "none", "localhost/committed", "cat", "/tmp/here"]),
        "copied\n",
      );
      await engine.remove(name);
      await engine.ok(["rmi", "localhost/committed"]);
    },
  },
  {
    name: "a device, and devices that are not given",
    run: async (engine) => {
      const device = ["/dev/fuse", "/dev/net/tun", "/dev/loop-control", "/dev/rtc0"].find(existsSync);
      assert.ok(device !== undefined, "no device to try with");
      assert.equal(
        await engine.ok(engine.run(["--rm", "--device", device], "sh", "-c", `: <${device} && echo open`)),
        "open\n",
      );
      // Made by hand: the cgroup denies it.
      const { rdev } = statSync(device);
      const made = await engine.podman(
        engine.run(["--rm"], "sh", "-c", `mknod /d c ${rdev >> 8} ${rdev & 0xff} && : </d; echo $?`),
      );
      assert.match(made.stderr, /Operation not permitted/);
    },
  },
  {
    name: "a pid file and preserved descriptors",
    run: async (engine) => {
      const file = join(engine.work, "pid");
      const name = await engine.detached(["--pidfile", file], ...FOREVER);
      assert.equal(readFileSync(file, "utf8").trim(), await engine.inspect(name, "{{.State.Pid}}"));
      await engine.remove(name);
      const text = join(engine.work, "text");
      writeFileSync(text, "through a descriptor\n");
      const command = engine.command(engine.run(["--rm", "--preserve-fds", "1"], "sh", "-c", "cat <&3"));
      const quoted = command.map((word) => `'${word}'`).join(" ");
      const ended = await execute("sh", ["-c", `exec ${quoted} 3<${text}`], { env: engine.environment() });
      assert.deepEqual([ended.status, ended.stdout], [0, "through a descriptor\n"]);
    },
  },
  {
    name: "a root file system that is a folder",
    run: async (engine) => {
      const root = join(engine.work, "rootfs");
      const name = await engine.detached([], ...FOREVER);
      await engine.ok(["cp", `${name}:/bin`, engine.work]);
      await engine.remove(name);
      mkdirSync(root);
      renameSync(join(engine.work, "bin"), join(root, "bin"));
      assert.equal(
        await engine.ok(["run", "--rm", "--network", "none", "--rootfs", root, "/bin/echo", "hello"]),
        "hello\n",
      );
    },
  },
  {
    name: "sixteen containers at once",
    run: async (engine) => {
      const numbers = Array.from({ length: 16 }, (_, i) => i);
      const all = await Promise.all(numbers.map((i) => engine.ok(engine.run(["--rm"], "echo", String(i)))));
      assert.equal(all.map((text) => text.trim()).join(" "), numbers.join(" "));
    },
  },
];
