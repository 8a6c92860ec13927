import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupFile, gone, inTerminal, nap, processes, type Scenario, until } from "../scenarios.ts";
import { Docker, REMAPPED } from "./engine.ts";

const FOREVER = ["sleep", "100000"] as const;

/** The lines of /proc/self/status that a program in a new container sees, by name. */
async function status(engine: Docker, flags: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const text = await engine.ok(engine.run(["--rm", ...flags], "cat", "/proc/self/status"));
  return Object.fromEntries(text.split("\n").map((line) => line.split(/:\s*/, 2)));
}

/** A file of the container's cgroup: `v1` in the controller's hierarchy, or `v2`. */
async function cgroupOf(engine: Docker, name: string, controller: string, v1: string, v2: string): Promise<string> {
  return cgroupFile(Number(await engine.inspect(name, "{{.State.Pid}}")), controller, v1, v2);
}

export const scenarios: readonly Scenario<Docker>[] = [
  {
    name: "run prints and removes",
    run: async (engine) => {
      assert.equal(await engine.ok(engine.run(["--rm"], "echo", "hello")), "hello\n");
      assert.equal(await engine.ok(["ps", "--all", "--quiet"]), "");
    },
  },
  {
    name: "it is the runtime of docs/install.md, with the cgroupfs driver",
    run: async (engine) => {
      const format = '{{(index .Runtimes "tsrun").Path}} {{.CgroupDriver}}';
      assert.equal(await engine.ok(["info", "--format", format]), `${engine.runtime} cgroupfs\n`);
      const name = await engine.detached([], ...FOREVER);
      assert.equal(await engine.inspect(name, "{{.HostConfig.Runtime}}"), "tsrun");
      await engine.remove(name);
    },
  },
  {
    name: "exit status",
    run: async (engine) => {
      for (const status of [0, 1, 7, 255]) {
        assert.equal((await engine.docker(engine.run(["--rm"], "sh", "-c", `exit ${status}`))).status, status);
      }
    },
  },
  {
    name: "127 for a program that is not there, 126 for one that cannot be run",
    run: async (engine) => {
      const missing = await engine.docker(engine.run(["--rm"], "no-such-program"));
      assert.equal(missing.status, 127);
      assert.match(missing.stderr, /executable file not found in \$PATH/);
      assert.equal((await engine.docker(engine.run(["--rm"], "/no/such/program"))).status, 127);
      assert.equal((await engine.docker(engine.run(["--rm"], "/etc/passwd"))).status, 126);
      assert.equal((await engine.docker(engine.run(["--rm"], "/etc"))).status, 126);
    },
  },
  {
    name: "standard input reaches the program, standard error is apart",
    run: async (engine) => {
      const input = "line\n".repeat(20_000);
      const program = ["sh", "-c", "wc -c; echo err >&2"];
      const ended = await engine.docker(engine.run(["--rm", "--interactive"], ...program), { input });
      assert.deepEqual([ended.status, ended.stdout, ended.stderr], [0, `${input.length}\n`, "err\n"]);
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
      assert.equal((await engine.docker(["logs", name])).stderr, "err\n");
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
    name: "create, start, wait, start again",
    run: async (engine) => {
      const name = engine.name();
      await engine.ok(engine.create(["--name", name], "sh", "-c", "exit 9"));
      assert.equal(await engine.inspect(name, "{{.State.Status}}"), "created");
      for (let i = 0; i < 2; i++) {
        await engine.ok(["start", name]);
        assert.equal(await engine.ok(["wait", name]), "9\n");
      }
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "a container that cannot be created leaves nothing, and says why",
    run: async (engine) => {
      const ended = await engine.docker(engine.run(["--rm", "--sysctl", "kernel.msgmax=words"], "true"));
      assert.equal(ended.status, 125);
      assert.match(ended.stderr, /kernel.msgmax.*invalid argument/i);
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
      const ended = await engine.docker(["exec", ...flags, name, "sh", "-c", 'pwd; id -u; id -g; echo "$A"; exit 3']);
      assert.deepEqual([ended.status, ended.stdout], [3, "/tmp\n65534\n7\nb c\n"]);
      await engine.remove(name);
    },
  },
  {
    name: "exec: a program that is not there, and one that cannot be run",
    run: async (engine) => {
      const name = await engine.detached([], ...FOREVER);
      const missing = await engine.docker(["exec", name, "no-such-program"]);
      assert.match(missing.stdout + missing.stderr, /executable file not found in \$PATH/);
      assert.equal(missing.status, 126);
      assert.equal((await engine.docker(["exec", name, "/etc/passwd"])).status, 126);
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
        async () => (await engine.docker(["exec", name, "cat", "/tmp/file"])).stdout === "done\n",
      );
      const program = ["sh", "-c", "test -t 0 && tty; read end; exit 4"];
      const command = ["docker", "exec", "--tty", "--interactive", name, ...program];
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
      await engine.ok(engine.create(["--interactive", "--name", name], "sh", "-c", "read x; echo got $x; exit 2"));
      const ended = await engine.docker(["start", "--attach", "--interactive", name], { input: "words\n" });
      assert.deepEqual([ended.status, ended.stdout], [2, "got words\n"]);
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "a terminal",
    run: async (engine) => {
      const wait = "while [ \"$(stty size 2>&1)\" != '24 80' ]; do sleep 0.05; done";
      const program = ["sh", "-c", `tty; ${wait}; stty size; read end; exit 6`];
      const command = ["docker", ...engine.run(["--rm", "--tty", "--interactive"], ...program)];
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
      assert.notEqual((await engine.docker(["exec", name, "true"])).status, 0);
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
      const name = await engine.detached(["--memory", "64m", "--memory-swap", "-1"], ...FOREVER);
      await engine.ok(["update", "--memory", "32m", "--memory-swap", "-1", "--pids-limit", "40", name]);
      assert.equal(await cgroupOf(engine, name, "memory", "memory.limit_in_bytes", "memory.max"), String(32 << 20));
      assert.equal(await cgroupOf(engine, name, "pids", "pids.max", "pids.max"), "40");
      await engine.ok(["update", "--cpus", "0.5", name]);
      assert.match(await cgroupOf(engine, name, "cpu", "cpu.cfs_quota_us", "cpu.max"), /^50000/);
      // What is not named stays as it is.
      assert.equal(await cgroupOf(engine, name, "memory", "memory.limit_in_bytes", "memory.max"), String(32 << 20));
      await engine.remove(name);
    },
  },
  {
    name: "top and stats",
    run: async (engine) => {
      const name = await engine.detached(["--memory", "64m"], "sleep", "34567");
      assert.match(await engine.ok(["top", name, "-o", "pid,args"]), /^\d+ +sleep 34567$/m);
      const format = "{{.Name}} {{.PIDs}} {{.MemUsage}}";
      assert.match(
        await engine.ok(["stats", "--no-stream", "--format", format, name]),
        new RegExp(`^${name} 1 [1-9.][^ ]* / 64MiB\\n$`),
      );
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
      // Whether docker hears of the kernel's kill before the end (State.OOMKilled) is a race of its own.
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "limits of processors and processes",
    run: async (engine) => {
      const flags = ["--cpus", "0.5", "--cpu-shares", "512", "--pids-limit", "32", "--cpuset-cpus", "0"];
      const name = await engine.detached(flags, ...FOREVER);
      assert.match(await cgroupOf(engine, name, "cpu", "cpu.cfs_quota_us", "cpu.max"), /^50000/);
      assert.equal(await cgroupOf(engine, name, "pids", "pids.max", "pids.max"), "32");
      assert.equal(await cgroupOf(engine, name, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
      await engine.remove(name);
    },
  },
  {
    name: "a cgroup parent",
    run: async (engine) => {
      const name = await engine.detached(["--cgroup-parent", "/docker/parent"], ...FOREVER);
      const pid = await engine.inspect(name, "{{.State.Pid}}");
      const id = await engine.inspect(name, "{{.Id}}");
      assert.match(readFileSync(`/proc/${pid}/cgroup`, "utf8"), new RegExp(`:/docker/parent/${id}$`, "m"));
      await engine.remove(name);
      // Neither docker nor its runtimes remove a parent.
      engine.removeCgroup("docker/parent");
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
      const syscalls = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }];
      writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls }));
      const flags = ["--rm", "--security-opt", `seccomp=${profile}`];
      assert.match((await engine.docker(engine.run(flags, "mkdir", "/tmp/x"))).stderr, /Operation not permitted/);
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
      const program = "touch /x 2>&1; touch /tmp/y && echo ok";
      assert.match(
        await engine.ok(engine.run(["--rm", "--read-only", "--tmpfs", "/tmp"], "sh", "-c", program)),
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
      const ended = await engine.docker(engine.run(["--rm"], "sh", "-c", program));
      assert.equal(ended.stdout, "");
      assert.match(ended.stderr, /^[^\n]*Read-only file system\n$/);
    },
  },
  {
    name: "volumes: folders of the host, read-only, named",
    run: async (engine) => {
      const shared = join(engine.work, "shared");
      mkdirSync(shared);
      const program = "echo written >/rw/file; touch /ro/x 2>&1; echo named >/named/file";
      const flags = ["-v", `${shared}:/rw`, "-v", `${shared}:/ro:ro`, "-v", "data:/named"];
      assert.match(await engine.ok(engine.run(["--rm", ...flags], "sh", "-c", program)), /Read-only file system\n$/);
      assert.equal(readFileSync(join(shared, "file"), "utf8"), "written\n");
      assert.equal(await engine.ok(engine.run(["--rm", "-v", "data:/elsewhere"], "cat", "/elsewhere/file")), "named\n");
      await engine.ok(["volume", "rm", "data"]);
    },
  },
  {
    name: "volumes: one file, propagation, tmpfs, shared memory",
    run: async (engine) => {
      const file = join(engine.work, "one-file");
      writeFileSync(file, "content\n");
      const folder = join(engine.work, "slave");
      mkdirSync(folder);
      const mounted = spawnSync("sh", ["-c", `mount --bind ${folder} ${folder} && mount --make-shared ${folder}`]);
      assert.equal(mounted.status, 0, String(mounted.stderr));
      try {
        const program =
          "cat /a/new/path; grep ' /n ' /proc/self/mountinfo; grep -c ' /t tmpfs .*noexec.*size=1024k' /proc/mounts; grep -c ' /dev/shm tmpfs .*size=2048k' /proc/mounts";
        const text = await engine.ok(
          engine.run(
            [
              "--rm",
              ...["-v", `${file}:/a/new/path:ro`, "-v", `${folder}:/n:rslave`],
              ...["--tmpfs", "/t:size=1m,noexec", "--shm-size", "2m"],
            ],
            ...["sh", "-c", program],
          ),
        );
        assert.match(text, /^content\n.* \/n .* master:\d+ .*\n1\n1\n$/);
      } finally {
        spawnSync("umount", [folder]);
      }
    },
  },
  {
    name: "user, groups",
    run: async (engine) => {
      const flags = ["--rm", "--user", "1234:2345", "--group-add", "7"];
      assert.equal(await engine.ok(engine.run(flags, "sh", "-c", "id -u; id -g; id -G")), "1234\n2345\n2345 7\n");
      assert.equal(await engine.ok(engine.run(["--rm", "--user", "nobody"], "id", "-u")), "65534\n");
    },
  },
  {
    name: "host name, environment, directory",
    run: async (engine) => {
      const flags = ["--rm", "--hostname", "testname", "--env", "A=b c", "--workdir", "/usr/new"];
      assert.equal(
        await engine.ok(engine.run(flags, "sh", "-c", 'hostname; echo "$A"; pwd')),
        "testname\nb c\n/usr/new\n",
      );
    },
  },
  {
    name: "limits of resources and sysctls",
    run: async (engine) => {
      const flags = [
        ...["--rm", "--ulimit", "nofile=100:200", "--ulimit", "nproc=300:400"],
        ...["--sysctl", "kernel.msgmax=4096", "--oom-score-adj", "300"],
      ];
      const program = "ulimit -Sn; ulimit -Hn; ulimit -u; cat /proc/sys/kernel/msgmax; cat /proc/self/oom_score_adj";
      assert.equal(await engine.ok(engine.run(flags, "sh", "-c", program)), "100\n200\n300\n4096\n300\n");
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
      assert.match(await engine.ok(["exec", name, "cat", "/proc/1/cmdline"]), /docker-init/);
      const orphans = "sh -c 'sleep 0.01 &'; sleep 0.1; ! grep -l '(sleep) Z' /proc/[0-9]*/stat";
      await engine.ok(["exec", name, "sh", "-c", orphans]);
      await engine.ok(["stop", name]);
      assert.equal(await engine.inspect(name, "{{.State.ExitCode}}"), "8");
      await engine.ok(["rm", name]);
    },
  },
  {
    name: "a health check",
    run: async (engine) => {
      const flags = ["--health-cmd", "test -e /tmp/healthy", "--health-interval", "200ms", "--health-retries", "1"];
      const name = await engine.detached(flags, ...FOREVER);
      const health = (): Promise<string> => engine.inspect(name, "{{.State.Health.Status}}");
      await until("a bad word", async () => (await health()) === "unhealthy");
      await engine.ok(["exec", name, "touch", "/tmp/healthy"]);
      await until("a good word", async () => (await health()) === "healthy");
      await engine.remove(name);
    },
  },
  {
    name: "the host's namespaces",
    run: async (engine) => {
      for (const [flag, type, own] of [
        ["--network", "net", "none"],
        ["--ipc", "ipc", "private"],
        ["--uts", "uts", ""],
        ["--cgroupns", "cgroup", "private"],
      ] as const) {
        const read = async (mode: string): Promise<string> =>
          (await engine.ok(engine.run(["--rm", flag, mode], "readlink", `/proc/self/ns/${type}`))).trim();
        const ofHost = readlinkSync(`/proc/self/ns/${type}`);
        assert.equal(await read("host"), ofHost);
        assert.notEqual(await read(own), ofHost);
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
        ...["--rm", "--network", `container:${name}`],
        ...["--pid", `container:${name}`, "--ipc", `container:${name}`],
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
    name: "a user namespace (userns-remap)",
    run: async (engine) => {
      const { user, first, count } = REMAPPED;
      const work = join(engine.work, "remapped");
      mkdirSync(work, { mode: 0o755 });
      const remapped = await Docker.start(engine.runtime, work, ["--userns-remap", user]);
      try {
        const program = "tr -s ' ' </proc/self/uid_map; id -u; stat -c %u:%g /bin/busybox; touch /mine && echo ok";
        assert.equal(
          await remapped.ok(remapped.run(["--rm"], "sh", "-c", program)),
          ` 0 ${first} ${count}\n0\n0:0\nok\n`,
        );
        const name = await remapped.detached(["--memory", "32m"], ...FOREVER);
        assert.equal(statSync(`/proc/${await remapped.inspect(name, "{{.State.Pid}}")}`).uid, first);
        assert.equal(await remapped.ok(["exec", name, "sh", "-c", "touch /mine && stat -c %u /mine"]), "0\n");
        await remapped.remove(name);
        assert.deepEqual(await remapped.leftovers(), []);
      } finally {
        await remapped.close();
      }
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
      await engine.ok(["commit", name, "committed"]);
      const run = ["run", "--rm", "--runtime", "tsrun", "--network", "none", "committed", "cat", "/tmp/here"];
      assert.equal(await engine.ok(run), "copied\n");
      await engine.remove(name);
      await engine.ok(["rmi", "committed"]);
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
      const made = await engine.docker(
        engine.run(["--rm"], "sh", "-c", `mknod /d c ${rdev >> 8} ${rdev & 0xff} && : </d; echo $?`),
      );
      assert.match(made.stderr, /Operation not permitted/);
    },
  },
  {
    name: "a daemon that is killed: its containers go on (live-restore)",
    run: async (engine) => {
      const work = join(engine.work, "restored");
      mkdirSync(work);
      const restored = await Docker.start(engine.runtime, work, ["--live-restore"]);
      try {
        const name = await restored.detached(
          [],
          "sh",
          "-c",
          "trap 'exit 4' TERM; echo up; while :; do sleep 0.05; done",
        );
        await until("the log", async () => (await restored.ok(["logs", name])) === "up\n");
        const pid = await restored.inspect(name, "{{.State.Pid}}");
        await restored.killDaemon();
        await restored.startDaemon();
        assert.equal(await restored.inspect(name, "{{.State.Status}} {{.State.Pid}}"), `running ${pid}`);
        assert.equal(await restored.ok(["exec", name, "echo", "hello"]), "hello\n");
        await restored.ok(["stop", name]);
        assert.equal(await restored.inspect(name, "{{.State.ExitCode}}"), "4");
        await restored.ok(["rm", name]);
        assert.deepEqual(await restored.leftovers(), []);
      } finally {
        await restored.close();
      }
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
