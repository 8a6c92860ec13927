/** Podman with storage, state and configuration in one folder. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { IMAGE, writeBusyboxImage } from "../busybox-image.ts";
import { type Ended, execute, processes, until } from "../scenarios.ts";

export class Podman {
  readonly work: string;
  readonly #runtime: string;
  #count = 0;

  private constructor(runtime: string, work: string) {
    this.#runtime = runtime;
    this.work = work;
  }

  static async start(runtime: string, work: string): Promise<Podman> {
    const engine = new Podman(runtime, work);
    // The configuration of the host must not decide. Podman asks for JSON errors of those that are listed only.
    writeFileSync(
      join(work, "containers.conf"),
      `[containers]
log_driver = "k8s-file"
init_path = "/usr/bin/catatonit"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime_supports_json = ["${basename(runtime)}"]
`,
    );
    writeFileSync(join(work, "policy.json"), '{"default": [{"type": "insecureAcceptAnything"}]}');
    // For --userns auto. The mount namespace is private.
    for (const file of ["subuid", "subgid"]) {
      writeFileSync(join(work, file), "containers:200000:1000000\n");
      if (!existsSync(`/etc/${file}`)) continue;
      const bound = spawnSync("mount", ["--bind", join(work, file), `/etc/${file}`], { encoding: "utf8" });
      if (bound.status !== 0) throw new Error(bound.stderr);
    }
    const archive = join(work, "image.tar");
    writeBusyboxImage(join(work, "image"), archive);
    await engine.ok(["load", "--quiet", "--input", archive]);
    return engine;
  }

  podman(
    args: readonly string[],
    options: { readonly input?: string; readonly seconds?: number } = {},
  ): Promise<Ended> {
    return execute("podman", this.command(args).slice(1), { ...options, env: this.environment() });
  }

  environment(): NodeJS.ProcessEnv {
    return { PATH: process.env.PATH, HOME: this.work, CONTAINERS_CONF: join(this.work, "containers.conf") };
  }

  command(args: readonly string[]): string[] {
    const { work } = this;
    const places = ["--root", join(work, "storage"), "--runroot", join(work, "run"), "--tmpdir", join(work, "tmp")];
    return ["podman", ...places, "--storage-driver", "vfs", "--runtime", this.#runtime, ...args];
  }

  /** Runs podman, expects success and gives its standard output. */
  async ok(args: readonly string[], options: { readonly input?: string } = {}): Promise<string> {
    const ended = await this.podman(args, options);
    if (ended.status !== 0) {
      throw new Error(
        `podman ${args.join(" ")}: status ${ended.status} ${ended.signal ?? ""}\n${ended.stdout}${ended.stderr}`,
      );
    }
    return ended.stdout;
  }

  name(): string {
    return `c${++this.#count}`;
  }

  /** The arguments of `podman run`; no container gets a network unless a scenario says so. */
  run(flags: readonly string[], ...program: readonly string[]): string[] {
    const network = flags.some((flag) => /^--(network|pod)\b/.test(flag)) ? [] : ["--network", "none"];
    return ["run", ...network, ...flags, IMAGE, ...program];
  }

  /** Starts a container in the background and gives its name. */
  async detached(flags: readonly string[], ...program: readonly string[]): Promise<string> {
    const name = this.name();
    await this.ok(this.run(["--detach", "--name", name, ...flags], ...program));
    return name;
  }

  async inspect(name: string, format: string): Promise<string> {
    return (await this.ok(["inspect", "--format", format, name])).trim();
  }

  async remove(name: string): Promise<void> {
    await this.ok(["rm", "--force", "--time", "0", name]);
  }

  /** Removes what a scenario has left and tells what it was: with a right runtime, nothing. */
  async leftovers(): Promise<readonly string[]> {
    const left: string[] = [];
    for (const [kind, list, remove] of [
      ["pod", ["pod", "ps", "--quiet"], ["pod", "rm", "--force"]],
      ["container", ["ps", "--all", "--quiet"], ["rm", "--force", "--time", "0"]],
      ["volume", ["volume", "ls", "--quiet"], ["volume", "rm", "--force"]],
    ] as const) {
      for (const id of (await this.ok(list)).split("\n").filter((name) => name !== "")) {
        left.push(`${kind} ${id}`);
        await this.podman([...remove, id]);
      }
    }
    // conmon cleans up after podman has its answer.
    const seen = (): readonly string[] => [
      ...this.#conmons(),
      ...this.#mounts(),
      ...this.#cgroups(),
      ...this.#states(),
    ];
    await until("conmon to end", () => seen().length === 0, 30).catch(() => left.push(...seen()));
    return left;
  }

  #conmons(): readonly string[] {
    return processes()
      .filter(({ command }) => command.includes("conmon"))
      .map(({ pid, command }) => `process ${pid} ${command}`);
  }

  /** All but those that podman makes once and keeps. */
  #mounts(): readonly string[] {
    return readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes(this.work))
      .filter((line) => !/ \/etc\/sub[ug]id |\/storage\/vfs |\/run\/netns |\/storage /.test(line))
      .map((line) => `mount ${line}`);
  }

  #cgroups(): readonly string[] {
    const parents = readdirSync("/sys/fs/cgroup", { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join("/sys/fs/cgroup", name, "libpod_parent"));
    return [...parents, "/sys/fs/cgroup/libpod_parent"].filter(existsSync).flatMap((parent) =>
      readdirSync(parent)
        .filter((name) => /^libpod-/.test(name))
        .map((name) => `cgroup ${parent}/${name}`),
    );
  }

  /** The runtime's own. No container has a name with "@" (a cache may). */
  #states(): readonly string[] {
    return [`/run/${basename(this.#runtime)}`].filter(existsSync).flatMap((root) =>
      readdirSync(root)
        .filter((name) => !name.startsWith("@"))
        .map((name) => `state ${root}/${name}`),
    );
  }

  async close(): Promise<void> {}
}
