/** A dockerd and a containerd of its own: data, state, sockets and configuration in one folder. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { IMAGE } from "../busybox-image.ts";
import { documented } from "../documented.ts";
import { Engine } from "../engines/engine.ts";
import { busyboxTree } from "../harness.ts";
import { leftCgroups, leftMounts, leftProcesses, leftStates, mountPoints } from "../left.ts";
import { end, until } from "../scenarios.ts";

/** Debian's client before others: it is made for the same daemon. */
const PATH = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", process.env.PATH].join(":");

/** Ids for --userns-remap: the user whose they are, the first of them, and how many. */
export const REMAPPED = { user: "daemon", first: 300_000, count: 65_536 } as const;

/** dockerd keeps a key in /etc/docker, and reads /etc/subuid: it gets a copy. The mount namespace is private. */
export function copyEtc(work: string): void {
  const copy = join(work, "etc");
  for (const [program, ...args] of [
    ["cp", "--archive", "/etc", copy],
    ["mount", "--bind", copy, "/etc"],
  ] as const) {
    const { status, error, stderr } = spawnSync(program, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${program}: ${error?.message ?? stderr}`);
  }
  for (const file of ["/etc/subuid", "/etc/subgid"])
    writeFileSync(file, `${REMAPPED.user}:${REMAPPED.first}:${REMAPPED.count}\n`);
}

export class Docker extends Engine {
  readonly cannotCreate = 125;
  // Also for one that cannot be run.
  readonly missingInExec = 126;
  readonly topColumns = ["-o", "pid,args"];
  protected readonly kinds = [
    ["container", ["ps", "--all", "--quiet"], ["rm", "--force"]],
    ["volume", ["volume", "ls", "--quiet"], ["volume", "rm", "--force"]],
  ] as const;
  readonly #flags: readonly string[];
  readonly #containerd: ChildProcess;
  #daemon: ChildProcess | undefined;

  private constructor(runtime: string, work: string, flags: readonly string[]) {
    super(runtime, work);
    this.#flags = flags;
    this.#containerd = this.#startContainerd();
  }

  /** `flags` are further ones of dockerd. */
  static async start(runtime: string, work: string, flags: readonly string[] = []): Promise<Docker> {
    const engine = new Docker(runtime, work, flags);
    writeFileSync(join(work, "daemon.json"), documented(/docker.*daemon\.json/, runtime));
    // Nothing that is logged in to, no plug-ins of the developer's.
    mkdirSync(join(work, "client"));
    try {
      await engine.startDaemon();
      const tree = busyboxTree(join(work, "tree"));
      const archive = join(work, "tree.tar");
      const packed = spawnSync("tar", ["--owner=0", "--group=0", "--numeric-owner", "-C", tree, "-cf", archive, "."]);
      if (packed.status !== 0) throw new Error(`tar: ${packed.error?.message ?? packed.stderr}`);
      const path = "ENV PATH=/bin:/sbin";
      await engine.ok(["import", "--change", path, "--change", 'CMD ["sleep", "100000"]', archive, IMAGE]);
    } catch (error) {
      await engine.close();
      throw error;
    }
    return engine;
  }

  /** Not dockerd's own way to start one: that makes folders in /opt. */
  #startContainerd(): ChildProcess {
    const { work } = this;
    const config = join(work, "containerd.toml");
    writeFileSync(
      config,
      `version = 2
root = "${work}/containerd"
state = "${work}/containerd-state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.grpc.v1.cri"]
[grpc]
  address = "${work}/containerd.sock"
`,
    );
    return this.#spawn("containerd", ["--config", config]);
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    const log = openSync(join(this.work, `${program}.log`), "a");
    const daemon = spawn(program, args, { stdio: ["ignore", log, log], env: { ...process.env, PATH } });
    closeSync(log);
    return daemon;
  }

  /** Starts dockerd and waits until it answers. */
  async startDaemon(): Promise<void> {
    const { work } = this;
    const places = [
      ...["--config-file", join(work, "daemon.json"), "--data-root", join(work, "data")],
      ...["--exec-root", join(work, "exec"), "--pidfile", join(work, "docker.pid"), "--host", this.#socket],
      ...["--containerd", join(work, "containerd.sock")],
    ];
    // Hosts of tests seldom let anyone make bridges and rules for packets.
    const network = ["--bridge", "none", "--iptables=false", "--ip6tables=false"];
    const daemon = this.#spawn("dockerd", [...places, ...network, ...this.#flags]);
    this.#daemon = daemon;
    await until("dockerd to answer", async () => {
      if (daemon.exitCode !== null) throw new Error(`dockerd has ended:\n${this.log()}`);
      return (await this.call(["version"])).status === 0;
    });
  }

  /** As if it had crashed: containerd and the shims go on. */
  async killDaemon(): Promise<void> {
    await end(this.#daemon, "SIGKILL");
  }

  get #socket(): string {
    return `unix://${this.work}/docker.sock`;
  }

  command(args: readonly string[]): readonly [string, ...string[]] {
    return ["docker", ...args];
  }

  environment(): NodeJS.ProcessEnv {
    return { PATH, HOME: this.work, DOCKER_CONFIG: join(this.work, "client"), DOCKER_HOST: this.#socket };
  }

  protected usual(flags: readonly string[]): readonly string[] {
    return ["--runtime", "tsrun", ...(flags.includes("--network") ? [] : ["--network", "none"])];
  }

  cgroupName(id: string): string {
    return id;
  }

  log(): string {
    return readFileSync(join(this.work, "dockerd.log"), "utf8");
  }

  protected left(): readonly string[] {
    return [
      ...leftProcesses("containerd-shim"),
      // dockerd makes some once and keeps them.
      ...leftMounts(this.work, /\/exec\/netns\/default$|\/data(?:\/\d+\.\d+)?$/),
      ...leftCgroups("docker"),
      ...leftStates(join(this.work, "exec/runtime-tsrun/moby")),
      ...leftStates(`/run/${basename(this.runtime)}`),
    ];
  }

  async close(): Promise<void> {
    await end(this.#daemon, "SIGTERM");
    await end(this.#containerd, "SIGTERM");
    // With live-restore dockerd keeps its data folder mounted for the next one.
    for (const at of [...mountPoints(this.work)].reverse()) {
      const { status, stderr } = spawnSync("umount", [at], { encoding: "utf8" });
      if (status !== 0) throw new Error(stderr);
    }
  }
}
