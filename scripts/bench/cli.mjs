// Suite `cli`: every command of the lifecycle as a process of its own, as callers run it, on the bundle of `spec`. Beside
// the peers: `node -e 0` of tsrun's Node, which is what any command in it costs at least, and `floor`, what the kernel
// charges for the container.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compiled, findProgram, Missing, readText, root, sleepMs, summarize, table, time } from "./lib.mjs";

export const about =
  "run, create, state, start, exec, kill and delete, each as a process, and a created container's memory";

const PARENT = "tsrun-bench";
const WARM_UP = 2;
const operations = ["run", "create", "state", "start", "exec", "kill", "delete"];
/** docs/architecture.md, budgets: times `node -e 0`, and whether the floor comes on top. */
const budgets = {
  run: { factor: 1.8, floor: true },
  create: { factor: 1.8, floor: true },
  state: { factor: 1.6 },
  start: { factor: 1.6 },
  kill: { factor: 1.6 },
  delete: { factor: 1.6 },
};

function findRuntimes(names) {
  const own = join(root, "bin/tsrun");
  const isBuilt = existsSync(own) && existsSync(join(root, "dist/tsrun.cjs"));
  const found = new Map();
  const missing = [];
  for (const name of names) {
    const path = name !== "tsrun" ? findProgram(name) : isBuilt ? own : undefined;
    if (path !== undefined) found.set(name, path);
    else missing.push(name === "tsrun" ? "tsrun (npm run build)" : `${name} (not in PATH)`);
  }
  if (missing.length > 0) console.log(`left out, because missing: ${missing.join(", ")}`);
  if (found.size === 0) throw new Missing("none of the runtimes is there");
  return found;
}

/** A bundle directory on the one root file system for every runtime and kind of container. */
function makeBundle(work, runtime, kind, args, template) {
  const path = join(work, `${runtime}-${kind}`);
  mkdirSync(path);
  const config = structuredClone(template);
  config.ociVersion = "1.0.2"; // one that the peers of older distributions take, too
  config.root.path = join(work, "rootfs");
  config.process.terminal = false;
  config.process.args = args;
  config.linux.cgroupsPath = `/${PARENT}/${runtime}-${kind}`;
  writeFileSync(join(path, "config.json"), JSON.stringify(config, null, 2));
  return path;
}

function readTemplate(work, runtimes) {
  const path = runtimes.get("tsrun") ?? runtimes.get("runc") ?? [...runtimes.values()][0];
  const directory = join(work, "template");
  mkdirSync(directory);
  execFileSync(path, ["spec"], { cwd: directory });
  return JSON.parse(readText(join(directory, "config.json")));
}

function stateOf(command, id) {
  return JSON.parse(execFileSync(command[0], [...command.slice(1), "state", id], { encoding: "utf8" }));
}

/** Waits until a killed process is gone or a zombie; by looking, since it is no child of ours. */
function waitGone(pid) {
  for (let i = 0; i < 10_000; i++) {
    let stat;
    try {
      stat = readText(`/proc/${pid}/stat`);
    } catch (error) {
      if (error.code === "ENOENT" || error.code === "ESRCH") return;
      throw error;
    }
    if (stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) === "Z") return;
    sleepMs(1);
  }
  throw new Error(`process ${pid} survives SIGKILL`);
}

function residentKib(pid) {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readText(`/proc/${pid}/status`))[1]);
}

function removeCgroups() {
  const remove = (path) => {
    if (!existsSync(path)) return;
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) remove(join(path, entry.name));
    }
    rmdirSync(path);
  };
  remove(join("/sys/fs/cgroup", PARENT));
  for (const hierarchy of readdirSync("/sys/fs/cgroup", { withFileTypes: true })) {
    if (hierarchy.isDirectory()) remove(join("/sys/fs/cgroup", hierarchy.name, PARENT));
  }
}

