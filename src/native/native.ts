import { closeSync } from "node:fs";
import { constants } from "node:os";
import { errnoText } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { initPath } from "../core/install.ts";
import { operations, type StepKind, vocabulary } from "../plan/vocabulary.ts";
import { addon, type NativeStatus } from "./addon.ts";

/** What became of one step. Times are CLOCK_MONOTONIC nanoseconds, 0 for what did not happen. */
export interface StepReport {
  readonly beginNs: bigint;
  readonly endNs: bigint;
  readonly state: "not-run" | "running" | "done" | "passed-over" | "failed";
  readonly errno: number;
}

/** The fixed record of a failure: src/lifecycle/failure-text.ts makes the message. */
export interface StepFailure {
  readonly side: "host" | "container";
  /** In the side's list of the plan. */
  readonly index: number;
  /** The step's kind, or "" when the plan itself was refused. */
  readonly kind: StepKind | "";
  /** The system call, or the check of ours, that failed (`operations` of the vocabulary). */
  readonly op: string;
  readonly errno: number;
  /** Exit status or signal for `exited` and `killed`; otherwise what the operation documents. */
  readonly detail: number;
  /** How long the step took. */
  readonly durationMs: number;
  readonly path: string;
  /** What a program said (the tail of a hook's output). */
  readonly text: string;
}

export interface Outcome {
  readonly failure?: StepFailure;
  /** The process that the plan spawned, as tsrun sees it. */
  readonly pid?: number;
  /** Decoded on demand. */
  reports(): { readonly host: readonly StepReport[]; readonly container: readonly StepReport[] };
}

/** A fault that a test asks for: the step fails, or tsrun is killed (SIGKILL) at it. */
export interface Fault {
  readonly mode: "fail" | "killHost";
  readonly side: "host" | "container";
  readonly index: number;
}

export interface ExitStatus {
  readonly kind: "exited" | "killed";
  /** Exit status or signal number. */
  readonly value: number;
  /** Why the service manager could not be told that the container is ready. */
  readonly notNotified?: string | undefined;
}

/** Runs the plans of one container and holds its process, descriptors and undo list. */
export interface Session {
  /** Runs a plan (blocking). On failure everything it did is undone when this returns. */
  execute(plan: Uint8Array, options?: { readonly fault?: Fault | undefined }): Outcome;
  /** Keeps what was done; tsrun-init then waits at its gate on its own. Only after state.json is written. */
  commit(): void;
  /** Undoes what the last plan did. */
  rollback(): void;
  /** Keeps the signals that tsrun gets from now on for `attach`; before start, so that none is lost. */
  watchSignals(): void;
  /** Processes that the container leaves become children of ours, and attach reaps them. Before start. */
  adoptOrphans(): void;
  /**
   * Forwards signals, relays the terminal of console.pair, waits for the end (blocking). `notifyAddress`: where to tell
   * that the container is ready, when it says so (notify.listen).
   */
  attach(notifyAddress?: string | undefined): ExitStatus;
  /** The container's steps as they stand now: those behind the gate run after `execute` has returned. */
  containerReports(): readonly StepReport[];
  close(): void;
}

const states = ["not-run", "running", "done", "passed-over", "failed"] as const;
const REPORT_BYTES = 24;

function decodeReports(bytes: Buffer): StepReport[] {
  return Array.from({ length: bytes.length / REPORT_BYTES }, (_, i) => {
    const at = i * REPORT_BYTES;
    return {
      beginNs: bytes.readBigUInt64LE(at),
      endNs: bytes.readBigUInt64LE(at + 8),
      state: states[bytes.readUInt32LE(at + 16)] ?? "not-run",
      errno: bytes.readInt32LE(at + 20),
    };
  });
}

function kindOf(code: number): StepKind | "" {
  for (const kind in vocabulary) if (vocabulary[kind as StepKind].code === code) return kind as StepKind;
  return "";
}

function statusText({ op, errno, path }: NativeStatus): string {
  return `${operations[op] ?? op} ${path}: ${errnoText(errno)}`;
}

function check(status: NativeStatus | undefined, what: string): void {
  if (status !== undefined) throw new TsrunError("internal", `${what}: ${statusText(status)}`);
}

/** Opens a session. Throws `internal` when the addon is missing or of another build. */
export function openSession(): Session {
  const native = new (addon().Session)(initPath());
  return {
    execute(plan, options = {}) {
      const fault = options.fault;
      const mode = fault === undefined ? 0 : fault.mode === "fail" ? 1 : 2;
      const raw = native.execute(plan, mode, fault?.side === "container" ? 1 : 0, fault?.index ?? 0);
      const failure = raw.failure;
      return {
        ...(failure !== undefined && {
          failure: {
            ...failure,
            side: failure.side === 0 ? ("host" as const) : ("container" as const),
            kind: kindOf(failure.kind),
            op: operations[failure.op] ?? String(failure.op),
          },
        }),
        ...(raw.pid !== undefined && { pid: raw.pid }),
        reports: () => ({ host: decodeReports(raw.host), container: decodeReports(raw.container) }),
      };
    },
    commit: () => check(native.commit(), "handing over to tsrun-init"),
    rollback: () => native.rollback(),
    watchSignals: () => check(native.watchSignals(), "watching signals"),
    adoptOrphans: () => check(native.adoptOrphans(), "becoming a subreaper"),
    attach(notifyAddress = "") {
      const end = native.attach(notifyAddress);
      if ("op" in end) {
        check(end, "attaching to the container");
        throw new TsrunError("internal", "attaching to the container");
      }
      const notNotified = end.notify === undefined ? undefined : statusText(end.notify);
      return { kind: end.killed ? "killed" : "exited", value: end.value, ...(notNotified && { notNotified }) };
    },
    containerReports: () => decodeReports(native.containerReports()),
    close: () => native.close(),
  };
}

