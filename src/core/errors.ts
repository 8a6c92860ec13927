/** What went wrong, as a closed set: the command line maps these to exit codes and advice. */
export type ErrorCode =
  | "usage" // the command line is wrong
  | "config" // config.json is wrong
  | "image" // an image or an archive is wrong
  | "unsupported" // right, but this host or this version cannot do it
  | "not-found" // no such container
  | "exists" // the id is taken
  | "wrong-state" // the operation does not fit the container's state
  | "step" // a privileged step failed
  | "state-store" // the state directory cannot be read or written
  | "internal"; // a bug in tsrun

/**
 * The one error class of tsrun. `message` says what was being done, to what, and what was found; `advice` is one
 * optional line on what to do. Logged once, at the edge (src/cli).
 */
export class TsrunError extends Error {
  readonly code: ErrorCode;
  readonly advice: string | undefined;
  override readonly name = "TsrunError";

  constructor(code: ErrorCode, message: string, options: { advice?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.advice = options.advice;
  }
}

/** For the default arm of an exhaustive switch: a type error at compile time, a clear one at run time. */
export function assertNever(value: never, what: string): never {
  throw new TsrunError("internal", `unexpected ${what}: ${JSON.stringify(value)}`);
}
