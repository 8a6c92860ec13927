/** The log: warnings and errors, written once, at the edge. Where it goes and what a line looks like is runc's. */
import { openSync, writeSync } from "node:fs";
import { reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { printable, printableLines } from "../core/printable.ts";

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
 * Opens the log. Nothing of pino is loaded, and no file made, before the first message: most calls have none. Throws
 * `usage` with the first message when the file cannot be opened.
 */
export function openLog(options: LogOptions): Log {
  const { file } = options;
  const plain = (prefix: string) => (message: string) => writeAll(2, `tsrun: ${prefix}${printableLines(message)}\n`);
  if (file === undefined) {
    return {
      debug: options.debug ? plain("debug: ") : () => {},
      warn: plain("warning: "),
      error: plain(""),
    };
  }
  let opened: Log | undefined;
  const log = (): Log => {
    opened ??= openFile(file, options);
    return opened;
  };
  return {
    debug: options.debug ? (message) => log().debug(message) : () => {},
    warn: (message) => log().warn(message),
    error: (message) => log().error(message),
  };
}

function openFile(file: string, options: LogOptions): Log {
  let fd: number;
  try {
    fd = openSync(file, "a", 0o644);
  } catch (error) {
    throw new TsrunError("usage", `cannot open the log ${file}: ${reasonOf(error)}`);
  }
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
    { write: (line: string) => writeAll(fd, write(line)) },
  );
}

/** `time="…" level=error msg="…"`, from pino's line. What JSON leaves as it is would still reach a terminal. */
function textLine(line: string): string {
  const { time, level, msg } = JSON.parse(line) as { time: string; level: string; msg: string };
  return `time="${time}" level=${level} msg=${printable(JSON.stringify(msg))}\n`;
}

/** Writes all of a text, also into a pipe that somebody made non-blocking. */
export function writeAll(fd: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EPIPE") return; // nobody reads any more
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
