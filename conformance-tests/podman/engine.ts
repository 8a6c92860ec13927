/** Podman with storage, state and configuration in one folder. */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { writeBusyboxImage } from "../busybox-image.ts";
import { Engine } from "../engines/engine.ts";
import { leftCgroups, leftMounts, leftProcesses, leftStates } from "../left.ts";

export class Podman extends Engine {
  readonly cannotCreate = 126;
  readonly missingInExec = 127;
  readonly topColumns = ["pid", "args"];
  protected readonly kinds = [
    ["pod", ["pod", "ps", "--quiet"], ["pod", "rm", "--force"]],
    ["container", ["ps", "--all", "--quiet"], ["rm", "--force", "--time", "0"]],
    ["volume", ["volume", "ls", "--quiet"], ["volume", "rm", "--force"]],
  ] as const;

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

  environment(): NodeJS.ProcessEnv {
    return { PATH: process.env.PATH, HOME: this.work, CONTAINERS_CONF: join(this.work, "containers.conf") };
  }

  command(args: readonly string[]): readonly [string, ...string[]] {
    const { work } = this;
    const places = ["--root", join(work, "storage"), "--runroot", join(work, "run"), "--tmpdir", join(work, "tmp")];
    return ["podman", ...places, "--storage-driver", "vfs", "--runtime", this.runtime, ...args];
  }

  protected usual(flags: readonly string[]): readonly string[] {
    return flags.some((flag) => /^--(network|pod)\b/.test(flag)) ? [] : ["--network", "none"];
  }

  cgroupName(id: string): string {
    return `libpod-${id}`;
  }

  /** Without the ten seconds that it gives a container to end. */
  override async remove(name: string): Promise<void> {
    await this.ok(["rm", "--force", "--time", "0", name]);
  }

  protected left(): readonly string[] {
    return [
      ...leftProcesses("conmon"),
      // Podman makes some once and keeps them.
      ...leftMounts(this.work, /\/storage(\/vfs)?$|\/run\/netns$/),
      // conmon's own, "conmon", stays.
      ...leftCgroups("libpod_parent").filter((cgroup) => /\/libpod-[^/]*$/.test(cgroup)),
      ...leftStates(`/run/${basename(this.runtime)}`),
    ];
  }

  async close(): Promise<void> {}
}