/** Kills for want of memory in a cgroup, and the end of a process. */
export interface OomWatch {
  /** Waits (blocking) for the next event, at most `timeoutMs`. */
  next(timeoutMs: number): "timeout" | "oom" | "end";
  close(): void;
}

/**
 * Watches a process and the cgroup that limits its memory; without one (`undefined`) only the process. Undefined when the
 * process is gone. Throws `internal`.
 */
export function openOomWatch(
  process: { readonly pid: number; readonly startTime: bigint },
  cgroup: { readonly hierarchy: string; readonly path: string } | undefined,
): OomWatch | undefined {
  const native = new (addon().OomWatch)();
  const status = native.open(process.pid, process.startTime, cgroup?.hierarchy ?? "", cgroup?.path ?? "");
  if (status !== undefined && operations[status.op] === "pidfd_open" && status.errno === constants.errno.ESRCH) {
    native.close();
    return undefined;
  }
  check(status, "watching for kills for want of memory");
  return {
    next(timeoutMs) {
      const event = native.next(timeoutMs);
      if (typeof event !== "number") {
        check(event, "watching for kills for want of memory");
        throw new TsrunError("internal", "watching for kills for want of memory");
      }
      return (["timeout", "oom", "end"] as const)[event] ?? "end";
    },
    close: () => native.close(),
  };
}

/**
 * Files of /proc/sys, relative to it, as a process of these namespaces (descriptors) sees them: the text of each, or the
 * errno (a number) of one that cannot be read. What stands instead when a namespace cannot be entered says why.
 */
export function readSysctls(
  namespaces: readonly number[],
  files: readonly string[],
): { readonly values: readonly (string | number)[] } | { readonly refused: string } {
  const values = addon().readSysctls(namespaces, files);
  return Array.isArray(values) ? { values } : { refused: statusText(values) };
}

/**
 * The tags of the device programs attached to a v2 cgroup: each the first 16 hexadecimal digits of the SHA-1 (since Linux 6.18
 * the SHA-256) of the instructions as they were loaded. What stands instead when they cannot be asked for says why.
 */
export function deviceProgramTags(
  hierarchy: string,
  path: string,
): { readonly tags: readonly string[] } | { readonly refused: string } {
  const tags = addon().deviceProgramTags(hierarchy, path);
  return Array.isArray(tags) ? { tags } : { refused: statusText(tags) };
}

/** The libseccomp that the addon was built with. */
export interface Libseccomp {
  readonly version: string;
  /** Whether it knows this SCMP_ARCH_* number. */
  knowsArchitecture(arch: number): boolean;
}

export function libseccomp(): Libseccomp {
  const { libseccompVersion, knowsArchitecture } = addon();
  return { version: libseccompVersion, knowsArchitecture };
}

/** Of the first of the standard streams that is a terminal; undefined when none is. */
export function terminalSize(): { readonly height: number; readonly width: number } | undefined {
  const [height, width] = addon().terminalSize() ?? [];
  return height === undefined || width === undefined ? undefined : { height, width };
}

/** An flock held on `<directory>/lock`; ends with `release` or with the process. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Locks a state directory through its file `lock`. Undefined when the directory is gone, or with "try" when somebody
 * else holds it. Throws `state-store` when the file cannot be opened.
 */
export function lockDirectory(directory: string, how: "exclusive" | "shared" | "try"): DirectoryLock | undefined {
  const path = `${directory}/lock`;
  const fd = addon().lock(path, how === "shared" ? 0 : how === "exclusive" ? 1 : 2);
  const { EAGAIN, ENOENT } = constants.errno;
  if (fd === -ENOENT || (fd === -EAGAIN && how === "try")) return undefined;
  if (fd < 0) throw new TsrunError("state-store", `cannot lock ${path}: ${errnoText(-fd)}`);
  return { release: () => closeSync(fd) };
}

/**
 * A short extended attribute of a file (of a symbolic link: its own) as text, or undefined where it has none, or its file
 * system has none (xattr(7)). Throws `internal`.
 */
export function readAttribute(path: string, name: string): string | undefined {
  const found = addon().attribute(path, name);
  if (typeof found === "string") return found;
  const { ENODATA, EOPNOTSUPP } = constants.errno;
  if (found === -ENODATA || found === -EOPNOTSUPP) return undefined;
  throw new TsrunError("internal", `cannot read ${name} of ${path}: ${errnoText(-found)}`);
}
