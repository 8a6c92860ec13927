import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import { cgroupFile, processes, type Scenario, until } from "../scenarios.ts";
import { POD } from "./cri.ts";
import { type Containerd, PLUGGED } from "./engine.ts";
import { withEvents } from "./events.ts";
import { inPod } from "./pod.ts";

/** A script for a container: whether the network's plug-in has been here. */
export const hasAddress = `grep -q ${PLUGGED} /proc/net/fib_trie && echo plugged`;

/** What a kubelet does, whichever way containerd makes cgroups. */
export const kubelet: readonly Scenario<Containerd>[] = [
  {
    name: "kubelet's interface: a pod and a container",
    run: (engine) =>
      inPod(engine, async (pod) => {
        const id = await pod.create("first", "echo logged; trap 'exit 4' TERM; while :; do sleep 0.05; done");
        assert.equal((await pod.status(id)).state, "created");
        await pod.start(id);
        assert.equal((await pod.status(id)).state, "running");
        assert.deepEqual(await pod.exec(id, "echo out; echo err >&2; exit 3"), {
          stdout: "out\n",
          stderr: "err\n",
          status: 3,
        });
        await until("the log", () => / stdout F logged$/m.test(pod.log("first")));
        await pod.cri.call("StopContainer", { containerId: id, timeout: 10 });
        assert.deepEqual(await pod.status(id), { state: "exited", exitCode: 4, reason: "Error" });
        await pod.cri.call("RemoveContainer", { containerId: id });
      }),
  },
  {
    name: "kubelet's interface: containers share the pod's namespaces",
    run: (engine) =>
      inPod(engine, async (pod) => {
        const read = async (name: string): Promise<string[]> => {
          const id = await pod.run(name, "sleep 100000");
          const program = "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done";
          return (await pod.exec(id, program)).stdout.split("\n");
        };
        const [first, second] = [await read("first"), await read("second")];
        assert.deepEqual(first.slice(0, 3), second.slice(0, 3));
        assert.notEqual(first[3], second[3]);
      }),
  },
  {
    name: "kubelet's interface: a pod with a network of its own",
    run: (engine) =>
      inPod(
        engine,
        async (pod) => {
          // The sandbox and its containers join a namespace that the plug-in has set up.
          const id = await pod.run("first", "sleep 100000");
          const { stdout } = await pod.exec(id, `readlink /proc/self/ns/net; ${hasAddress}`);
          const ofPod = readlinkSync(`/proc/${await engine.pid(pod.id, "k8s.io")}/ns/net`);
          assert.notEqual(ofPod, readlinkSync("/proc/self/ns/net"));
          assert.equal(stdout, `${ofPod}\nplugged\n`);
        },
        { network: POD },
      ),
  },
  {
    name: "kubelet's interface: exec with a stream, and in a terminal",
    run: (engine) =>
      inPod(engine, async (pod) => {
        const id = await pod.run("first", "sleep 100000");
        const script = "echo ready; read x; echo got $x >&2; exit 3";
        assert.deepEqual(await pod.stream(id, script, { stderr: true }, { after: /ready\n/, text: "words\n" }), {
          ...{ stdout: "ready\n", stderr: "got words\n", status: 3 },
        });
        const wait = "while [ \"$(stty size 2>&1)\" != '24 80' ]; do sleep 0.05; done";
        const inTerminal = `tty; ${wait}; stty size; read x; exit 4`;
        const answer = { after: /24 80/, text: "\n" };
        const ended = await pod.stream(id, inTerminal, { tty: true }, answer, { columns: 80, rows: 24 });
        assert.equal(ended.status, 4);
        assert.match(ended.stdout, /^\/dev\/pts\/\d\r*\n24 80\r*\n/);
      }),
  },
  {
    name: "kubelet's interface: an exec that takes too long",
    run: (engine) =>
      inPod(engine, async (pod) => {
        const id = await pod.run("first", "sleep 100000");
        await assert.rejects(
          pod.cri.call("ExecSync", { containerId: id, cmd: ["sleep", "67890"], timeout: 1 }),
          /timeout|deadline/,
        );
        await until("its end", () => processes().every(({ command }) => command !== "sleep 67890"));
        assert.equal((await pod.status(id)).state, "running");
      }),
  },
  {
    name: "kubelet's interface: privileged, read-only",
    run: (engine) =>
      inPod(engine, async (pod) => {
        const privileged = await pod.run("privileged", "sleep 100000", { privileged: true });
        const readonly = await pod.run("readonly", "sleep 100000", { readonlyRoot: true });
        const mount = "mkdir /m && mount -t tmpfs none /m && echo mounted";
        assert.equal((await pod.exec(privileged, mount)).stdout, "mounted\n");
        assert.match((await pod.exec(readonly, "touch /file")).stderr, /Read-only file system/);
      }),
  },
  {
    name: "kubelet's interface: limits, and an update of them",
    needs: ["update"],
    run: (engine) =>
      inPod(engine, async (pod) => {
        const id = await pod.run("limited", "sleep 100000", {}, { memoryLimit: 64 << 20, cpuShares: 512 });
        const program = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
        const limit = async (): Promise<string> => (await pod.exec(id, program)).stdout;
        assert.equal(await limit(), `${64 << 20}\n`);
        await pod.cri.call("UpdateContainerResources", { containerId: id, linux: { memoryLimit: 32 << 20 } });
        assert.equal(await limit(), `${32 << 20}\n`);
        await pod.cri.call("UpdateContainerResources", {
          containerId: id,
          linux: { cpuQuota: 25_000, cpuPeriod: 50_000, cpusetCpus: "0" },
        });
        const pid = await engine.pid(id, "k8s.io");
        assert.match(cgroupFile(pid, "cpu", "cpu.cfs_quota_us", "cpu.max"), /^25000/);
        assert.equal(cgroupFile(pid, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
        assert.equal(await limit(), `${32 << 20}\n`);
      }),
  },
  {
    name: "kubelet's interface: statistics",
    run: (engine) =>
      inPod(engine, async (pod) => {
        const id = await pod.run("first", "n=0; while [ $n -lt 1000 ]; do n=$((n + 1)); done; exec sleep 100000");
        await until("the program to have run", async () => (await pod.usage(id)).cpuNanoseconds > 0);
        const { memoryBytes } = await pod.usage(id);
        assert.ok(memoryBytes > 0 && memoryBytes < 64 << 20, `${memoryBytes} bytes of memory`);
      }),
  },
  {
    name: "kubelet's interface: a container crashes, and runs again",
    run: (engine) =>
      inPod(engine, async (pod) => {
        const first = await pod.run("first", "sh -c 'kill -SEGV $$'; exit $?");
        await until("its end", async () => (await pod.status(first)).state === "exited");
        assert.deepEqual(await pod.status(first), { state: "exited", exitCode: 139, reason: "Error" });
        const second = await pod.run("second", "sleep 100000");
        process.kill(await engine.pid(second, "k8s.io"), "SIGKILL");
        await until("its end", async () => (await pod.status(second)).state === "exited");
        assert.equal((await pod.status(second)).exitCode, 137);
        // A kubelet removes the one that has ended when the next one runs.
        const third = await pod.run("third", "sleep 100000");
        for (const containerId of [first, second]) await pod.cri.call("RemoveContainer", { containerId });
        assert.equal((await pod.exec(third, "echo here")).stdout, "here\n");
      }),
  },
  {
    name: "kubelet's interface: out of memory",
    run: (engine) =>
      withEvents(engine, (events) =>
        inPod(engine, async (pod) => {
          // It ends after its child, when the shim has seen what the kernel did.
          const wait = (file: string): string => `until [ -e /${file} ]; do sleep 0.05; done`;
          const program = `${wait("go")}; tail /dev/zero & wait $!; s=$?; ${wait("end")}; exit $s`;
          const id = await pod.run("greedy", program, {}, { memoryLimit: 16 << 20 });
          await pod.exec(id, "touch /go");
          await until("the event", () => new RegExp(`/tasks/oom .*${id}`).test(events.text));
          await pod.exec(id, "touch /end");
          await until("its end", async () => (await pod.status(id)).state === "exited");
          assert.deepEqual(await pod.status(id), { state: "exited", exitCode: 137, reason: "OOMKilled" });
        }),
      ),
  },
  {
    name: "kubelet's interface: a shim that is killed",
    run: (engine) =>
      inPod(engine, async (pod) => {
        const id = await pod.run("first", "exec sleep 78901");
        const shim = processes().find(
          ({ command }) => command.includes("containerd-shim") && command.includes(`-id ${pod.id} `),
        );
        assert.ok(shim !== undefined, "no shim");
        process.kill(shim.pid, "SIGKILL");
        // containerd runs the runtime's delete in the shim's place.
        await until("the container to go", () => processes().every(({ command }) => command !== "sleep 78901"));
        await until("containerd to know", async () => (await pod.status(id)).state === "exited");
      }),
  },
  {
    name: "kubelet's interface: containerd is killed, pods go on",
    run: (engine) =>
      inPod(engine, async (pod) => {
        const id = await pod.run("first", "trap 'exit 4' TERM; while :; do sleep 0.05; done");
        const pid = await engine.pid(id, "k8s.io");
        const namespaces = readlinkSync(`/proc/${pid}/ns/pid`);
        await engine.killDaemon();
        await engine.startDaemon();
        assert.equal((await pod.status(id)).state, "running");
        assert.equal((await pod.exec(id, "readlink /proc/self/ns/pid")).stdout, `${namespaces}\n`);
        await pod.cri.call("StopContainer", { containerId: id, timeout: 10 });
        assert.equal((await pod.status(id)).exitCode, 4);
      }),
  },
];
