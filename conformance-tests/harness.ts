import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";

/** The runtime under test: RUNTIME=runc runs the same behaviour tests against a peer. */
export const RUNTIME = process.env.RUNTIME ?? resolve(__dirname, "../bin/tsrun");
/** Whether the runtime under test is tsrun itself (for what only tsrun promises). */
export const isTsrun = RUNTIME.endsWith("tsrun");

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The parts of config.json that tests change; everything else is passed through as it is. */
// biome-ignore lint/suspicious/noExplicitAny: a test edits arbitrary, also invalid, configurations
export type Config = Record<string, any>;

let rootfsTemplate: string | undefined;

/** A root file system with Debian's static busybox, made once per test process. */
function busyboxRootfs(work: string): string {
  rootfsTemplate ??= busyboxTree(join(work, "rootfs-template"));
  return rootfsTemplate;
}

/** Makes a root file system with Debian's static busybox in a new folder. */
export function busyboxTree(rootfs: string): string {
  for (const folder of ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "run", "var", "usr"])
    mkdirSync(join(rootfs, folder), { recursive: true });
  chmodSync(join(rootfs, "tmp"), 0o1777);
  cpSync("/bin/busybox", join(rootfs, "bin/busybox"));
  const applets = spawnSync("/bin/busybox", ["--list"], { encoding: "utf8" }).stdout.split("\n");
  for (const applet of applets)
    if (applet !== "" && applet !== "busybox") linkSync(join(rootfs, "bin/busybox"), join(rootfs, "bin", applet));
  symlinkSync("bin", join(rootfs, "sbin"));
  writeFileSync(
    join(rootfs, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  );
  writeFileSync(join(rootfs, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
  return rootfs;
}

/**
 * A sandbox for tests: its own state root, bundles, and cgroup parent (`/tsrun-test/…`). `close` deletes every container
 * and fails when the runtime has left a process, mount, cgroup or state behind.
 */
export class Sandbox {
  readonly work: string;
  readonly root: string;
  readonly name: string;
  #count = 0;

  constructor() {
    this.work = mkdtempSync("/tmp/tsrun-test-");
    chmodSync(this.work, 0o755);
    this.root = join(this.work, "state");
    mkdirSync(this.root, { mode: 0o700 });
    this.name = this.work.slice("/tmp/".length);
  }

  /** Runs the runtime with this sandbox's state root. */
  run(
    args: readonly string[],
    options: {
      input?: string;
      env?: NodeJS.ProcessEnv;
      cwd?: string;
      timeoutMs?: number;
      /** Ends the names of the files for its standard streams: a container that is still there keeps those of its own run. */
      suffix?: string;
      global?: readonly string[];
    } = {},
  ): Result {
    // Files, not pipes: a container inherits them, and a pipe that it holds would keep us waiting for its end.
    const [input, output, error] = ["in", "out", "err"].map((name) =>
      join(this.work, `std${name}${options.suffix ?? ""}`),
    ) as [string, string, string];
    writeFileSync(input, options.input ?? "");
    const stdio = [openSync(input, "r"), openSync(output, "w"), openSync(error, "w")];
    let result: SpawnSyncReturns<string>;
    try {
      result = spawnSync(RUNTIME, ["--root", this.root, ...(options.global ?? []), ...args], {
        encoding: "utf8",
        stdio: stdio as [number, number, number],
        env: options.env ?? { PATH: process.env.PATH },
        cwd: options.cwd ?? this.work,
        timeout: options.timeoutMs ?? 120_000,
        killSignal: "SIGKILL",
      });
    } finally {
      for (const fd of stdio) closeSync(fd);
    }
    if (result.error !== undefined) throw result.error;
    return { status: result.status, stdout: readFileSync(output, "utf8"), stderr: readFileSync(error, "utf8") };
  }

  /** Runs and expects success; the error shows everything otherwise. */
  ok(args: readonly string[], options: Parameters<Sandbox["run"]>[1] = {}): Result {
    const result = this.run(args, options);
    if (result.status !== 0)
      throw new Error(`${RUNTIME} ${args.join(" ")}: status ${result.status}\n${result.stdout}${result.stderr}`);
    return result;
  }

  id(): string {
    return `${this.name}-${++this.#count}`;
  }

  /** Makes a bundle whose program is `sh -c script` (or args), after `edit` has changed its config. */
  bundle(program: string | readonly string[], edit: (config: Config, bundle: string) => void = () => {}): string {
    const bundle = join(this.work, `bundle-${++this.#count}`);
    mkdirSync(bundle);
    // Hard links: a root file system of its own without the copy.
    const made = spawnSync("cp", ["-al", busyboxRootfs(this.work), join(bundle, "rootfs")]);
    if (made.status !== 0) throw new Error(`cp: ${made.stderr}`);
    // Files that tests write to must not be shared.
    for (const file of ["etc/passwd", "etc/group"]) {
      const text = readFileSync(join(bundle, "rootfs", file));
      rmSync(join(bundle, "rootfs", file));
      writeFileSync(join(bundle, "rootfs", file), text);
    }
    const config = defaultConfig();
    config.process.terminal = false;
    config.process.args = typeof program === "string" ? ["sh", "-c", program] : [...program];
    config.linux.cgroupsPath = `/tsrun-test/${this.name}-${this.#count}`;
    edit(config, bundle);
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config, null, 2));
    return bundle;
  }

  /** `run` in the foreground: what the program printed and how it ended. */
  container(
    program: string | readonly string[],
    edit?: (config: Config, bundle: string) => void,
    flags: readonly string[] = [],
  ): Result {
    return this.run(["run", "--bundle", this.bundle(program, edit), ...flags, this.id()]);
  }

  state(id: string): {
    status: string;
    pid: number;
    id: string;
    ociVersion: string;
    bundle: string;
    annotations?: Record<string, string>;
  } {
    return JSON.parse(this.ok(["state", id]).stdout);
  }

  /** Deletes what is left, then says what of it the runtime failed to clean. */
  close(): void {
    for (const id of readdirSync(this.root).filter((entry) => !entry.startsWith("@")))
      this.run(["delete", "--force", id]);
    const left = this.leftovers();
    spawnSync("rm", ["-rf", "--one-file-system", this.work]);
    removeCgroups(this.name);
    rootfsTemplate = undefined;
    if (left.length > 0) throw new Error(`left behind:\n${left.join("\n")}`);
  }

  /** State entries, processes, mounts and cgroups of this sandbox that are still there. */
  leftovers(): string[] {
    // The cache of compiled filters is to stay.
    const left = readdirSync(this.root)
      .filter((entry) => entry !== "@seccomp")
      .map((entry) => `state ${entry}`);
    for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n"))
      if (line.includes(this.name)) left.push(`mount ${line}`);
    left.push(...cgroups(this.name).map((path) => `cgroup ${path}`));
    for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
      try {
        // A zombie is its new parent's to reap, when that gets to it.
        if (
          readFileSync(`/proc/${pid}/stat`, "utf8")
            .replace(/^.*\) /s, "")
            .startsWith("Z")
        )
          continue;
        // tsrun-init before it joins its cgroup: by its standard output, which is a file of ours.
        const own = readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "tsrun-init";
        if (own && readlinkSync(`/proc/${pid}/fd/1`).startsWith(this.work)) left.push(`process ${pid}`);
        else if (readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(`/tsrun-test/${this.name}`))
          left.push(`process ${pid}`);
      } catch (error) {
        if (!["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
      }
    }
    return left;
  }
}

