/** A containerd of its own: root, state, socket and image in one folder. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { IMAGE, writeBusyboxImage } from "../busybox-image.ts";
import { documented } from "../documented.ts";
import { leftCgroups, leftMounts, leftProcesses, leftStates } from "../left.ts";
import { type Ended, type ExecuteOptions, end, execute, until } from "../scenarios.ts";
import { Cri } from "./cri.ts";
import { leftUnits, makeSlice, removeSlice } from "./units.ts";

/** The namespaces of containerd's that the scenarios use: ctr's, and that of the interface for kubelets. */
const namespaces = ["default", "k8s.io"] as const;

/** Who makes cgroups: the runtime, or systemd for it. */
export type Driver = "cgroupfs" | "systemd";

export class Containerd {
  readonly runtime: string;
  readonly work: string;
  readonly driver: Driver;
  /** The slice of all pods, without its ending: another engine of the tests may run beside this one. */
  readonly slice = `tsruntest${process.pid}`;
  #daemon: ChildProcess | undefined;
  #count = 0;

  private constructor(runtime: string, work: string, driver: Driver) {
    this.runtime = runtime;
    this.work = work;
    this.driver = driver;
  }

  static async start(runtime: string, work: string, driver: Driver = "cgroupfs"): Promise<Containerd> {
    const engine = new Containerd(runtime, work, driver);
    writeFileSync(join(work, "config.toml"), engine.#configuration());
    writePlugins(join(work, "cni"));
    try {
      await engine.startDaemon();
      const archive = join(work, "image.tar");
      writeBusyboxImage(join(work, "image"), archive);
      for (const namespace of namespaces) await engine.ok(["--namespace", namespace, "images", "import", archive]);
    } catch (error) {
      await engine.close();
      throw error;
    }
    return engine;
  }

  #configuration(): string {
    const { runtime, work, driver } = this;
    const snippet = documented(/containerd, CRI.*config\.toml/, runtime);
    const systemd = "SystemdCgroup = true";
    if (!snippet.includes(systemd)) throw new Error(`docs/install.md does not say ${systemd}`);
    // Its version comes first.
    const [version, ...tables] = snippet.split(/^(?= *\[)/m);
    const documentedTables = tables.join("");
    return `${version}
root = "${work}/root"
state = "${work}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "${this.socket}"
[plugins."io.containerd.runtime.v1.linux"]
  runtime = "${runtime}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
${driver === "systemd" ? WITH_RIGHTS : WITHOUT_RIGHTS}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${work}/cni"
    conf_dir = "${work}/cni"
${driver === "systemd" ? documentedTables : documentedTables.replace(systemd, "SystemdCgroup = false")}`;
  }

  get socket(): string {
    return join(this.work, "containerd.sock");
  }

  /** Starts containerd and waits until it answers. */
  async startDaemon(): Promise<void> {
    const log = openSync(join(this.work, "containerd.log"), "a");
    const daemon = spawn("containerd", ["--config", join(this.work, "config.toml")], { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#daemon = daemon;
    await until("containerd to answer", async () => {
      if (daemon.exitCode !== null) throw new Error(`containerd has ended:\n${this.log()}`);
      return existsSync(this.socket) && (await this.ctr(["version"])).status === 0;
    });
    const cri = new Cri(this.socket);
    try {
      await until("the interface for kubelets", () => {
        // A plug-in that does not like its configuration is left out.
        if (/failed to load plugin io\.containerd\.grpc\.v1\.cri/.test(this.log())) throw new Error(this.log());
        return cri.call("Version", {}).then(
          () => true,
          () => false,
        );
      });
    } finally {
      await cri.close();
    }
  }

  /** As if it had crashed: the shims go on. */
  async killDaemon(): Promise<void> {
    await end(this.#daemon, "SIGKILL");
  }

  /** Runs `ctr` to its end. */
  ctr(args: readonly string[], options: ExecuteOptions = {}): Promise<Ended> {
    return execute("ctr", ["--address", this.socket, ...args], options);
  }

  /** Runs `ctr` and expects success. */
  async ok(args: readonly string[], options: ExecuteOptions = {}): Promise<Ended> {
    const ended = await this.ctr(args, options);
    if (ended.status !== 0) {
      throw new Error(
        `ctr ${args.join(" ")}: status ${ended.status} ${ended.signal ?? ""}\n${ended.stdout}${ended.stderr}`,
      );
    }
    return ended;
  }

  id(): string {
    return `c${++this.#count}`;
  }

  /** The arguments of `ctr` that run a program in a new container; the flags come first. */
  run(flags: readonly string[], id: string, ...program: readonly string[]): string[] {
    return [
      "run",
      "--runc-binary",
      this.runtime,
      "--fifo-dir",
      join(this.work, "fifo"),
      ...flags,
      IMAGE,
      id,
      ...program,
    ];
  }

  exec(flags: readonly string[], id: string, ...program: readonly string[]): string[] {
    return [
      "task",
      "exec",
      "--fifo-dir",
      join(this.work, "fifo"),
      "--exec-id",
      `e${++this.#count}`,
      ...flags,
      id,
      ...program,
    ];
  }

  /** Starts a container that runs `program` until the scenario ends; `clean` removes it. */
  async detached(flags: readonly string[], ...program: readonly string[]): Promise<string> {
    const id = this.id();
    await this.ok(this.run(["--detach", ...flags], id, ...program));
    return id;
  }

  /** The columns of `task list`: id, process, status; undefined when there is no such task. */
  async #task(id: string, namespace: string): Promise<readonly string[] | undefined> {
    const { stdout } = await this.ok(["--namespace", namespace, "task", "list"]);
    return stdout
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .find(([name]) => name === id);
  }

  /** The status column of `task list`; undefined when there is no such task. */
  async status(id: string): Promise<string | undefined> {
    return (await this.#task(id, "default"))?.[2];
  }

  async pid(id: string, namespace: (typeof namespaces)[number] = "default"): Promise<number> {
    const pid = (await this.#task(id, namespace))?.[1];
    if (pid === undefined) throw new Error(`no task ${id}`);
    return Number(pid);
  }

  /** What the shim reads from the cgroup of a task. */
  async metrics(id: string): Promise<{
    readonly processes: number;
    readonly memoryBytes: number;
    readonly memoryLimitBytes: number;
  }> {
    const { stdout } = await this.ok(["task", "metrics", "--format", "json", id]);
    const { pids, memory } = JSON.parse(stdout) as {
      readonly pids: { readonly current: number };
      // Of cgroup v1, and of v2.
      readonly memory:
        | { readonly usage: { readonly usage: number; readonly limit: number } }
        | { readonly usage: number; readonly usage_limit: number };
    };
    const [usage, limit] =
      "usage_limit" in memory ? [memory.usage, memory.usage_limit] : [memory.usage.usage, memory.usage.limit];
    return { processes: Number(pids.current), memoryBytes: Number(usage), memoryLimitBytes: Number(limit) };
  }

  /** Kills, waits for the end, and removes task and container. */
  async remove(id: string): Promise<void> {
    if ((await this.status(id)) === "PAUSED") await this.ok(["task", "resume", id]);
    if ((await this.status(id)) === "RUNNING") await this.ok(["task", "kill", "--signal", "KILL", id]);
    await until(`${id} to stop`, async () => (await this.status(id)) !== "RUNNING");
    if ((await this.status(id)) !== undefined) await this.ok(["task", "delete", id]);
    await this.ok(["container", "delete", id]);
  }

  /** Makes the cgroup of a pod, as a kubelet does, and gives its name in the kubelet's words. */
  makePodCgroup(uid: string): string {
    return this.driver === "systemd" ? makeSlice(this.slice, uid) : "/pods";
  }

  removePodCgroup(cgroup: string): void {
    if (this.driver === "systemd") removeSlice(basename(cgroup));
  }

  log(): string {
    return readFileSync(join(this.work, "containerd.log"), "utf8");
  }

  /** Removes what a scenario has left and tells what it was: with a right runtime, nothing. */
  async leftovers(): Promise<readonly string[]> {
    const left: string[] = [];
    for (const namespace of namespaces) {
      const ctr = ["--namespace", namespace];
      const { stdout } = await this.ok([...ctr, "container", "list", "--quiet"]);
      for (const id of stdout.split("\n").filter((name) => name !== "")) {
        left.push(`container ${id}`);
        await this.ctr([...ctr, "task", "delete", "--force", id]);
        await this.ctr([...ctr, "container", "delete", id]);
      }
    }
    // A shim ends, and containerd unmounts, after ctr has its answer.
    const seen = (): readonly string[] => [
      ...leftProcesses("containerd-shim").filter((shim) => shim.includes(this.work)),
      ...leftMounts(this.work),
      ...leftMounts("/run/netns"),
      ...(this.driver === "systemd" ? leftUnits(this.slice) : []),
      ...leftCgroups("default"),
      ...leftCgroups("pods"),
      // The shim gives the runtime a root below /run/containerd.
      ...namespaces.flatMap((namespace) => leftStates(`/run/containerd/runc/${namespace}`)),
    ];
    await until("the shims to end", () => seen().length === 0, 30).catch(() => left.push(...seen()));
    return left;
  }

  async close(): Promise<void> {
    await end(this.#daemon, "SIGTERM");
    if (this.driver === "systemd") removeSlice(`${this.slice}.slice`);
  }
}

/** For the plug-in: by itself it leaves hugetlb out. */
const WITH_RIGHTS = `  disable_hugetlb_controller = false`;
/** On a host without CAP_SYS_RESOURCE, hugetlb and AppArmor. */
const WITHOUT_RIGHTS = `  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  disable_apparmor = true`;

/** The address that a pod gets. */
export const PLUGGED = "192.0.2.1";

/** Plug-ins for the networks of pods (CNI 0.4.0): they start the loopback device and give it the address. */
function writePlugins(folder: string): void {
  mkdirSync(folder);
  const plugin = (name: string, device: string, address: string, command: string): void => {
    const result = {
      cniVersion: "0.4.0",
      interfaces: [{ name: device, sandbox: "$CNI_NETNS" }],
      ips: [{ version: "4", interface: 0, address }],
    };
    const script = `#!/bin/sh
case $CNI_COMMAND in
  VERSION) echo '{"cniVersion":"0.4.0","supportedVersions":["0.4.0"]}' ;;
  ADD) nsenter --net="$CNI_NETNS" ip ${command} >&2 && cat <<RESULT ;;
${JSON.stringify(result)}
RESULT
esac
`;
    writeFileSync(join(folder, name), script, { mode: 0o755 });
  };
  plugin("loopback", "lo", "127.0.0.1/8", "link set lo up");
  plugin("nowhere", "eth0", `${PLUGGED}/24`, `address add ${PLUGGED}/24 dev lo`);
  const network = { cniVersion: "0.4.0", name: "nowhere", plugins: [{ type: "nowhere" }] };
  writeFileSync(join(folder, "10-nowhere.conflist"), JSON.stringify(network));
}
