/** The edge: arguments in, exit status out; errors are logged here, once. */
import { resolve } from "node:path";
import { type CgroupManager, cgroupManagers } from "../compile/input.ts";
import type { AbsPath } from "../core/brands.ts";
import { didYouMean } from "../core/did-you-mean.ts";
import { TsrunError } from "../core/errors.ts";
import { printableLines } from "../core/printable.ts";
import { argumentsAreUtf8 } from "../host/arguments.ts";
import { inUserNamespace } from "../host/user-namespace.ts";
import type { Context } from "../lifecycle/context.ts";
import { type Log, type LogOptions, openLog, tell, writeAll } from "../log/log.ts";
import { exit } from "../native/addon.ts";
import type { StateRoot } from "../state/store.ts";
import { type Command, globalOptions } from "./command.ts";
import { commands } from "./commands.ts";
import { parse, type Values } from "./options.ts";

const FAILED = 1;

async function main(args: readonly string[]): Promise<number> {
  let log: Log = openLog({ file: undefined, format: "text", debug: false });
  let logFile: string | undefined;
  let failureStatus = FAILED;
  try {
    checkUtf8(args);
    const { options, positionals } = parse(args, globalOptions, true);
    const logging = logOptions(options);
    log = openLog(logging);
    logFile = logging.file;
    if (options.version) return print((await import("./help.ts")).versionText());
    const [name, ...rest] = positionals;
    if (name === undefined || name === "help") {
      if (name === "help" && rest[0] !== undefined) return await help(rest[0]);
      const text = await (await import("./help.ts")).helpText();
      if (name === "help" || options.help) return print(text);
      tell(text);
      return FAILED;
    }
    const { command: usual } = await entryOf(name).load();
    const command = (await usual.variant?.(rest))?.command ?? usual;
    failureStatus = command.failureStatus ?? FAILED;
    const parsed = parse(rest, { ...command.options, help: globalOptions.help }, command.halt === true);
    if (options.help || parsed.options.help) return print(await (await import("./help.ts")).helpText(name, command));
    checkCount(name, command, parsed.positionals.length);
    const context: Context = {
      root: stateRoot(options),
      log,
      fault: undefined,
      cgroupManager: cgroupManager(options),
    };
    return await command.run(parsed as never, { context, options });
  } catch (error) {
    report(error, log, logFile);
    return failureStatus;
  }
}

function entryOf(name: string): (typeof commands)[string] {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) throw unknownCommand(name);
  return entry;
}

async function help(name: string): Promise<number> {
  const { command } = await entryOf(name).load();
  return print(await (await import("./help.ts")).helpText(name, command));
}

function print(text: string): number {
  writeAll(1, text);
  return 0;
}

/** Node replaces what is no UTF-8: a program would get other arguments, and an option would name another file. */
function checkUtf8(args: readonly string[]): void {
  if (!args.some((arg) => arg.includes("\ufffd")) || argumentsAreUtf8()) return;
  const at = args.findIndex((arg) => arg.includes("\ufffd"));
  throw new TsrunError("usage", `argument ${at + 1} is not UTF-8: ${JSON.stringify(args[at])}`, {
    advice: "neither config.json nor tsrun can hold it",
  });
}

function logOptions(options: Values<typeof globalOptions>): LogOptions {
  const format = options["log-format"] ?? "text";
  if (format !== "text" && format !== "json") {
    throw new TsrunError("usage", `--log-format: ${JSON.stringify(format)} is neither text nor json`);
  }
  const file = options.log === undefined || options.log === "" ? undefined : resolve(options.log);
  return { file, format, debug: options.debug };
}

/**
 * /run/tsrun, or for an unprivileged user $XDG_RUNTIME_DIR/tsrun. One who is root in a user namespace of theirs (podman
 * calls us there) is such a user, as in runc; unless USER says root, as for the root of a container.
 */
function stateRoot(options: Values<typeof globalOptions>): StateRoot {
  if (options.root !== undefined && options.root !== "") {
    return { path: resolve(options.root) as AbsPath, explicit: true };
  }
  const { XDG_RUNTIME_DIR: runtime, USER: user } = process.env;
  const isUser = (): boolean =>
    options.rootless === "true" || process.geteuid?.() !== 0 || (user !== "root" && inUserNamespace());
  if (runtime?.startsWith("/") === true && options.rootless !== "false" && isUser()) {
    return { path: `${runtime}/tsrun` as AbsPath, explicit: false };
  }
  return { path: "/run/tsrun" as AbsPath, explicit: false };
}

function cgroupManager(options: Values<typeof globalOptions>): CgroupManager {
  const manager = options["cgroup-manager"] ?? "cgroupfs";
  const known = cgroupManagers.find((each) => each === manager);
  if (known !== undefined) return options["systemd-cgroup"] ? "systemd" : known;
  throw new TsrunError("usage", `--cgroup-manager: ${JSON.stringify(manager)} is none of ${cgroupManagers.join(", ")}`);
}

function checkCount(name: string, { positionals: [least, most], usage }: Command, count: number): void {
  if (count >= least && count <= most) return;
  throw new TsrunError("usage", `${name}: ${count < least ? "an argument is missing" : "too many arguments"}`, {
    advice: `tsrun ${name} [options] ${usage}`,
  });
}

function unknownCommand(name: string): TsrunError {
  const meant = didYouMean(name, Object.keys(commands));
  return new TsrunError("usage", `unknown command ${JSON.stringify(name)}`, {
    advice: `${meant === undefined ? "" : `did you mean ${meant}? `}tsrun --help lists them`,
  });
}

/** Once to the log, and to standard error when the log is a file: callers read the one, people the other. */
function report(error: unknown, log: Log, logFile: string | undefined): void {
  const known = error instanceof TsrunError;
  const message = known ? error.message : `internal error: ${error instanceof Error ? error.stack : String(error)}`;
  const advice = known && error.advice !== undefined ? `  ${printableLines(error.advice)}\n` : "";
  log.error(message);
  // As runc: with a log the callers show our standard error under a heading of their own.
  tell(logFile === undefined ? advice : `${printableLines(message)}\n${advice}`);
}

// All is written, and nothing is left to wait for.
main(process.argv.slice(2)).then(exit);
