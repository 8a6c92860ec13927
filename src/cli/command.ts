/** What a command is; one file each in src/cli/commands. */
import { TsrunError } from "../core/errors.ts";
import type { Context } from "../lifecycle/context.ts";
import type { OptionTable, Parsed, Values } from "./options.ts";

/** Options before the command's name. */
export const globalOptions = {
  root: { type: "text", describe: "directory of the containers' state (default /run/tsrun)" },
  log: { type: "text", describe: "file to append the log to (default: standard error)" },
  "log-format": { type: "text", describe: "of the log file: text or json" },
  debug: { type: "flag", describe: "log more" },
  "systemd-cgroup": { type: "flag", describe: "let systemd make the cgroups" },
  "cgroup-manager": { type: "text", describe: "cgroupfs, systemd or disabled (crun's option)" },
  // As runc's.
  rootless: {
    type: "text",
    bare: "true",
    describe: "true, false or auto: whether to use the state of an unprivileged user",
  },
  criu: { type: "text", describe: "ignored, as in runc", hidden: true },
  help: { type: "flag", alias: "h", describe: "show help" },
  version: { type: "flag", alias: "v", describe: "show the version" },
} as const satisfies OptionTable;

export interface Globals {
  readonly context: Context;
  readonly options: Values<typeof globalOptions>;
}

export interface Command {
  /** After the command's name in the help: `<id> [signal]`. */
  readonly usage: string;
  readonly options: OptionTable;
  /** How many arguments it takes. */
  readonly positionals: readonly [least: number, most: number];
  /** Everything after the first argument belongs to another program. */
  readonly halt?: boolean;
  /** Another command under the same name, for these arguments: its module is only then evaluated. */
  variant?(args: readonly string[]): Promise<{ readonly command: Command }> | undefined;
  /** Exit status when it throws; 1 if not given. */
  readonly failureStatus?: number;
  /** Returns the exit status. */
  run(parsed: Parsed<OptionTable>, globals: Globals): number | Promise<number>;
}

/** Gives `run` the types of the options. */
export function defineCommand<T extends OptionTable>(
  command: Omit<Command, "options" | "run"> & {
    readonly options: T;
    run(parsed: Parsed<T>, globals: Globals): number | Promise<number>;
  },
): Command {
  return command as unknown as Command;
}

/** The n-th argument; `parse` and `positionals` have seen to it that it is there. */
export function positional(parsed: { readonly positionals: readonly string[] }, index: number): string {
  const value = parsed.positionals[index];
  if (value === undefined) throw new TsrunError("internal", `argument ${index} is missing`);
  return value;
}
