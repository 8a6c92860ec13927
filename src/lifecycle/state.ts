/** state and list: what is known of containers, in runc's shape. */
import { readFileSync } from "node:fs";
import { STATE_OCI_VERSION } from "../compile/hooks.ts";
import type { ContainerId } from "../core/brands.ts";
import { errorCode, reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { type Found, find, findContainer } from "../state/liveness.ts";
import { listIds } from "../state/store.ts";
import type { Context } from "./context.ts";

/** `tsrun state`: runtime.md "State", and runc's additions rootfs, created and owner. */
export interface StateOutput {
  readonly ociVersion: string;
  readonly id: string;
  /** 0 when it is stopped. */
  readonly pid: number;
  readonly status: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner: string;
}

export function state(context: Context, id: ContainerId): StateOutput {
  return outputOf(findContainer(context.root, id));
}

function outputOf({ record, status }: Extract<Found, { kind: "container" }>): StateOutput {
  return {
    ociVersion: STATE_OCI_VERSION,
    id: record.id,
    pid: status === "stopped" ? 0 : record.init.pid,
    status,
    bundle: record.bundle,
    rootfs: record.rootfs,
    created: record.created,
    ...(Object.keys(record.annotations).length > 0 && { annotations: record.annotations }),
    owner: userName(record.ownerUid),
  };
}

/** All containers, sorted by id. One that cannot be read is a warning: it does not hide the others. */
export function list(context: Context): StateOutput[] {
  const all: StateOutput[] = [];
  for (const id of listIds(context.root)) {
    try {
      const found = find(context.root, id);
      if (found.kind === "container") all.push(outputOf(found));
    } catch (error) {
      if (!(error instanceof TsrunError)) throw error;
      context.log.warn(`list: ${id}: ${error.message}`);
    }
  }
  return all;
}

/** The name of a uid by the host's /etc/passwd, or `#uid`: also on a host without one. */
function userName(uid: number): string {
  if (uid === 0) return "root";
  const line = passwd()
    .split("\n")
    .find((entry) => entry.split(":")[2] === String(uid));
  return line?.split(":")[0] ?? `#${uid}`;
}

function passwd(): string {
  try {
    return readFileSync("/etc/passwd", "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "";
    throw new TsrunError("unsupported", `cannot read /etc/passwd: ${reasonOf(error)}`);
  }
}
