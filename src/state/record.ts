/** What a container's state directory holds: state.json, written once by create, and the journal. */
import type { AbsPath, ContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import type { CgroupPlace } from "../host/facts.ts";

/** A process, for good: the start time tells it from a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: bigint;
}

/** Directories of resctrl: which were made for the container, and which of them stay after it. */
export interface ResctrlRecord {
  readonly root: string;
  readonly groups: readonly { readonly path: string; readonly created: boolean; readonly kept: boolean }[];
}

/** The unit of systemd that was made for the container, and the sockets of its manager and of the buses it is on. */
export interface UnitRecord {
  readonly name: string;
  readonly managers: readonly string[];
  readonly buses: readonly string[];
}

/** What is known of a container beside what the kernel says at any moment. */
export interface ContainerRecord {
  readonly id: ContainerId;
  readonly bundle: AbsPath;
  readonly rootfs: AbsPath;
  readonly init: ProcessIdentity;
  /** When it was created, ISO 8601 in UTC. */
  readonly created: string;
  /** Effective uid of the tsrun that created it. */
  readonly ownerUid: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly cgroups: readonly CgroupPlace[];
  readonly resctrl?: ResctrlRecord | undefined;
  readonly systemd?: UnitRecord | undefined;
  readonly sharesPidNamespace: boolean;
  readonly hooks: { readonly poststart: boolean; readonly poststop: boolean };
  readonly hasProcess: boolean;
  /** --no-new-keyring of create, which holds for exec, too. Older records do not say: as without it. */
  readonly noNewKeyring?: boolean | undefined;
  /** Without a mount namespace of its own: where its mounts are on the host, which delete detaches. */
  readonly detachRoot?: string | undefined;
  /** Of `run --image`: the reference of a bundle that goes with the container (src/image/references.ts). */
  readonly bundleReference?: AbsPath | undefined;
}

/**
 * One line of the journal, written before the effect that it announces. After a kill -9 it says what to undo:
 * `creating` the cgroups, unit and files that create was about to make, `deleting` that the poststop hooks are still to run.
 */
export type JournalEntry =
  | {
      readonly kind: "creating";
      readonly by: ProcessIdentity;
      readonly cgroups: readonly CgroupPlace[];
      readonly resctrl?: ResctrlRecord | undefined;
      readonly systemd?: UnitRecord | undefined;
      readonly detachRoot?: string | undefined;
      readonly bundleReference?: AbsPath | undefined;
      /** Temporary file beside --pid-file, or "". */
      readonly pidFile: string;
    }
  | { readonly kind: "deleting"; readonly by: ProcessIdentity };

/** Of state.json and the journal; another number is another tsrun's. */
const FORMAT = 1;

/** bigints as decimal strings; the readers below know which texts they are. */
const exact = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

export function encodeRecord(record: ContainerRecord): string {
  return `${JSON.stringify({ format: FORMAT, ...record }, exact)}\n`;
}

export function encodeEntry(entry: JournalEntry): string {
  return `${JSON.stringify({ format: FORMAT, ...entry }, exact)}\n`;
}

function decode(text: string, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new TsrunError("state-store", `${path} is damaged: not JSON`);
  }
  const format = typeof value === "object" && value !== null && "format" in value ? value.format : undefined;
  if (format !== FORMAT) {
    throw new TsrunError("state-store", `${path} has format ${String(format)}; this tsrun knows ${FORMAT}`);
  }
  return value as Record<string, unknown>;
}

function decodeIdentity(value: unknown, path: string): ProcessIdentity {
  const { pid, startTime } = (value ?? {}) as Record<string, unknown>;
  if (typeof pid !== "number" || typeof startTime !== "string" || !/^\d+$/.test(startTime)) {
    throw new TsrunError("state-store", `${path} is damaged: no pid and start time`);
  }
  return { pid, startTime: BigInt(startTime) };
}

/** Reads state.json. It is ours, in a directory that only we write: its format is checked, not each field. */
export function decodeRecord(text: string, path: string): ContainerRecord {
  const { format: _, init, ...record } = decode(text, path);
  return { ...(record as unknown as ContainerRecord), init: decodeIdentity(init, path) };
}

/** Reads the journal; a last line that was cut off by a crash is as if it had not been written. */
export function decodeJournal(text: string, path: string): JournalEntry[] {
  const complete = text.slice(0, text.lastIndexOf("\n") + 1);
  return complete
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const { format: _, by, ...entry } = decode(line, path);
      return { ...(entry as unknown as JournalEntry), by: decodeIdentity(by, path) };
    });
}
