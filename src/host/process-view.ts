/**
 * One process, looked at file by file. Its directory in /proc is held open, so that nothing is ever read of another process
 * that got the same pid; everything that is read is bounded, because the process says much of it.
 */
import { closeSync, constants, openSync, readlinkSync, readSync } from "node:fs";
import { errorCode } from "../core/errno.ts";
import type { Observed } from "../core/observed.ts";
import { type FoundFile, lookInRoot, O_PATH } from "./in-root.ts";
import { MountTable, parseMountinfo } from "./mountinfo.ts";
import { isMoreThanZombie, parseStat } from "./process.ts";

/** Of a file of /proc/<pid> but mountinfo. The longest, status, has at most 65536 groups. */
const MAX_TEXT_BYTES = 1024 * 1024;
/** fs.mount-max allows 100000 mounts. */
const MAX_MOUNTINFO_BYTES = 32 * 1024 * 1024;

export interface ProcessView {
  /** A file of /proc/<pid>, such as "status". */
  text(file: string): Observed<string>;
  /** A namespace, by its name in /proc/<pid>/ns: "net:[4026531840]". */
  namespace(name: string): Observed<string>;
  /** Descriptors of namespaces, which are `close`d with the rest. */
  openNamespaces(names: readonly string[]): Observed<readonly number[]>;
  /** Its mounts. */
  mounts(): Observed<MountTable>;
  /** What a path of the process's root leads to. */
  look(path: string): Observed<FoundFile | undefined>;
  /** Whether it still lives: what was read before is of this process then. */
  isAlive(): boolean;
  close(): void;
}

/** Opens a process; undefined when it is gone. */
export function openProcessView(process: {
  readonly pid: number;
  readonly startTime: bigint;
}): ProcessView | undefined {
  let directory: number;
  try {
    directory = openSync(`/proc/${process.pid}`, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  const opened = [directory];
  const inside = (file: string): string => `/proc/self/fd/${directory}/${file}`;
  const observe = <T>(file: string, get: (path: string) => T): Observed<T> => {
    try {
      return { value: get(inside(file)) };
    } catch (error) {
      return { unreadable: whyNot(file, error) };
    }
  };
  let mounts: Observed<MountTable> | undefined;
  let root: Observed<number> | undefined;
  const view: ProcessView = {
    text: (file) => observe(file, (path) => readBounded(path, MAX_TEXT_BYTES).toString("utf8")),
    namespace: (name) => observe(`ns/${name}`, (path) => readlinkSync(path)),
    openNamespaces(names) {
      const fds: number[] = [];
      for (const name of names) {
        const fd = observe(`ns/${name}`, (path) => openSync(path, constants.O_RDONLY));
        if ("unreadable" in fd) return fd;
        opened.push(fd.value);
        fds.push(fd.value);
      }
      return { value: fds };
    },
    mounts() {
      mounts ??= observe("mountinfo", readMounts);
      return mounts;
    },
    look(path) {
      const table = view.mounts();
      if ("unreadable" in table) return table;
      if (root === undefined) {
        root = observe("root", (at) => openSync(at, O_PATH | constants.O_DIRECTORY));
        if ("value" in root) opened.push(root.value);
      }
      return "unreadable" in root ? root : lookInRoot(root.value, path, table.value);
    },
    isAlive() {
      const stat = view.text("stat");
      if ("unreadable" in stat) return false;
      const found = parseStat(stat.value);
      return found.startTime === process.startTime && isMoreThanZombie(found);
    },
    close() {
      for (const fd of opened.splice(0)) closeSync(fd);
    },
  };
  if (view.isAlive()) return view;
  view.close();
  return undefined;
}

/** Our own mounts: what the sources of bind mounts are on. */
export function ownMounts(): Observed<MountTable> {
  try {
    return { value: readMounts("/proc/self/mountinfo") };
  } catch (error) {
    return { unreadable: whyNot("mountinfo", error) };
  }
}

const readMounts = (path: string): MountTable =>
  new MountTable(parseMountinfo(readBounded(path, MAX_MOUNTINFO_BYTES).toString("latin1")));

/** A file whose size is not known before it is read. */
function readBounded(path: string, maxBytes: number): Buffer {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    const chunks: Buffer[] = [];
    for (let size = 0; ; ) {
      const chunk = Buffer.alloc(65_536);
      const got = readSync(fd, chunk);
      if (got === 0) return Buffer.concat(chunks);
      size += got;
      if (size > maxBytes) throw Object.assign(new Error("too long"), { code: "EFBIG" });
      chunks.push(chunk.subarray(0, got));
    }
  } finally {
    closeSync(fd);
  }
}

function whyNot(file: string, error: unknown): string {
  const code = errorCode(error);
  if (code === "EACCES" || code === "EPERM") return `no permission to read ${file}`;
  if (code === "ENOENT" || code === "ESRCH") return `${file} is not there`;
  if (code === "EFBIG") return `${file} is too long`;
  return `cannot read ${file}: ${code ?? String(error)}`;
}
