// Writes V8's code cache of each program in dist/, made after commands have run in it, so that it also holds the functions that V8
// compiles lazily, and only those that are used. Run by the Node that will run tsrun, as whoever installs it: the commands that
// would change the host are made to fail at their first step.
"use strict";
const { execFileSync, spawnSync } = require("node:child_process");
const { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { Script } = require("node:vm");

const [mode, program, json] = process.argv.slice(2);
if (mode === "--warm") warm(join(__dirname, program), JSON.parse(json));
else writeAll();

/** Runs the commands one after another in this process, each in a program of its own but compiled once; then writes the cache. */
function warm(filename, commands) {
  const source = readFileSync(filename, "latin1");
  // The same text as in main.cjs: V8 compares it.
  const script = new Script(`(function(exports,require,module,__filename,__dirname){${source}\n})`, { filename });
  const next = () => {
    const command = commands.shift();
    if (command === undefined) {
      const file = filename.replace(/cjs$/, "cache");
      writeFileSync(`${file}.new`, script.createCachedData());
      renameSync(`${file}.new`, file);
      return;
    }
    // How each of them ends.
    process.exit = (status) => {
      if (status === command.status) setImmediate(next);
      else throw new Error(`${command.args.join(" ")}: exit status ${status}, not ${command.status}`);
    };
    process.argv = [process.argv[0], join(__dirname, "main.cjs"), ...command.args];
    script.runInThisContext()(exports, require, module, filename, __dirname);
  };
  next();
}

function writeAll() {
  const work = mkdtempSync(join(tmpdir(), "tsrun-cache-"));
  try {
    const bundle = join(work, "bundle");
    mkdirSync(join(bundle, "rootfs"), { recursive: true });
    execFileSync(process.execPath, ["--no-warnings", join(__dirname, "main.cjs"), "spec", "--bundle", bundle]);
    const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
    config.process.terminal = false;
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
    const root = join(work, "state");
    mkdirSync(root, { mode: 0o700 });
    // One that looks as if it ran, since its init lives, and one that has stopped.
    writeContainer(root, bundle, "running", startTime(process.pid), process.pid);
    writeContainer(root, bundle, "stopped", "1", process.pid);
    const on = (status, ...args) => ({ status, args: ["--root", root, ...args] });
    const control = [
      on(0, "state", "running"),
      on(0, "list"),
      on(0, "kill", "running", "0"),
      on(1, "start", "running"),
      on(1, "kill", "stopped"),
      on(1, "delete", "running"),
      on(0, "delete", "stopped"),
      on(1, "state", "no-such-container"),
    ];
    const container = [
      on(1, "create", "--bundle", bundle, "--test-fault", "create:host:0:fail", "created"),
      on(255, "exec", "--test-fault", "exec:host:0:fail", "running", "true"),
    ];
    write("tsrun.cjs", [on(0, "plan", bundle)]);
    write("container.cjs", container);
    write("control.cjs", control);
  } finally {
    rmSync(work, { recursive: true });
  }
}

function write(file, commands) {
  rmSync(join(__dirname, file.replace(/cjs$/, "cache")), { force: true });
  const { status, stderr } = spawnSync(
    process.execPath,
    ["--no-warnings", __filename, "--warm", file, JSON.stringify(commands)],
    { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`cannot make the code cache of ${file}:\n${stderr}`);
}

/** As create records it (src/state/record.ts); a command that does not understand it fails, and so does this. */
function writeContainer(root, bundle, id, startTime, pid) {
  mkdirSync(join(root, id), { mode: 0o700 });
  cpSync(join(bundle, "config.json"), join(root, id, "config.json"));
  writeFileSync(join(root, id, "lock"), "");
  writeFileSync(join(root, id, "journal"), "");
  const record = {
    ...{ format: 1, id, bundle, rootfs: join(bundle, "rootfs"), init: { pid, startTime } },
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