export async function run({ runs, rest, runtimes: names }) {
  const runtimes = findRuntimes(names);
  if (!existsSync("/bin/busybox")) throw new Missing("/bin/busybox (Debian: busybox-static)");
  const nodePath = join(root, "dist/node-path");
  const node = existsSync(nodePath) ? readText(nodePath).trim() : process.execPath;
  const floor = compiled("floor");
  const work = mkdtempSync(join(tmpdir(), "tsrun-bench-"));
  const how = { restMs: rest, errors: join(work, "errors") };
  const programs = [...runtimes].map(([name, path]) => ({
    name,
    command: [path, "--root", join(work, `state-${name}`)],
    samples: Object.fromEntries(operations.map((operation) => [operation, []])),
    residentKib: [],
  }));
  const node0 = [];
  const floors = [];
  try {
    execFileSync("bash", [join(root, "scripts/make-rootfs"), join(work, "rootfs")]);
    const template = readTemplate(work, runtimes);
    for (const program of programs) {
      program.short = makeBundle(work, program.name, "short", ["/bin/true"], template);
      program.long = makeBundle(work, program.name, "long", ["/bin/sleep", "1000"], template);
    }
    const argumentsOf = {
      run: (program) => ["run", "--bundle", program.short, `${program.name}-short`],
      create: (program) => ["create", "--bundle", program.long, `${program.name}-long`],
      state: (program) => ["state", `${program.name}-long`],
      start: (program) => ["start", `${program.name}-long`],
      exec: (program) => ["exec", `${program.name}-long`, "/bin/true"],
      kill: (program) => ["kill", `${program.name}-long`, "KILL"],
      delete: (program) => ["delete", `${program.name}-long`],
    };
    for (let round = -WARM_UP; round < runs; round++) {
      const counts = round >= 0;
      // Nobody is always the one after somebody.
      const order = programs.map((_, i) => programs[(i + round + WARM_UP) % programs.length]);
      for (const operation of operations) {
        const baseline = time([node, "-e", "0"], how);
        if (counts) node0.push(baseline);
        if (operation === "run") {
          const sample = time([floor, join(work, "rootfs"), `${PARENT}/floor`, "/bin/true"], how);
          if (counts) floors.push(sample);
        }
        for (const program of order) {
          const sample = time([...program.command, ...argumentsOf[operation](program)], how);
          if (counts) program.samples[operation].push(sample);
          const id = `${program.name}-long`;
          if (operation === "create") {
            program.pid = stateOf(program.command, id).pid;
            if (counts) program.residentKib.push(residentKib(program.pid));
          }
          if (operation === "kill") waitGone(program.pid);
        }
      }
    }
  } finally {
    for (const { name, command } of programs) {
      for (const id of [`${name}-short`, `${name}-long`]) {
        spawnSync(command[0], [...command.slice(1), "delete", "--force", id], { stdio: "ignore" });
      }
    }
    removeCgroups();
    rmSync(work, { recursive: true });
  }
  return report({ runs, node, node0, floors, programs });
}

const both = (samples) => ({
  wall: summarize(samples.map(({ wallMs }) => wallMs)),
  cpu: summarize(samples.map(({ cpuMs }) => cpuMs)),
});

function report({ runs, node, node0, floors, programs }) {
  const base = both(node0);
  const floor = both(floors);
  const results = programs.map(({ name, samples, residentKib: resident }) => ({
    name,
    operations: Object.fromEntries(operations.map((operation) => [operation, both(samples[operation])])),
    createdResidentKib: summarize(resident),
  }));
  const cell = ({ median, spread }) => `${median.toFixed(1)} ±${(spread / 2).toFixed(1)}`;
  /** One row an operation: each runtime's time, and how many times that of `node -e 0` it is. */
  const rowsOf = (which, title) => [
    [title, ...results.flatMap(({ name }) => [name, "× node"])],
    ...operations.map((operation) => [
      operation,
      ...results.flatMap(({ operations: { [operation]: one } }) => [
        cell(one[which]),
        (one[which].median / base[which].median).toFixed(2),
      ]),
    ]),
  ];
  const wall = rowsOf("wall", "time in ms: median ± half the spread of 80 %");
  const over = [];
  wall[0].push("budget");
  for (const [i, operation] of operations.entries()) {
    const { factor, floor: withFloor } = budgets[operation] ?? {};
    if (factor === undefined) continue;
    const limit = factor * base.wall.median + (withFloor ? floor.wall.median : 0);
    const own = results.find(({ name }) => name === "tsrun")?.operations[operation].wall.median;
    if (own !== undefined && own > limit) over.push(operation);
    wall[i + 1].push(limit.toFixed(1));
  }
  const memory = [
    "VmRSS of a created container in KiB",
    ...results.flatMap(({ createdResidentKib }) => [String(Math.round(createdResidentKib.median)), ""]),
  ];
  const lines = [
    table([...wall, ...rowsOf("cpu", "CPU time in ms"), memory]),
    `node -e 0: ${cell(base.wall)} ms, CPU ${cell(base.cpu)} (${node})`,
    `floor: ${cell(floor.wall)} ms, CPU ${cell(floor.cpu)}; ${runs} runs`,
  ];
  if (over.length > 0) lines.push(`over budget: ${over.join(", ")}`);
  const noise = base.wall.spread / base.wall.median;
  if (noise > 0.3) {
    lines.push(
      `warning: node -e 0 itself spreads over ${(noise * 100).toFixed(0)} % of its median: this machine is too busy to compare small differences`,
    );
  }
  return { text: lines.join("\n"), data: { runs, noise, node: base, floor, runtimes: results } };
}
