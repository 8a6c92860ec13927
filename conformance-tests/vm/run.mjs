#!/usr/bin/env node
// npm run test:vm: runs the tests, or a command, in a virtual machine that has what the host may lack. See README.md.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GuestError, here, note, project, run, Unavailable } from "./common.mjs";
import { Guest } from "./guest.mjs";
import { findImage, findKernel, findState, runDirectory } from "./image.mjs";
import { guestScript, makeProjectDisk, projectPaths } from "./project.mjs";
import { report } from "./report.mjs";

const results = join(project, "build/vm");

const usage = `npm run test:vm -- [OPTIONS] [-- COMMAND…]
Without COMMAND runs the tests and prints a line \`vm: N passed, M failed, K skipped\`; otherwise runs COMMAND as root in the
project's folder and exits with its status. What either leaves in $VM_OUT comes back in build/vm/out/.
  --selinux          boot with SELinux (permissive) in place of AppArmor
  --kernel PREFIX    another of the image's kernels, such as 5.10
  --only PATTERN     only test files whose path matches (repeatable)
  --shell            an interactive shell
  --timeout SECONDS  end the machine after this time (1800); status 124
  --keep             keep the run's folder: console and QEMU logs, the project's disk
Status 125: the machine failed; what it said is on standard error.`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    selinux: { type: "boolean", default: false },
    kernel: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
    shell: { type: "boolean", default: false },
    timeout: { type: "string", default: "1800" },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const mode = options.shell ? "shell" : positionals.length > 0 ? "command" : "tests";

function command() {
  switch (mode) {
    case "tests":
      return ["bash", join(here, "suite"), ...options.only];
    case "command":
      return positionals;
    case "shell": // on the serial console, which is this terminal
      return [
        `export TERM=${process.env.TERM ?? "dumb"}`,
        `stty -F /dev/ttyS0 cols ${process.stdout.columns ?? 80} rows ${process.stdout.rows ?? 24}`,
        "setsid --ctty --wait bash <>/dev/ttyS0 >&0 2>&1",
      ].join("\n");
  }
}

/** Runs the command in a machine resumed from `state`; its exit status. */
async function runInGuest(machine, state, deadline) {
  rmSync(results, { recursive: true, force: true });
  mkdirSync(results, { recursive: true });
  const directory = runDirectory();
  try {
    const given = projectPaths();
    const projectDisk = makeProjectDisk(directory, given.paths);
    const guest = await Guest.start({ ...machine, state, projectDisk, directory, terminal: mode === "shell" });
    return await guest.within(deadline, async () => {
      guest.ports.out.pipe(process.stdout, { end: false });
      guest.ports.err.pipe(process.stderr, { end: false });
      const parts = [];
      guest.ports.result.on("data", (part) => parts.push(part));
      guest.ports.in.end(guestScript(given, command()));
      await guest.ended;
      const input = Buffer.concat(parts);
      if (input.length === 0) throw new GuestError("the machine ended without a result");
      run("tar", ["--extract", "--no-same-owner", "--directory", results], { input, stdio: ["pipe", 2, 2] });
      return Number(readFileSync(join(results, "status"), "utf8"));
    });
  } finally {
    if (options.keep) note(`kept ${directory}`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

async function main() {
  if (options.help) {
    console.log(usage);
    return 0;
  }
  const deadline = Date.now() + Number(options.timeout) * 1000;
  try {
    const image = await findImage();
    const kernel = findKernel(image, options.kernel);
    const kernelArguments = options.selinux
      ? "security=selinux selinux=1 enforcing=0"
      : "security=apparmor apparmor=1 selinux=0";
    const machine = { image, kernel, kernelArguments };
    const state = await findState({ ...machine, deadline });
    const status = await runInGuest(machine, state, deadline);
    return mode === "tests" ? report(join(results, "out/jest.json"), status) : status;
  } catch (error) {
    if (error instanceof Unavailable && mode === "tests") {
      console.log(`vm: 0 passed, 0 failed, 1 skipped (${error.message})`);
      return 0;
    }
    if (!(error instanceof GuestError || error instanceof Unavailable)) throw error;
    note(error.message);
    if (mode === "tests") console.log("vm: 0 passed, 1 failed, 0 skipped (the machine failed)");
    return error.status ?? 125;
  }
}

process.exitCode = await main();
