/** The addon's Extraction: makes files below a new directory, every name resolved inside it. */
import { constants } from "node:os";
import { errnoText } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { operations } from "../plan/vocabulary.ts";
import { addon, type NativeStatus } from "./addon.ts";

export interface ExtractionOptions {
  /** Whether to set owners; otherwise everything is the caller's. */
  readonly owners: boolean;
  /** Of directories that no record names. */
  readonly uid: number;
  readonly gid: number;
  /** overlayfs's, for opaque directories; none where whiteouts are not overlayfs's. All but the first may be missing. */
  readonly opaqueAttributes: readonly string[];
  /** Several layers come one after the other. */
  readonly layers: boolean;
}

export interface Extraction {
  /**
   * Carries out records (src/image/records.ts) on a thread of libuv's pool; neither buffer may change before it is done.
   * One call at a time. Throws `image`; after that the directory is to be removed.
   */
  apply(records: Uint8Array, data: Uint8Array): Promise<void>;
  /** Sets modes, attributes and times of the directories; with `sync` waits until everything is on the disk. */
  finish(sync: boolean): Promise<void>;
  /** Attributes that the file system cannot hold. */
  lostAttributes(): number;
  /** Paths of directories that no record names, each with a NUL behind it. */
  untold(): Uint8Array;
  /**
   * Makes the directories that layers hold and do not name, as a lower layer that names them has them; how many. The
   * layers from the lowest on, with what `untold` gave of each.
   */
  inherit(layers: readonly { readonly path: string; readonly untold: Uint8Array }[]): number;
  /**
   * Moves what was made to its place by rename; without a directory beside the workshop. False when something else than an
   * empty directory is there.
   */
  deliver(place: { readonly directory?: string; readonly name: string }): boolean;
  /** Ends it, and removes what was not delivered. */
  discard(): void;
}

/** Where the workshop is made: a directory (0700) that holds what is not complete. */
export interface Workshop {
  readonly parent: string;
  readonly name: string;
}

/** Begins. `what` is being unpacked, for messages. Throws `image`. */
export function openExtraction(workshop: Workshop, what: string, options: ExtractionOptions): Extraction {
  const { owners, uid, gid, opaqueAttributes, layers } = options;
  const native = new (addon().Extraction)(owners, uid, gid, opaqueAttributes, layers);
  const check = (status: NativeStatus | undefined): void => {
    if (status !== undefined) throw failure(what, status);
  };
  try {
    check(native.open(workshop.parent, workshop.name));
  } catch (error) {
    native.discard();
    throw error;
  }
  return {
    apply: async (records, data) => check(await native.apply(records, data)),
    finish: async (sync) => check(await native.finish(sync)),
    lostAttributes: () => native.lostAttributes(),
    untold: () => native.untold(),
    inherit(layers) {
      const made = native.inherit(
        layers.map(({ path }) => path),
        layers.map(({ untold }) => untold),
      );
      if (typeof made === "number") return made;
      throw failure(what, made);
    },
    deliver({ directory = "", name }) {
      const status = native.deliver(directory, name);
      const { ENOTEMPTY, EEXIST } = constants.errno;
      if (status?.errno === ENOTEMPTY || status?.errno === EEXIST) return false;
      check(status);
      return true;
    },
    discard: () => check(native.discard()),
  };
}

/** Removes what has a name in a directory, however deep, by descriptor. Nothing there is fine. Throws `state-store`. */
export function removeTree(directory: string, name: string): void {
  const status = addon().removeTree(directory, name);
  if (status === undefined) return;
  throw new TsrunError(
    "state-store",
    `cannot remove ${directory}/${name}: ${operations[status.op]} ${status.path}: ${errnoText(status.errno)}`,
  );
}

function failure(what: string, { op, errno, path, text }: NativeStatus): TsrunError {
  const operation = operations[op] ?? String(op);
  const { ENOENT, ENOSPC, EDQUOT, EPERM, EINVAL, ENOSYS, EXDEV, ENOTDIR, EOPNOTSUPP, EMLINK } = constants.errno;
  const name = JSON.stringify(path);
  const said = errnoText(errno);
  const make = (message: string, advice?: string): TsrunError =>
    new TsrunError("image", `${what}: ${message}`, advice === undefined ? {} : { advice });
  if (operation === "linkat") {
    const reason = errno === ENOENT || errno === ENOTDIR || errno === EXDEV ? "no earlier entry made that" : said;
    return make(
      `entry ${JSON.stringify(text)}: a hard link to ${name}: ${reason}`,
      errno === EMLINK ? "the file system allows no more links to one file" : undefined,
    );
  }
  const message = `entry ${name}: ${operation}: ${said}${text === "" ? "" : ` (${text})`}`;
  if (errno === ENOSPC || errno === EDQUOT) return make(message, "the file system is full");
  if (operation === "openat2" && errno === ENOSYS)
    return make(message, "tsrun needs Linux 5.10, and openat2(2) allowed");
  if (operation === "fchown" && (errno === EINVAL || errno === EPERM)) {
    return make(message, "this owner cannot be set here: --no-same-owner, or in a user namespace that has these ids");
  }
  if (operation === "mknodat" && errno === EPERM)
    return make(message, "devices need CAP_MKNOD: --no-same-owner leaves them out");
  if (operation === "fsetxattr" && errno === EOPNOTSUPP)
    return make(message, "this file system has no such attributes");
  return make(message);
}