/** The spec bundle's config, as the runtime's own `spec` command writes it. */
export function defaultConfig(): Config {
  if (cachedConfig === undefined) {
    const folder = mkdtempSync("/tmp/tsrun-spec-");
    try {
      const made = spawnSync(RUNTIME, ["spec", "--bundle", folder], { encoding: "utf8" });
      if (made.status !== 0) throw new Error(`${RUNTIME} spec: ${made.stderr}`);
      cachedConfig = readFileSync(join(folder, "config.json"), "utf8");
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  return JSON.parse(cachedConfig);
}
let cachedConfig: string | undefined;

/** Mount points of the cgroup hierarchies of this host. */
export function hierarchies(): string[] {
  if (existsSync("/sys/fs/cgroup/cgroup.controllers")) return ["/sys/fs/cgroup"];
  return readdirSync("/sys/fs/cgroup", { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join("/sys/fs/cgroup", entry.name));
}

function cgroups(name: string): string[] {
  return hierarchies().flatMap((hierarchy) => {
    const parent = join(hierarchy, "tsrun-test");
    if (!existsSync(parent)) return [];
    return readdirSync(parent)
      .filter((entry) => entry.startsWith(name))
      .map((entry) => join(parent, entry));
  });
}

function removeCgroups(name: string): void {
  for (const path of cgroups(name)) spawnSync("find", [path, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
  for (const hierarchy of hierarchies()) spawnSync("rmdir", [join(hierarchy, "tsrun-test")]);
}

const PATIENCE_MS = 120_000;

/** Polls until the condition holds; throws with `what` after two minutes. */
export function waitFor(what: string, condition: () => boolean): void {
  const nap = new Int32Array(new SharedArrayBuffer(4));
  // By the clock: a condition may take a second itself.
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; Atomics.wait(nap, 0, 0, 10)) {
    if (condition()) return;
  }
  throw new Error(`waited in vain for ${what}`);
}
