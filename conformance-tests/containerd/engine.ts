/** A containerd of its own: root, state, socket and image in one folder. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { IMAGE, writeBusyboxImage } from "../busybox-image.ts";
import { leftCgroups, leftMounts, leftProcesses, leftStates } from "../left.ts";
import { type Ended, type ExecuteOptions, execute, until } from "../scenarios.ts";

export class Containerd {
  readonly runtime: string;
  readonly work: string;
  readonly #daemon: ChildProcess;
  #count = 0;

  private constructor(runtime: string, work: string, daemon: ChildProcess) {
    this.runtime = runtime;
    this.work = work;
    this.#daemon = daemon;
  }

  static async start(runtime: string, work: string): Promise<Containerd> {
    const config = join(work, "config.toml");
    writeFileSync(
      config,
      `version = 2
root = "${work}/root"
state = "${work}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "${work}/containerd.sock"
[plugins."io.containerd.runtime.v1.linux"]
  runtime = "${runtime}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  # What a host without CAP_SYS_RESOURCE and hugetlb needs.
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "tested"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tested]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tested.options]
        BinaryName = "${runtime}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${work}/cni"
    conf_dir = "${work}/cni"
`,
    );
    const log = openSync(join(work, "containerd.log"), "w");
    const daemon = spawn("containerd", ["--config", config], { stdio: ["ignore", log, log] });
    closeSync(log);
    const engine = new Containerd(runtime, work, daemon);
    try {
      await until("containerd to answer", async () => {
        if (daemon.exitCode !== null) throw new Error(`containerd has ended:\n${engine.log()}`);
        return existsSync(join(work, "containerd.sock")) && (await engine.ctr(["version"])).status === 0;
      });
      const archive = join(work, "image.tar");
      writeBusyboxImage(join(work, "image"), archive);
      for (const namespace of ["default", "k8s.io"])
        await engine.ok(["--namespace", namespace, "images", "import", archive]);
    } catch (error) {
      await engine.close();
      throw error;
    }
    return engine;
  }

  /** Runs `ctr` to its end. */
  ctr(args: readonly string[], options: ExecuteOptions = {}): Promise<Ended> {
    return execute("ctr", ["--address", join(this.work, "containerd.sock"), ...args], options);
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

  /** The status column of `task list`; undefined when there is no such task. */
  async status(id: string): Promise<string | undefined> {
    const { stdout } = await this.ok(["task", "list"]);
    return stdout
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .find(([name]) => name === id)?.[2];
  }

  async pid(id: string): Promise<number> {
    const { stdout } = await this.ok(["task", "list"]);
    const columns = stdout
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .find(([name]) => name === id);
    if (columns?.[1] === undefined) throw new Error(`no task ${id}`);
    return Number(columns[1]);
  }

  /** Kills, waits for the end, and removes task and container. */
  async remove(id: string): Promise<void> {
    if ((await this.status(id)) === "PAUSED") await this.ok(["task", "resume", id]);
    if ((await this.status(id)) === "RUNNING") await this.ok(["task", "kill", "--signal", "KILL", id]);
    await until(`${id} to stop`, async () => (await this.status(id)) !== "RUNNING");
    if ((await this.status(id)) !== undefined) await this.ok(["task", "delete", id]);
    await this.ok(["container", "delete", id]);
  }

  log(): string {
    return readFileSync(join(this.work, "containerd.log"), "utf8");
  }

  /** Removes what a scenario has left and tells what it was: with a right runtime, nothing. */
  async leftovers(): Promise<readonly string[]> {
    const left: string[] = [];
    for (const id of (await this.ok(["container", "list", "--quiet"])).stdout
      .split("\n")
      .filter((name) => name !== "")) {
      left.push(`container ${id}`);
      await this.ctr(["task", "delete", "--force", id]);
      await this.ctr(["container", "delete", id]);
    }
    // A shim ends, and containerd unmounts, after ctr has its answer.
    const seen = (): readonly string[] => [
      ...leftProcesses("containerd-shim"),
      ...leftMounts(this.work),
      ...leftCgroups("default"),
      ...leftCgroups("pods"),
      // The shim gives the runtime a root below /run/containerd.
      ...leftStates("/run/containerd/runc/default"),
      ...leftStates("/run/containerd/runc/k8s.io"),
    ];
    await until("the shims to end", () => seen().length === 0, 30).catch(() => left.push(...seen()));
    return left;
  }

  async close(): Promise<void> {
    if (this.#daemon.exitCode !== null) return;
    const ended = new Promise((done) => this.#daemon.once("close", done));
    this.#daemon.kill("SIGTERM");
    await ended;
  }
}
