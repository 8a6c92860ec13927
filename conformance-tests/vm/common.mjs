// What the parts of the runner share.
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** This folder, and the project's. */
export const here = dirname(fileURLToPath(import.meta.url));
export const project = dirname(dirname(here));

/** The machine cannot be made here: not a failure of what is tested. */
export class Unavailable extends Error {}

/** The machine failed. `status` is the exit status, when it says something: 124 for the time limit, 128+n after a signal. */
export class GuestError extends Error {
  constructor(message, status = 125) {
    super(message);
    this.status = status;
  }
}

/** Tells the developer; standard output belongs to the command. */
export const note = (text) => process.stderr.write(`vm: ${text}\n`);

/** Runs a program of this machine to its end and expects success. */
export function run(command, parameters, options = {}) {
  const { status, error } = spawnSync(command, parameters, { stdio: ["ignore", 2, 2], ...options });
  if (error !== undefined) throw error;
  if (status !== 0) throw new GuestError(`${command} ${parameters[0]}: status ${status}`);
}
