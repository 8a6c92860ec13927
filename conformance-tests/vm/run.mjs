#!/usr/bin/env node
// npm run test:vm: runs the tests, or a command, in virtual machines that have what the host may lack. See README.md.
import { createWriteStream, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GuestError, here, note, project, run, Unavailable } from "./common.mjs";
import { Guest } from "./guest.mjs";
import { findImage, findKernel, findState, runDirectory } from "./image.mjs";
import { machines } from "./machines.mjs";
import { buildOci, guestScript, makeProjectDisk, projectPaths } from "./project.mjs";
import { describeResults, readResults } from "./results.mjs";

const results = join(project, "build/vm");

const usage = `npm run test:vm -- [OPTIONS] [-- COMMAND…]
Without COMMAND runs the tests in every machine and prints a line \`vm: N passed, M failed, K skipped\`. Otherwise runs COMMAND in
one machine, as root in the project's folder, and exits with its status. What is left in $VM_OUT comes back in build/vm/MACHINE/out/.
  --machine NAME     ${Object.keys(machines).join(", ")} (repeatable for tests; a command's default is ${Object.keys(machines)[0]})
  --selinux          --machine selinux
  --only PATTERN     only test files whose path matches, whichever are the machine's own, and those of its suites (repeatable)
  --shell            an interactive shell
  --timeout SECONDS  end a machine after this time (3600); status 124
  --keep             keep the runs' folders: console and QEMU logs, the project's disk
Status 125: the machine failed; what it said is on standard error.`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    machine: { type: "string", multiple: true, default: [] },
    selinux: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    shell: { type: "boolean", default: false },
    timeout: { type: "string", default: "3600" },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const deadline = Date.now() + Number(options.timeout) * 1000;

/** On the serial console, which is this terminal. */
const shell = () =>
  [
    `export TERM=${process.env.TERM ?? "dumb"}`,
    `stty -F /dev/ttyS0 cols ${process.stdout.columns ?? 80} rows ${process.stdout.rows ?? 24}`,
    "setsid --ctty --wait bash <>/dev/ttyS0 >&0 2>&1",
  ].join("\n");

/** Runs a command in the machine; its exit status. `out` and `err` get what it prints. */
async function runIn(name, image, command, { out, err, terminal = false }) {
  const machine = {
    image,
    kernel: findKernel(image, machines[name].kernel),
    kernelArguments: machines[name].arguments,
  };
  const state = await findState({ ...machine, deadline });
  const directory = runDirectory();
  try {
    const given = projectPaths();
    const projectDisk = makeProjectDisk(directory, given.paths);
    const guest = await Guest.start({ ...machine, state, projectDisk, directory, terminal });
    return await guest.within(deadline, async () => {
      guest.ports.out.pipe(out, { end: false });
      guest.ports.err.pipe(err, { end: false });
      const parts = [];
      guest.ports.result.on("data", (part) => parts.push(part));
      guest.ports.in.end(guestScript(given, command));
      await guest.ended;
      const input = Buffer.concat(parts);
      if (input.length === 0) throw new GuestError("the machine ended without a result");
      const folder = join(results, name);
      run("tar", ["--extract", "--no-same-owner", "--directory", folder], { input, stdio: ["pipe", 2, 2] });
      return Number(readFileSync(join(folder, "status"), "utf8"));
    });
  } finally {
    if (options.keep) note(`kept ${directory}`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

/** A fresh folder for what comes back from the machine. */
function freshResults(name) {
  rmSync(join(results, name), { recursive: true, force: true });
  mkdirSync(join(results, name), { recursive: true });
}

/** A machine's options for jest, and its suites; with --only those of the asked that match. */
function testsOf(name) {
  const { tests, suites = [] } = machines[name];
  if (options.only.length === 0) return { tests, suites };
  const patterns = options.only.map((pattern) => new RegExp(pattern));
  return {
    tests: [
      "--selectProjects",
      "root",
      "conformance",
      "vm",
      "--passWithNoTests",
      "--testPathPatterns",
      ...options.only,
    ],
    suites: suites.filter(([suite]) => patterns.some((pattern) => pattern.test(`/conformance-tests/${suite}/`))),
  };
}

/** Runs a machine's tests; the outcome counts a machine that failed as a failure and one that cannot be as skipped. */
async function test(name, image) {
  freshResults(name);
  const path = join(results, name, "log");
  const log = createWriteStream(path, { fd: openSync(path, "a") });
  const { tests, suites } = testsOf(name);
  const began = Date.now();
  let outcome;
  try {
    if (suites.some(([suite]) => suite === "oci")) buildOci();
    const command = ["bash", join(here, "suite"), ...tests, ...suites.flatMap((suite) => ["--", ...suite])];
    const status = await runIn(name, image, command, { out: log, err: log });
    outcome = readResults(join(results, name, "out"), ["jest", ...suites.map(([suite]) => suite)], status);
  } catch (error) {
    if (error instanceof Unavailable) {
      console.log(`${name}: skipped: ${error.message}`);
      return { passed: 0, skipped: 1, failures: [] };
    }
    if (!(error instanceof GuestError)) throw error;
    outcome = { passed: 0, skipped: 0, failures: [{ name: "the machine", message: error.message }] };
  } finally {
    log.end();
  }
  console.log(`${describeResults(name, outcome)} (${Math.round((Date.now() - began) / 1000)} s; ${path})`);
  return outcome;
}

/** All machines at once: each keeps little more than one processor busy. */
async function testAll(names) {
  let image;
  try {
    image = await findImage();
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    console.log(`vm: 0 passed, 0 failed, ${names.length} skipped (${error.message})`);
    return 0;
  }
  const outcomes = await Promise.all(names.map((name) => test(name, image)));
  const sum = (count) => outcomes.reduce((total, outcome) => total + count(outcome), 0);
  const failed = sum(({ failures }) => failures.length);
  console.log(`vm: ${sum(({ passed }) => passed)} passed, ${failed} failed, ${sum(({ skipped }) => skipped)} skipped`);
  return failed > 0 ? 1 : 0;
}

async function main() {
  if (options.help) {
    console.log(usage);
    return 0;
  }
  const asked = [...options.machine, ...(options.selinux ? ["selinux"] : [])];
  const unknown = asked.filter((name) => !(name in machines));
  if (unknown.length > 0) throw new GuestError(`no machine is called ${unknown.join(", ")}`, 2);
  if (positionals.length === 0 && !options.shell) return testAll(asked.length > 0 ? asked : Object.keys(machines));
  const name = asked[0] ?? Object.keys(machines)[0];
  freshResults(name);
  return runIn(name, await findImage(), options.shell ? shell() : positionals, {
    out: process.stdout,
    err: process.stderr,
    terminal: options.shell,
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof GuestError || error instanceof Unavailable)) throw error;
  note(error.message);
  process.exitCode = error.status ?? 125;
}
