/** What create and run have in common. */
import type { ContainerId } from "../../core/brands.ts";
import type { Context } from "../../lifecycle/context.ts";
import type { CreateRequest } from "../../lifecycle/create.ts";
import { Trace } from "../../lifecycle/trace.ts";
import { faultOption, parseFault } from "../fault.ts";
import { type OptionTable, unlessEmpty, type Values } from "../options.ts";

export const createOptions = {
  bundle: { type: "text", alias: "b", describe: "directory of the bundle (default: the working directory)" },
  config: { type: "text", alias: "f", describe: "another file than config.json, relative to the bundle" },
  "console-socket": { type: "text", describe: "unix socket that gets the terminal's master" },
  "pid-file": { type: "text", describe: "file to write the container's pid to" },
  "pidfd-socket": { type: "text", describe: "unix socket that gets a pidfd of the container's init" },
  "no-pivot": { type: "flag", describe: "enter the root by MS_MOVE instead of pivot_root (initramfs)" },
  "no-new-keyring": { type: "flag", describe: "keep the caller's session keyring" },
  "preserve-fds": { type: "count", describe: "descriptors from 3 on that the container keeps" },
  trace: { type: "text", describe: "file for the times of all steps (Chrome trace)" },
  ...faultOption,
} as const satisfies OptionTable;

export function createRequest(
  options: Values<typeof createOptions>,
  id: ContainerId,
  foreground: boolean,
): CreateRequest {
  const socket = unlessEmpty(options["console-socket"]);
  return {
    id,
    bundle: unlessEmpty(options.bundle) ?? ".",
    configFile: unlessEmpty(options.config),
    console: socket !== undefined ? { kind: "socket", path: socket } : { kind: foreground ? "pair" : "none" },
    pidFile: unlessEmpty(options["pid-file"]),
    noPivot: options["no-pivot"],
    noNewKeyring: options["no-new-keyring"],
    preserveFds: options["preserve-fds"] ?? 0,
    pidfdSocket: unlessEmpty(options["pidfd-socket"]),
  };
}

interface Tracing {
  readonly trace?: string | undefined;
  readonly "test-fault"?: string | undefined;
}

/** Runs `body` with what --trace and --test-fault ask for; the trace is written also when it fails. */
export function withTrace<T>(
  options: Tracing,
  context: Context,
  body: (context: Context, trace: Trace | undefined) => T,
): T {
  const trace = traceOf(options);
  try {
    return body({ ...context, fault: parseFault(options["test-fault"]) }, trace);
  } finally {
    writeTrace(trace, context);
  }
}

/** The same for a body that waits. */
export async function withTraceAsync<T>(
  options: Tracing,
  context: Context,
  body: (context: Context, trace: Trace | undefined) => Promise<T>,
): Promise<T> {
  const trace = traceOf(options);
  try {
    return await body({ ...context, fault: parseFault(options["test-fault"]) }, trace);
  } finally {
    writeTrace(trace, context);
  }
}

const traceOf = ({ trace = "" }: Tracing): Trace | undefined => (trace === "" ? undefined : new Trace(trace));

function writeTrace(trace: Trace | undefined, { log }: Context): void {
  const problem = trace?.write();
  if (problem !== undefined) log.warn(problem);
}
