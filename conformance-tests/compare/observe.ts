/**
 * observe.ts REQUEST: runs bundles with runtimes and writes what their containers showed, a JSON line each. Runs in mount
 * and network namespaces of its own (see run.ts), so what a runtime leaves there is seen and ends with them.
 *
 * A container is looked at from inside (the probe is its program, and is executed in it once more), from outside while it
 * runs (namespaces, cgroup values, oom score, `state`) and by what is left when it is deleted.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { defaultConfig } from "../harness.ts";
import type { Bundle, Config, Host, Peer, Place } from "./bundle.ts";
import { findBundle } from "./bundles.ts";
import { cgroupFacts, type Facts, insideFacts, parseProbe, stateFacts } from "./facts.ts";
import { readHost } from "./host.ts";
import { profileOf } from "./profiles.ts";

export interface Runtime {
  readonly name: string;
  readonly path: string;
  readonly version: string;
}

export interface Request {
  readonly bundles: readonly string[];
  readonly runtimes: readonly Runtime[];
  /** An empty folder of ours. */
  readonly work: string;
  /** A root file system with the probe in it, and a folder with the probe alone. */
  readonly template: string;
  readonly probe: string;
  readonly output: string;
}

export interface Observation {
  readonly bundle: string;
  readonly runtime: string;
  /** Why it was not run. */
  readonly skipped?: string;
  /** Why the comparison itself came to no end. */
  readonly failed?: string;
  readonly facts: Facts;
  /** What the runtime said when it failed, or what it did not do in time: for people. */
  readonly messages: readonly string[];
}

const PROBE = "/probe";
const ID = "compared";

const nap = new Int32Array(new SharedArrayBuffer(4));
/** Polls for up to 20 s. */
function until(condition: () => boolean): boolean {
  for (let i = 0; i < 10_000; i++) {
    if (condition()) return true;
    Atomics.wait(nap, 0, 0, 2);
  }
  return false;
}

const readIf = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // Files of processes and cgroups go at any time, and some cannot be read at all.
    if (
      ["ENOENT", "ESRCH", "EINVAL", "EACCES", "EOPNOTSUPP", "EIO", "EPERM"].includes(
        (error as NodeJS.ErrnoException).code ?? "",
      )
    )
      return undefined;
    throw error;
  }
};

function ok(program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
}

/** One runtime with one bundle. */
class Run {
  readonly facts: Facts = {};
  readonly messages: string[] = [];
  readonly #runtime: Runtime;
  readonly #bundle: Bundle;
  readonly #request: Request;
  readonly #place: Omit<Place, "sandboxPid">;
  readonly #root: string;
  #console: ChildProcess | undefined;
  #imageBefore: Facts = {};

