/** The log: warnings and errors, written once, at the edge. Where it goes and what a line looks like is runc's. */
import { openSync, writeSync } from "node:fs";
import { reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { printable, printableLines } from "../core/printable.ts";

/** None of these throws. */
export interface Log {
  debug(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export interface LogOptions {
  /** --log; without it messages go to standard error. */
  readonly file: string | undefined;
  /** --log-format of the file. */
  readonly format: "text" | "json";
  /** --debug. */
  readonly debug: boolean;
}

/** logrus's names of the levels, which containerd, podman and cri-o parse. */
const levelNames: Readonly<Record<string, string>> = { debug: "debug", info: "info", warn: "warning", error: "error" };

/** RFC 3339 without fractions, as logrus. */
const timestamp = (): string => `${new Date().toISOString().slice(0, 19)}Z`;

/**
 * Opens the log. Nothing of pino is loaded before the first message: most calls have none. Throws `usage` when the file
 * cannot be opened: before anything is done.
 */
export function openLog(options: LogOptions): Log {
  const { file } = options;
  const plain = (prefix: string) => (message: string) => tell(`tsrun: ${prefix}${printableLines(message)}\n`);
  if (file === undefined) {
    return {
      debug: options.debug ? plain("debug: ") : () => {},
      warn: plain("warning: "),
      error: plain(""),
    };
  }
  const fd = openFile(file);
  let opened: Log | undefined;
  const log = (): Log => {
    opened ??= fileLog(fd, options);
    return opened;
  };
  return {
    debug: options.debug ? (message) => log().debug(message) : () => {},
    warn: (message) => log().warn(message),
    error: (message) => log().error(message),
  };
}

function openFile(file: string): number {
  try {
    return openSync(file, "a", 0o644);
  } catch (error) {
    throw new TsrunError("usage", `cannot open the log ${file}: ${reasonOf(error)}`);
  }
}

function fileLog(fd: number, options: LogOptions): Log {
  // Synchronously, on the first message.
  const { pino } = require("pino") as typeof import("pino");
  const write = options.format === "json" ? (line: string) => line : textLine;
  return pino(
    {
      base: null,
      level: options.debug ? "debug" : "info",
      timestamp: () => `,"time":"${timestamp()}"`,
      formatters: { level: (label) => ({ level: levelNames[label] ?? label }) },
    },
    { write: (line: string) => writeLine(fd, write(line)) },
  );
}

/** A message that cannot be written does not stop what it tells of: a full disk would leave half of it done. */
function writeLine(fd: number, line: string): void {
  try {
    writeAll(fd, line);
  } catch (error) {
    tell(`tsrun: ${reasonOf(error)}\n`);
  }
}

/** To standard error, as far as that can be written: beyond it there is nobody to tell. */
export function tell(text: string, fd = 2): void {
  try {
    writeAll(fd, text);
  } catch {}
}

/** `time="…" level=error msg="…"`, from pino's line. What JSON leaves as it is would still reach a terminal. */
function textLine(line: string): string {
  const { time, level, msg } = JSON.parse(line) as { time: string; level: string; msg: string };
  return `time="${time}" level=${level} msg=${printable(JSON.stringify(msg))}\n`;
}

const streams: Readonly<Record<number, string>> = { 1: "to standard output", 2: "to standard error" };

/**
 * Writes all of a text, also into a pipe that somebody made non-blocking. Returns false when nobody reads any more. Throws
 * `usage` where it cannot be written.
 */
export function writeAll(fd: number, text: string): boolean {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EPIPE") return false;
      if (code !== "EAGAIN")
        throw new TsrunError("usage", `cannot write ${streams[fd] ?? "the log"}: ${reasonOf(error)}`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
  return true;
}
