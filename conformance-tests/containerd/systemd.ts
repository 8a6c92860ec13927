import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { FOREVER, type Scenario, until } from "../scenarios.ts";
import { POD } from "./cri.ts";
import type { Containerd } from "./engine.ts";
import { hasAddress, kubelet } from "./kubelet.ts";
import { inPod } from "./pod.ts";
import { POD_MEMORY, reload, show } from "./units.ts";

/** The scope of a container, by the name that containerd asks for. */
const scopeOf = (id: string): string => `cri-containerd-${id}.scope`;

/** Waits until a container's scope is gone, also from systemd's memory of failed ones. */
const ended = (id: string): Promise<void> =>
  until(`the end of ${scopeOf(id)}`, () => show(scopeOf(id), "LoadState").LoadState === "not-found");

const cgroupOf = (pid: number): string => readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().replace(/^0::/, "");

const read = (cgroup: string, file: string): string =>
  readFileSync(join("/sys/fs/cgroup", cgroup, file), "utf8").trim();

const MiB = 1 << 20;

/** What systemd must know of containers, and what a kubelet does while it does. */
export const scenariosWithSystemd: readonly Scenario<Containerd>[] = [
  {
    name: "a pod and its containers are scopes in the pod's slice, as long as they run",
    run: (engine) =>
      inPod(engine, async (pod) => {
        const first = await pod.run("first", "sleep 100000");
        const slice = basename(pod.cgroup);
        for (const id of [pod.id, first]) {
          const cgroup = `${pod.cgroup}/${scopeOf(id)}`;
          assert.deepEqual(show(scopeOf(id), "ActiveState", "Slice", "ControlGroup", "Delegate", "Transient"), {
            ...{ ActiveState: "active", Slice: slice, ControlGroup: cgroup, Delegate: "yes", Transient: "yes" },
          });
          assert.equal(cgroupOf(await engine.pid(id, "k8s.io")), cgroup);
        }
        // The kubelet's own limits stay.
        assert.equal(read(pod.cgroup, "memory.max"), String(POD_MEMORY));
        // What is executed is in the scope: the cgroup namespace shows it as its root.
        assert.equal((await pod.exec(first, "cat /proc/self/cgroup")).stdout, "0::/\n");
        const { stdout } = await pod.stream(first, "cat /proc/self/cgroup; read x", {}, { after: /\n/, text: "\n" });
        assert.equal(stdout, "0::/\n");
        process.kill(await engine.pid(first, "k8s.io"), "SIGKILL");
        await ended(first);
        await until("containerd to know", async () => (await pod.status(first)).state === "exited");
        assert.deepEqual(await pod.status(first), { state: "exited", exitCode: 137, reason: "Error" });
        // As a kubelet goes on after a crash.
        const second = await pod.run("second", "trap 'exit 4' TERM; while :; do sleep 0.05; done");
        await pod.cri.call("RemoveContainer", { containerId: first });
        await pod.cri.call("StopContainer", { containerId: second, timeout: 10 });
        await ended(second);
        assert.equal((await pod.status(second)).exitCode, 4);
        assert.equal(show(scopeOf(pod.id), "ActiveState").ActiveState, "active");
      }),
  },
  {
    name: "limits are systemd's and the kernel's, also after an update and a reload",
    needs: ["update"],
    run: (engine) =>
      inPod(engine, async (pod) => {
        const id = await pod.run(
          "limited",
          "sleep 100000",
          {},
          {
            ...{ memoryLimit: 64 * MiB, cpuShares: 512, cpuQuota: 50_000, cpuPeriod: 100_000, cpusetCpus: "0" },
            oomScoreAdj: 987,
            hugepageLimits: [{ pageSize: "2MB", limit: 0 }],
            // As a kubelet has it: all of a container is killed, and it is slowed down before.
            unified: [
              { key: "memory.oom.group", value: "1" },
              { key: "memory.high", value: String(48 * MiB) },
            ],
          },
        );
        const pid = await engine.pid(id, "k8s.io");
        assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8"), "987\n");
        const cgroup = `${pod.cgroup}/${scopeOf(id)}`;
        const properties = (): Readonly<Record<string, string>> =>
          show(scopeOf(id), "MemoryMax", "MemoryHigh", "CPUQuotaPerSecUSec", "CPUWeight", "AllowedCPUs");
        const files = (): readonly string[] =>
          [
            ...["memory.max", "memory.high", "cpu.max", "cpu.weight", "cpuset.cpus", "memory.oom.group"],
            "hugetlb.2MB.max",
          ].map((file) => read(cgroup, file));
        const weight = read(cgroup, "cpu.weight");
        const first = {
          ...{ MemoryMax: String(64 * MiB), MemoryHigh: String(48 * MiB), CPUQuotaPerSecUSec: "500ms" },
          ...{ CPUWeight: weight, AllowedCPUs: "0" },
        };
        const firstFiles = [String(64 * MiB), String(48 * MiB), "50000 100000", weight, "0", "1", "0"];
        assert.deepEqual(properties(), first);
        assert.deepEqual(files(), firstFiles);
        reload();
        assert.deepEqual(properties(), first);
        assert.deepEqual(files(), firstFiles);
        assert.ok((await pod.usage(id)).memoryBytes > 0, "no statistics");
        await pod.cri.call("UpdateContainerResources", {
          containerId: id,
          linux: { memoryLimit: 80 * MiB, cpuQuota: 25_000, cpuPeriod: 100_000, cpusetCpus: "1" },
        });
        const second = { ...first, MemoryMax: String(80 * MiB), CPUQuotaPerSecUSec: "250ms", AllowedCPUs: "1" };
        const secondFiles = [String(80 * MiB), String(48 * MiB), "25000 100000", weight, "1", "1", "0"];
        assert.deepEqual(properties(), second);
        assert.deepEqual(files(), secondFiles);
        reload();
        assert.deepEqual(properties(), second);
        assert.deepEqual(files(), secondFiles);
      }),
  },
  {
    name: "kubelet's interface: a pod in a user namespace",
    // Containerd can since 1.7, which Debian 12 has not.
    run: (engine) => {
      const ids = [{ hostId: 300_000, containerId: 0, length: 65_536 }];
      return inPod(
        engine,
        async (pod) => {
          const first = await pod.run("first", "touch /mine; sleep 100000", {}, { memoryLimit: 64 << 20 });
          const second = await pod.run("second", "sleep 100000");
          const map = "tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map; id -u; stat -c %u /bin/busybox";
          const expected = " 0 300000 65536\n 0 300000 65536\n0\n0\n";
          for (const id of [first, second]) {
            assert.equal((await pod.exec(id, map)).stdout, expected);
            assert.equal(statSync(`/proc/${await engine.pid(id, "k8s.io")}`).uid, 300_000);
          }
          const namespaces = "readlink /proc/self/ns/user; readlink /proc/self/ns/net";
          assert.equal((await pod.exec(first, namespaces)).stdout, (await pod.exec(second, namespaces)).stdout);
          assert.equal((await pod.exec(first, `stat -c %u /mine; ${hasAddress}`)).stdout, "0\nplugged\n");
        },
        { network: POD, userns: { mode: POD, uids: ids, gids: ids } },
      );
    },
  },
  {
    name: "ctr: a scope in a slice of its own",
    run: async (engine) => {
      const id = engine.id();
      const slice = `${engine.slice}-ctr.slice`;
      const unit = `${engine.slice}-${id}.scope`;
      const cgroup = `${slice}:${engine.slice}:${id}`;
      await engine.ok(engine.run(["--detach", "--runc-systemd-cgroup", "--cgroup", cgroup], id, ...FOREVER));
      assert.deepEqual(show(unit, "ActiveState", "Slice"), { ActiveState: "active", Slice: slice });
      assert.equal(cgroupOf(await engine.pid(id)), `/${engine.slice}.slice/${slice}/${unit}`);
      assert.equal((await engine.metrics(id)).processes, 1);
      await engine.remove(id);
      await until("the scope to go", () => show(unit, "LoadState").LoadState === "not-found");
    },
  },
  ...kubelet,
];