  constructor(runtime: Runtime, bundle: Bundle, request: Request) {
    this.#runtime = runtime;
    this.#bundle = bundle;
    this.#request = request;
    const { work } = request;
    this.#root = join(work, "state");
    this.#place = {
      bundle: join(work, "bundle"),
      rootfs: join(work, "bundle/rootfs"),
      work: join(work, "work"),
      id: ID,
      profile: profileOf,
    };
  }

  #command(name: string, args: readonly string[], output = "out"): number | null {
    // As a program's stdin: a file of ours that is /dev/null, since some runtimes give it to the container's user.
    const stdio = [
      openSync(join(this.#request.work, "null"), "r"),
      ...[output, `${output}.err`].map((file) => openSync(join(this.#request.work, file), "w")),
      openSync(join(this.#request.work, "preserved"), "w"),
    ];
    const result = spawnSync(this.#runtime.path, ["--root", this.#root, name, ...args], {
      stdio,
      env: { PATH: process.env.PATH, XDG_RUNTIME_DIR: "/nowhere" },
      cwd: this.#request.work,
      timeout: 20_000,
      killSignal: "SIGKILL",
    });
    for (const fd of stdio) closeSync(fd);
    if (result.error !== undefined) this.messages.push(`${name}: ${result.error.message}`);
    else if (result.status !== 0)
      this.messages.push(`${name}: status ${result.status}: ${this.#text(`${output}.err`).trim()}`);
    return result.status;
  }

  #text(file: string): string {
    return readIf(join(this.#request.work, file)) ?? "";
  }

  #write(folder: string, config: Config): void {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  }

  #baseConfig(cgroup: string): Config {
    const config = defaultConfig();
    // crun knows no later one.
    config.ociVersion = "1.0.2";
    config.process.terminal = false;
    config.process.args = [PROBE, ...(this.#bundle.probe ?? []), "--wait"];
    config.linux.cgroupsPath = `/tsrun-test/compare-${process.pid}/${cgroup}`;
    return config;
  }

  run(): void {
    const { work, template, probe } = this.#request;
    const { image } = this.#bundle;
    const lower = image === undefined ? template : `${probe}:${image}`;
    for (const name of ["bundle/rootfs", "upper", "overlay", "work", "state"])
      mkdirSync(join(work, name), { recursive: true, mode: name === "state" ? 0o700 : 0o755 });
    ok("mknod", "-m", "666", join(work, "null"), "c", "1", "3");
    const { rootfs } = this.#place;
    // Not a peer of anything: what is mounted into it stays there.
    ok(
      "mount",
      "-t",
      "overlay",
      "-o",
      `lowerdir=${lower},upperdir=${work}/upper,workdir=${work}/overlay`,
      "overlay",
      rootfs,
    );
    const cleanups: (() => void)[] = [];
    try {
      this.#contain(cleanups);
    } finally {
      for (const cleanup of cleanups.reverse()) cleanup();
      this.#console?.kill("SIGKILL");
      this.#left();
      this.#unmountAll();
      rmSync(work, { recursive: true });
      mkdirSync(work);
    }
  }

  #contain(cleanups: (() => void)[]): void {
    const bundle = this.#bundle;
    bundle.prepare?.({ ...this.#place, sandboxPid: 0 });
    for (const name of bundle.hookLogs ?? []) writeFileSync(join(this.#place.work, name), "");
    this.#imageBefore = this.#image();
    let sandboxPid = 0;
    if (bundle.sandbox !== undefined) {
      const folder = join(this.#request.work, "sandbox");
      const config = this.#baseConfig("sandbox");
      config.root.path = this.#place.rootfs;
      bundle.sandbox(config, { ...this.#place, sandboxPid });
      this.#write(folder, config);
      cleanups.push(() => this.#command("delete", ["--force", "sandbox"], "sandbox-delete"));
      if (
        !this.#did(
          "sandbox",
          this.#command("create", ["--bundle", folder, "--pid-file", join(folder, "pid"), "sandbox"], "sandbox-out"),
        )
      )
        return;
      if (!this.#did("sandbox", this.#command("start", ["sandbox"], "sandbox-start"))) return;
      sandboxPid = Number(readFileSync(join(folder, "pid"), "utf8"));
      if (!until(() => parseProbe(this.#text("sandbox-out")) !== undefined))
        this.messages.push("the sandbox's probe did not end");
    }
    const place: Place = { ...this.#place, sandboxPid };
    cleanups.push(() => bundle.cleanUp?.(place));
    const config = this.#baseConfig("container");
    bundle.edit(config, place);
    this.#write(place.bundle, config);
    const terminal = config.process.terminal === true && bundle.noConsole !== true;
    const flags = [...(bundle.flags ?? []), ...(terminal ? ["--console-socket", this.#openConsole()] : [])];
    const pidFile = join(place.bundle, "pid");
    const output = terminal ? "console" : "out";
    cleanups.push(() => {
      if (this.facts["outcome/delete"] !== "done") this.#command("delete", ["--force", ID], "delete");
    });
    if (!this.#did("create", this.#command("create", ["--bundle", place.bundle, "--pid-file", pidFile, ...flags, ID])))
      return;
    const pid = Number(readFileSync(pidFile, "utf8"));
    if (bundle.thorough) this.#state("created");
    this.#outside("created", pid);
    if (!this.#did("start", this.#command("start", [ID], "start"))) return;
    const alive = () => !/^(Z|X|undefined)/.test(stateOf(pid));
    const said = () => parseProbe(this.#text(output)) !== undefined;
    until(() => said() || !alive());
    const inside = parseProbe(this.#text(output));
    if (inside === undefined) {
      this.messages.push(`the probe did not end: ${this.#text("out.err")}`);
      this.facts["outcome/probe"] = "did not end";
    } else this.#add("init", insideFacts(inside));
    if (!alive()) {
      this.facts["outcome/probe"] = "the container stopped";
      return;
    }
    this.#state("running");
    if (this.#runtime.name === "tsrun") this.#explain();
    this.#outside("running", pid);
    this.#cgroups(pid);
    if (bundle.exec !== "none") {
      this.#did(
        "exec",
        this.#command(
          "exec",
          [...(bundle.exec ?? []), ID, PROBE, ...(bundle.probe ?? []).filter((each) => !each.startsWith("--"))],
          "exec",
        ),
      );
      const facts = parseProbe(this.#text("exec"));
      if (facts !== undefined) this.#add("exec", insideFacts(facts));
    }
    this.#did("kill", this.#command("kill", [ID, "TERM"], "kill"));
    if (!until(() => !alive())) this.messages.push("SIGTERM did not end the container");
    if (bundle.thorough) this.#state("stopped");
    this.#did("delete", this.#command("delete", [ID], "delete"));
    for (const name of bundle.hookLogs ?? [])
      Object.assign(this.facts, hookFacts(readFileSync(join(place.work, name), "utf8")));
  }

  #did(what: string, status: number | null): boolean {
    this.facts[`outcome/${what}`] = status === 0 ? "done" : "refused";
    return status === 0;
  }

  #add(prefix: string, facts: Facts): void {
    for (const [key, value] of Object.entries(facts)) this.facts[`${prefix}/${key}`] = value;
  }

  #state(when: string): void {
    if (this.#command("state", [ID], "state-out") === 0)
      Object.assign(this.facts, stateFacts(`state ${when}`, this.#text("state-out")));
  }

  /** What tsrun itself finds not to be as configured: nothing, so that a peer without the command shows the same. */
  #explain(): void {
    if (this.#command("explain", ["--format", "json", ID], "explain") === 2) {
      this.facts["outcome/explain"] = "refused";
      return;
    }
    const { items } = JSON.parse(this.#text("explain")) as {
      items: { section: string; name: string; verdict: string; configured?: unknown; actual?: unknown }[];
    };
    for (const { section, name, verdict, configured, actual } of items)
      if (verdict === "differs")
        this.facts[`explain/${section}/${name}`] = `${JSON.stringify(configured)}, found ${JSON.stringify(actual)}`;
  }

  /** What the host sees of the container's init. */
  #outside(when: string, pid: number): void {
    const of = (file: string): string => readIf(`/proc/${pid}/${file}`)?.trim() ?? "missing";
    const facts: Facts = {
      oom_score_adj: of("oom_score_adj"),
      loginuid: of("loginuid"),
      attr: of("attr/current").replaceAll("\0", ""),
      setgroups: of("setgroups"),
      uid_map: of("uid_map").replace(/ +/g, " "),
      gid_map: of("gid_map").replace(/ +/g, " "),
      ...cgroupFacts("cgroup of", of("cgroup")),
    };
    for (const type of [
      "cgroup",
      "ipc",
      "mnt",
      "net",
      "pid",
      "pid_for_children",
      "time",
      "time_for_children",
      "user",
      "uts",
    ]) {
      const own = readlinkSync(`/proc/self/ns/${type}`);
      const theirs = readlinkSync(`/proc/${pid}/ns/${type}`);
      facts[`namespace/${type}`] = own === theirs ? "the host's" : "its own";
    }
    this.#add(`outside ${when}`, facts);
  }

  /** Files of the container's cgroups that are not as in a new one. */
  #cgroups(pid: number): void {
    for (const [hierarchy, mountPoint] of cgroupMounts()) {
      const path = cgroupFacts("", readIf(`/proc/${pid}/cgroup`) ?? "")[`/${hierarchy}`];
      if (path === undefined || !path.includes(`compare-${process.pid}`)) continue;
      const fresh = freshCgroup(mountPoint);
      for (const [file, value] of Object.entries(cgroupFiles(join(mountPoint, path))))
        if (value !== fresh[file]) this.facts[`cgroup ${hierarchy}/${file}`] = value;
    }
  }

  /** What is there that was not before, after delete. */
  #left(): void {
    const { work } = this.#request;
    // The cache of compiled filters is to stay.
    for (const name of readdirSync(this.#root)) if (name !== "@seccomp") this.facts[`left/state ${name}`] = "there";
    for (const line of (readIf("/proc/self/mountinfo") ?? "").split("\n")) {
      const target = line.split(" ")[4] ?? "";
      if (target.startsWith(work) && target !== this.#place.rootfs && !target.startsWith(this.#place.work))
        this.facts[`left/mount ${target.slice(work.length)}`] = "there";
    }
    for (const [hierarchy, mountPoint] of cgroupMounts()) {
      const parent = join(mountPoint, `tsrun-test/compare-${process.pid}`);
      if (!existsSync(parent)) continue;
      for (const name of readdirSync(parent, { withFileTypes: true }))
        if (name.isDirectory() && name.name !== "fresh") this.facts[`left/cgroup ${hierarchy} ${name.name}`] = "there";
      removeCgroups(parent, (name) => name !== "fresh");
    }
    // What it made in the image.
    for (const [path, file] of Object.entries(this.#image()))
      if (file !== this.#imageBefore[path]) this.facts[`left/root ${path}`] = file;
    for (const name of ["null", "out", "out.err"]) {
      const path = join(work, name);
      if (!existsSync(path)) continue;
      const { uid, gid, mode } = statSync(path);
      this.facts[`left/owner of ${name}`] = `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
    }
  }

  /** The changed part of the container's root. */
  #image(): Facts {
    const files: Facts = {};
    const upper = join(this.#request.work, "upper");
    const walk = (folder: string): void => {
      for (const name of readdirSync(folder)) {
        const path = join(folder, name);
        const file = lstatSync(path);
        const kind = file.isSymbolicLink()
          ? `link to ${readlinkSync(path)}`
          : file.isDirectory()
            ? "directory"
            : file.isFile()
              ? "file"
              : "special file";
        files[path.slice(upper.length)] = `${kind} ${(file.mode & 0o7777).toString(8)} ${file.uid}:${file.gid}`;
        if (file.isDirectory()) walk(path);
      }
    };
    walk(upper);
    return files;
  }

  #unmountAll(): void {
    const { work } = this.#request;
    const targets = (readIf("/proc/self/mountinfo") ?? "")
      .split("\n")
      .map((line) => line.split(" ")[4] ?? "")
      .filter((target) => target.startsWith(work));
    for (const target of targets.reverse()) ok("umount", "-l", target);
  }

  #openConsole(): string {
    const { work } = this.#request;
    const socket = join(work, "console.sock");
    const fd = openSync(join(work, "console"), "w");
    this.#console = spawn("python3", [join(__dirname, "../console.py"), socket, ""], {
      stdio: ["ignore", fd, "inherit"],
    });
    closeSync(fd);
    if (!until(() => this.#text("console").includes("listening")))
      throw new Error("the console's other end did not come up");
    return socket;
  }
}

/** What hooks wrote: `== NAME DIRECTORY`, then the state on their standard input. */
function hookFacts(text: string): Facts {
  const facts: Facts = { "hooks in order": "" };
  for (const [, name, directory, json] of text.matchAll(/^== (\S+) (\S*)\n(.*)$/gm)) {
    facts["hooks in order"] += `${name} `;
    facts[`hook ${name}/directory`] = directory ?? "";
    Object.assign(facts, stateFacts(`hook ${name}`, json === "" || json === undefined ? "{}" : json));
  }
  return facts;
}

const stateOf = (pid: number): string => {
  const stat = readIf(`/proc/${pid}/stat`);
  return stat === undefined ? "undefined" : stat.replace(/^.*\) /s, "");
};

/** Hierarchies in sight: the name in /proc/PID/cgroup, and where they are mounted. */
function cgroupMounts(): [string, string][] {
  const mounts: [string, string][] = [];
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const [before, after] = line.split(" - ");
    const [type, , options] = (after ?? "").split(" ");
    const target = before?.split(" ")[4] ?? "";
    // A mount below another one is listed and cannot be seen.
    if (!target.startsWith("/sys/fs/cgroup") || !existsSync(join(target, "cgroup.procs"))) continue;
    if (mounts.some(([, other]) => other === target)) continue;
    if (type === "cgroup2") mounts.push(["v2", target]);
    else if (type === "cgroup")
      mounts.push([
        (options ?? "")
          .split(",")
          .filter((each) => !["rw", "ro", "xattr", "clone_children"].includes(each))
          .join(","),
        target,
      ]);
  }
  return mounts;
}

/** What happens to run, or counts; and what needs no look because it is written only. */
const VOLATILE =
  /stat|usage|pressure|failcnt|\.current$|\.peak$|events|cgroup\.(procs|threads|kill|freeze|controllers)$|tasks$|cpuacct|numa|io_|effective_|\.effective$|throttled|sectors|time|_merged|_queued|_service|_wait|kmem\.slabinfo|event_control|memory\.reclaim|max_usage|freezer\.(self|parent)/;
/** Named above by a part of a word, and settings all the same. */
const SETTINGS = /^(cpu\.(cfs_quota_us|cfs_period_us|rt_runtime_us|rt_period_us)|memory\.oom_control|cpuset\..*)$/;

function cgroupFiles(folder: string): Facts {
  const files: Facts = {};
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isFile() || (VOLATILE.test(entry.name) && !SETTINGS.test(entry.name))) continue;
    const text = readIf(join(folder, entry.name));
    // How often it was so is not what was set.
    if (text !== undefined) files[entry.name] = settled(entry.name, text);
  }
  const { uid, gid } = statSync(folder);
  files["(owner)"] = `${uid}:${gid}`;
  return files;
}

/** Without how often something happened, and without the order of what has none. */
function settled(name: string, text: string): string {
  const lines = text.trim().split("\n");
  if (name === "memory.oom_control") return lines.filter((line) => line.startsWith("oom_kill_disable")).join("\n");
  return (name === "devices.list" ? lines.sort() : lines).join("\n");
}

const freshCgroups = new Map<string, Facts>();
function freshCgroup(mountPoint: string): Facts {
  let fresh = freshCgroups.get(mountPoint);
  if (fresh === undefined) {
    const folder = join(mountPoint, `tsrun-test/compare-${process.pid}/fresh`);
    mkdirSync(dirname(folder), { recursive: true });
    mkdirSync(folder);
    fresh = cgroupFiles(folder);
    freshCgroups.set(mountPoint, fresh);
    rmdirSync(folder);
  }
  return fresh;
}

function removeCgroups(parent: string, which: (name: string) => boolean): void {
  for (const entry of readdirSync(parent, { withFileTypes: true })) {
    if (!entry.isDirectory() || !which(entry.name)) continue;
    const folder = join(parent, entry.name);
    removeCgroups(folder, () => true);
    // A process that was just killed may still be on its way out.
    until(() => spawnSync("rmdir", [folder]).status === 0 || !existsSync(folder));
  }
}

function main(): void {
  const request: Request = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));
  const host: Host = readHost();
  chmodSync(request.work, 0o755);
  try {
    for (const name of request.bundles) {
      const bundle = findBundle(name);
      const skipped = bundle.needs?.(host);
      for (const runtime of request.runtimes) {
        const without = bundle.without?.[runtime.name as Peer];
        if ((typeof without === "function" ? without(host, runtime.version) : without) !== undefined) continue;
        const observation: Observation =
          skipped !== undefined
            ? { bundle: name, runtime: runtime.name, skipped, facts: {}, messages: [] }
            : observe(runtime, bundle, request);
        appendFileSync(request.output, `${JSON.stringify(observation)}\n`);
      }
    }
  } finally {
    for (const [, mountPoint] of cgroupMounts()) {
      const parent = join(mountPoint, `tsrun-test/compare-${process.pid}`);
      if (!existsSync(parent)) continue;
      removeCgroups(parent, () => true);
      rmdirSync(parent);
      // The parent may hold those of other tests.
      spawnSync("rmdir", [join(mountPoint, "tsrun-test")]);
    }
  }
}

function observe(runtime: Runtime, bundle: Bundle, request: Request): Observation {
  const run = new Run(runtime, bundle, request);
  try {
    run.run();
  } catch (error) {
    // The others go on.
    const why = error instanceof Error ? error.message : String(error);
    return { bundle: bundle.name, runtime: runtime.name, failed: why, facts: run.facts, messages: run.messages };
  }
  return { bundle: bundle.name, runtime: runtime.name, facts: run.facts, messages: run.messages };
}

if (resolve(process.argv[1] ?? "") === __filename) main();
