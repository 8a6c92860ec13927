// Writes V8's code cache of each program in dist/, made after commands have run in it, so that it also holds the functions that V8
// compiles lazily, and only those that are used. Run by the Node that will run tsrun, as whoever installs it: nothing is changed
// on the host, since the addon's part of each command is left out.
"use strict";
const { execFileSync, spawnSync } = require("node:child_process");
const {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { Script } = require("node:vm");

/** As bin/tsrun starts Node (addon/launcher/main.cc): V8 takes no cache that was made with other options of its own. */
const options = ["--no-warnings", "--min-semi-space-size=4"];

const cacheOf = (filename) => filename.replace(/cjs$/, "cache");

const [mode, program, json] = process.argv.slice(2);
if (mode === "--warm") warm(join(__dirname, program), JSON.parse(json));
else writeAll();

/** Runs the commands one after another in this process, each in a program of its own but compiled once; then writes the cache. */
function warm(filename, commands) {
  pretendSessions();
  const source = readFileSync(filename, "latin1");
  const script = new Script(source, { filename });
  const next = () => {
    const command = commands.shift();
    if (command === undefined) {
      const cache = cacheOf(filename);
      writeFileSync(`${cache}.new`, script.createCachedData());
      renameSync(`${cache}.new`, cache);
      return;
    }
    // How each of them ends.
    process.exit = (status) => {
      if (command.status === undefined || status === command.status) setImmediate(next);
      else throw new Error(`${command.args.join(" ")}: exit status ${status}, not ${command.status}`);
    };
    process.argv = [process.argv[0], join(__dirname, "main.cjs"), ...command.args];
    script.runInThisContext()(exports, require, module, filename, __dirname);
  };
  next();
}

/** The addon as it is, but for its sessions, which do nothing and say that all went well. */
function pretendSessions() {
  const nothing = Buffer.alloc(0);
  class Session {
    execute() {
      return { pid: process.ppid, host: nothing, container: nothing };
    }
    commit() {}
    rollback() {}
    watchSignals() {}
    adoptOrphans() {}
    attach() {
      return { killed: false, value: 0 };
    }
    close() {}
  }
  const { dlopen } = process;
  process.dlopen = (module, path) => {
    dlopen(module, path);
    const exit = (status) => process.exit(status);
    module.exports = Object.create(module.exports, { Session: { value: Session }, exit: { value: exit } });
  };
}

function writeAll() {
  const work = mkdtempSync(join(tmpdir(), "tsrun-cache-"));
  process.title = "tsrun-init"; // The containers' process: this one.
  try {
    const root = join(work, "state");
    const bundle = writeBundle(join(work, "bundle"), (config) => config);
    const engine = writeBundle(join(work, "engine"), likeAnEngine);
    const on = (status, ...args) => ({ status, args: ["--root", root, ...args] });
    // What users may do, and what this host has for an engine's bundle, is not the same everywhere.
    const hasCgroups = existsSync("/sys/fs/cgroup/cgroup.controllers") || existsSync("/sys/fs/cgroup/memory");
    const able = process.geteuid() === 0 && hasCgroups ? 0 : undefined;
    const bundles = [
      [bundle, able],
      [engine, undefined],
    ];
    const control = [
      on(0, "state", "running"),
      on(0, "list"),
      on(0, "start", "created"),
      on(0, "kill", "running", "0"),
      on(1, "kill", "stopped"),
      on(1, "delete", "running"),
      on(0, "delete", "--force", "running"),
      on(0, "delete", "stopped"),
      on(1, "state", "no-such-container"),
    ];
    const container = [
      ...bundles.map(([path, status], i) =>
        on(status, "create", "-b", path, "--pid-file", join(work, "pid"), `create${i}`),
      ),
      ...bundles.map(([path, status], i) => on(status, "run", "-b", path, `run${i}`)),
      on(able, "exec", "running", "true"),
    ];
    for (const [name, commands] of Object.entries({ tsrun: [on(able, "plan", bundle)], container, control })) {
      rmSync(root, { recursive: true, force: true });
      mkdirSync(root, { mode: 0o700 });
      for (const id of ["created", "running", "stopped"]) writeContainer(root, bundle, id);
      write(`${name}.cjs`, commands);
    }
  } finally {
    rmSync(work, { recursive: true });
  }
}

function writeBundle(path, change) {
  mkdirSync(join(path, "rootfs"), { recursive: true });
  execFileSync(process.execPath, [...options, join(__dirname, "main.cjs"), "spec", "--bundle", path]);
  const config = JSON.parse(readFileSync(join(path, "config.json"), "utf8"));
  config.process.terminal = false;
  writeFileSync(join(path, "config.json"), JSON.stringify(change(config)));
  return path;
}

/** With what engines add to it. */
function likeAnEngine(config) {
  config.process.user = { uid: 0, gid: 0, additionalGids: [0, 1] };
  config.process.oomScoreAdj = 0;
  config.hostname = "engine";
  config.annotations = { "org.example": "1" };
  config.mounts.push(
    { destination: "/a", type: "bind", source: "/etc/hostname", options: ["rbind", "rprivate"] },
    { destination: "/b", type: "bind", source: "/tmp", options: ["rbind", "rprivate", "ro", "nosuid", "nodev"] },
  );
  config.hooks = {
    prestart: [{ path: "/bin/true", args: ["true"] }],
    poststop: [{ path: "/bin/true", args: ["true"] }],
  };
  config.linux.cgroupsPath = "/tsrun/engine";
  config.linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "0" };
  config.linux.resources = {
    ...config.linux.resources,
    memory: { limit: 512 << 20, reservation: 256 << 20 },
    cpu: { shares: 512, quota: 150_000, period: 100_000 },
    pids: { limit: 1000 },
    devices: [
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 1, minor: 3, access: "rwm" },
    ],
  };
  const allow = (names, args) => ({ names, action: "SCMP_ACT_ALLOW", ...(args && { args }) });
  config.linux.seccomp = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    syscalls: [
      allow(["read", "write", "close"]),
      allow(["personality"], [{ index: 0, value: 0, op: "SCMP_CMP_EQ" }]),
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
    ],
  };
  return config;
}

function write(program, commands) {
  rmSync(cacheOf(join(__dirname, program)), { force: true });
  const { status, stderr } = spawnSync(
    process.execPath,
    [...options, __filename, "--warm", program, JSON.stringify(commands)],
    { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`cannot make the code cache of ${program}:\n${stderr}`);
}

/** As create records it (src/state/record.ts); a command that does not understand it fails, and so does this. */
function writeContainer(root, bundle, id) {
  mkdirSync(join(root, id), { mode: 0o700 });
  cpSync(join(bundle, "config.json"), join(root, id, "config.json"));
  for (const name of ["lock", "journal", ...(id === "created" ? ["gate"] : [])])
    writeFileSync(join(root, id, name), "");
  const init = { pid: process.pid, startTime: id === "stopped" ? "1" : startTime(process.pid) };
  const record = {
    ...{ format: 1, id, bundle, rootfs: join(bundle, "rootfs"), init },
    ...{ created: new Date().toISOString(), ownerUid: process.geteuid(), annotations: {}, cgroups: [] },
    ...{ sharesPidNamespace: false, hooks: { poststart: false, poststop: false }, hasProcess: true },
  };
  writeFileSync(join(root, id, "state.json"), JSON.stringify(record));
}

/** Field 22 of proc_pid_stat(5). */
function startTime(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}
