/**
 * `<root>/<id>/`: what is on disk of a container.
 *
 *     lock         flock: held while a container is ended and removed, or its limits are changed; never across a hook
 *     journal      one line before each effect that a kill -9 could leave behind
 *     config.json  as create read it: later changes of the bundle's have no effect (runtime.md, Lifecycle); update replaces
 *                  its resources
 *     state.json   the record, by rename: there or not, never half
 *     gate         socket between create and start
 *     notify/      bound into the container, if its caller waits for it to be ready (sd_notify(3)), or may be by an image
 */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type AbsPath, type ContainerId, containerId, isContainerId } from "../core/brands.ts";
import { makeDirectories } from "../core/directories.ts";
import { errorCode, reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { GATE_NAME, NOTIFY_DIRECTORY } from "../core/names.ts";
import {
  type ContainerRecord,
  decodeJournal,
  decodeRecord,
  encodeEntry,
  encodeRecord,
  type JournalEntry,
  type ProcessIdentity,
} from "./record.ts";

/** Where containers are, in the default place or `--root`. */
export interface StateRoot {
  readonly path: AbsPath;
  /** Given by --root: then it must exist for `list`. */
  readonly explicit: boolean;
}

export const directoryOf = (root: StateRoot, id: ContainerId): AbsPath => join(root.path, id) as AbsPath;
const inside = (root: StateRoot, id: ContainerId, name: string): string => join(root.path, id, name);

/** Files beside the containers' directories: "@" is in no container id. */
export const seccompCacheOf = (root: StateRoot): AbsPath => join(root.path, "@seccomp") as AbsPath;

/** Entries of the root that are no container: "@" is in no id. `gc` removes those whose process is gone. */
const temporaryName = (what: "new" | "gone" | "criu", id: string, by: ProcessIdentity): string =>
  `@${what}-${by.pid}-${by.startTime}-${id}`;

/** Directories under temporary names, and who was making or removing them. None of other users'. */
export function listTemporary(root: StateRoot): { readonly path: AbsPath; readonly by: ProcessIdentity }[] {
  return readRoot(root).flatMap((name) => {
    const found = /^@(?:new|gone|criu)-(\d+)-(\d+)-/.exec(name);
    if (found === null) return [];
    const by = { pid: Number(found[1]), startTime: BigInt(found[2] as string) };
    const path = join(root.path, name) as AbsPath;
    const uid = lstatSync(path, { throwIfNoEntry: false })?.uid;
    return uid !== undefined && isTrusted(uid) ? [{ path, by }] : [];
  });
}

/** What a container's directory holds from the beginning. */
export interface NewDirectory {
  /** The text of config.json. */
  readonly config: string;
  readonly entry: Extract<JournalEntry, { kind: "creating" }>;
  /** With a directory for a notify socket. */
  readonly notify?: boolean | undefined;
  /** Called at moments at which a test may have tsrun killed. */
  readonly reached: (point: "directory-new" | "directory") => void;
}

/**
 * Claims an id: makes the root (0700, attack row 19) and in it the container's directory, by rename, so that a directory
 * with an id for its name always has a journal. Throws `exists` when the id is taken.
 */
export function makeDirectory(root: StateRoot, id: ContainerId, content: NewDirectory): AbsPath {
  const directory = directoryOf(root, id);
  const temporary = join(root.path, temporaryName("new", id, content.entry.by));
  try {
    makeDirectories(root.path, 0o700);
    mkdirSync(temporary, { mode: 0o700 });
  } catch (error) {
    throw rootError(root, "cannot make a directory in the state root", error);
  }
  try {
    writeFileSync(join(temporary, "config.json"), content.config, { mode: 0o600 });
    writeFileSync(join(temporary, "journal"), encodeEntry(content.entry), { mode: 0o600 });
    if (content.notify === true) makeNotifyDirectory(join(temporary, NOTIFY_DIRECTORY));
    content.reached("directory-new");
    // rename(2) replaces no directory that has something in it, and every container's has.
    renameSync(temporary, directory);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    if (errorCode(error) === "ENOTEMPTY" || errorCode(error) === "EEXIST") {
      throw new TsrunError("exists", `container with given ID already exists: ${id}`, {
        advice: `choose another id, or tsrun delete ${id}`,
      });
    }
    throw new TsrunError("state-store", `cannot make ${directory}: ${reasonOf(error)}`);
  }
  content.reached("directory");
  return directory;
}

/** With advice for whom the default root is not. */
function rootError(root: StateRoot, what: string, error: unknown): TsrunError {
  const denied = errorCode(error) === "EACCES" && !root.explicit;
  return new TsrunError("state-store", `${what} ${root.path}: ${reasonOf(error)}`, {
    ...(denied && { advice: "a user other than root needs XDG_RUNTIME_DIR or --root DIR" }),
  });
}

/** For whichever user the container's program is, and whatever our umask is; others do not come through ours. */
function makeNotifyDirectory(path: string): void {
  mkdirSync(path);
  chmodSync(path, 0o755);
}

export function hasNotifyDirectory(root: StateRoot, id: ContainerId): boolean {
  return existsSync(inside(root, id, NOTIFY_DIRECTORY));
}

export function removeNotifyDirectory(root: StateRoot, id: ContainerId): void {
  rmSync(inside(root, id, NOTIFY_DIRECTORY), { recursive: true });
}

/** A directory for CRIU to work in, which nobody else has written to. Its maker removes it; else gc does. */
export function makeWorkDirectory(root: StateRoot, id: ContainerId, by: ProcessIdentity): AbsPath {
  const path = join(root.path, temporaryName("criu", id, by)) as AbsPath;
  try {
    makeDirectories(root.path, 0o700);
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    throw new TsrunError("state-store", `cannot make ${path}: ${reasonOf(error)}`);
  }
  return path;
}

/** Whether a path, links followed, is such a directory. */
export const isWorkDirectory = (root: StateRoot, path: string): boolean =>
  path.startsWith(join(realpathSync(root.path), "@criu-"));

/** Frees the id by rename, then removes what was under it. A missing one is none to remove. */
export function removeDirectory(root: StateRoot, id: ContainerId, by: ProcessIdentity, renamed: () => void): void {
  const gone = join(root.path, temporaryName("gone", id, by));
  try {
    renameSync(directoryOf(root, id), gone);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw new TsrunError("state-store", `cannot remove ${directoryOf(root, id)}: ${reasonOf(error)}`);
  }
  renamed();
  rmSync(gone, { recursive: true, force: true });
}

export function writeRecord(root: StateRoot, record: ContainerRecord): void {
  const path = inside(root, record.id, "state.json");
  try {
    writeFileSync(`${path}.new`, encodeRecord(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw new TsrunError("state-store", `cannot write ${path}: ${reasonOf(error)}`);
  }
}

/** Root's and our own. What others have put into a root that is open to them would have us kill, unmount and run for them. */
const isTrusted = (uid: number): boolean => uid === 0 || uid === process.geteuid?.();

/** Of a container's directory. */
function readText(root: StateRoot, path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return undefined;
    throw rootError(root, `cannot read ${path} in the state root`, error);
  }
  try {
    const { uid } = fstatSync(fd);
    if (!isTrusted(uid)) throw new TsrunError("state-store", `${path} is not believed: it belongs to the user ${uid}`);
    return readFileSync(fd, "utf8");
  } catch (error) {
    throw error instanceof TsrunError ? error : rootError(root, `cannot read ${path} in the state root`, error);
  } finally {
    closeSync(fd);
  }
}

/** The record, or undefined when there is no such container (or a half-made one). */
export function readRecord(root: StateRoot, id: ContainerId): ContainerRecord | undefined {
  const path = inside(root, id, "state.json");
  const text = readText(root, path);
  return text === undefined ? undefined : decodeRecord(text, path);
}

export function appendJournal(root: StateRoot, id: ContainerId, entry: JournalEntry): void {
  const path = inside(root, id, "journal");
  try {
    appendFileSync(path, encodeEntry(entry), { mode: 0o600 });
  } catch (error) {
    throw new TsrunError("state-store", `cannot write ${path}: ${reasonOf(error)}`);
  }
}

export function readJournal(root: StateRoot, id: ContainerId): JournalEntry[] {
  const path = inside(root, id, "journal");
  const text = readText(root, path);
  return text === undefined ? [] : decodeJournal(text, path);
}

/** Replaces the copy at once: whoever reads it sees the old or the new one. */
export function writeConfigCopy(root: StateRoot, id: ContainerId, text: string): void {
  const path = inside(root, id, "config.json");
  try {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw new TsrunError("state-store", `cannot write ${path}: ${reasonOf(error)}`);
  }
}

export function readConfigCopy(root: StateRoot, id: ContainerId): string {
  const path = inside(root, id, "config.json");
  const text = readText(root, path);
  if (text === undefined) throw new TsrunError("state-store", `${path} is missing`);
  return text;
}

export function hasDirectory(root: StateRoot, id: ContainerId): boolean {
  return existsSync(directoryOf(root, id));
}

export function hasGate(root: StateRoot, id: ContainerId): boolean {
  return existsSync(inside(root, id, GATE_NAME));
}

function readRoot(root: StateRoot): string[] {
  try {
    return readdirSync(root.path);
  } catch (error) {
    if (errorCode(error) === "ENOENT" && !root.explicit) return [];
    if (errorCode(error) === "ENOENT") {
      throw new TsrunError("not-found", `state root ${root.path}: ${reasonOf(error)}`);
    }
    throw rootError(root, "cannot read the state root", error);
  }
}

/** Ids of all containers, also half-made ones, sorted. Throws `not-found` when a root given by --root is missing. */
export function listIds(root: StateRoot): ContainerId[] {
  return readRoot(root).filter(isContainerId).sort().map(containerId);
}
