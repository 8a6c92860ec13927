/** What an archive's entries become: records for the addon. The limits and the policy of what is kept are here. Pure. */
import { TsrunError } from "../core/errors.ts";
import { type Attribute, chooseAttribute } from "./attributes.ts";
import { type Limits, tooManyBytes, tooManyEntries } from "./limits.ts";
import { pathBelowRoot, whiteoutOf } from "./names.ts";
import { type IdMappings, shiftId } from "./ownership.ts";
import type { PathRecord, Records } from "./records.ts";
import type { EntryKind, TarEntry, TarSink } from "./tar.ts";
import { type ByteText, shown } from "./tar-header.ts";

/** What the caller may make. */
export interface Rights {
  /** Files get the archive's owners; otherwise they are the caller's, and set-id bits are left out. */
  readonly owners: boolean;
  readonly devices: boolean;
  /** Attributes trusted.*. */
  readonly trusted: boolean;
  readonly mappings: IdMappings | undefined;
}

export type RecordSink = Pick<Records, "path" | "data" | "fileEnd">;

export interface TreeOptions {
  /** `none`: an archive that is no layer. `overlay`: as overlayfs has them. `remove`: what earlier layers made goes. */
  readonly whiteouts: "none" | "overlay" | "remove";
  readonly limits: Limits;
  readonly rights: Rights;
  /** Called once a reason. */
  readonly warn: (line: string) => void;
}

const fileTypes: Readonly<Record<EntryKind, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  "hard-link": 0,
  "character-device": 0o020000,
  "block-device": 0o060000,
  fifo: 0o010000,
};
const SET_ID = 0o6000;
/** PATH_MAX without its NUL. */
const MAX_LINK = 4095;

export class TreeWriter implements TarSink {
  readonly #records: RecordSink;
  readonly #options: TreeOptions;
  readonly #warned = new Set<string>();
  #entries = 0;
  #bytes = 0;
  /** The file whose data comes; undefined for one that is left out. */
  #fileSize: number | undefined;

  constructor(records: RecordSink, options: TreeOptions) {
    this.#records = records;
    this.#options = options;
  }

  /** Throws `image`. */
  entry(entry: TarEntry): void {
    try {
      this.#entry(entry);
    } catch (error) {
      if (!(error instanceof TsrunError) || error.message.includes(shown(entry.name))) throw error;
      throw new TsrunError(error.code, `entry ${shown(entry.name)}: ${error.message}`, {
        ...(error.advice !== undefined && { advice: error.advice }),
      });
    }
  }

  data(position: number, offset: number, size: number): void {
    if (this.#fileSize !== undefined) this.#records.data(position, offset, size);
  }

  fileEnd(): void {
    if (this.#fileSize !== undefined) this.#records.fileEnd(this.#fileSize);
    this.#fileSize = undefined;
  }

  #entry(entry: TarEntry): void {
    const { limits, whiteouts } = this.#options;
    this.#entries++;
    if (this.#entries > limits.maxEntries) throw tooManyEntries(limits.maxEntries);
    this.#bytes += entry.size;
    if (this.#bytes > limits.maxBytes) throw tooManyBytes(limits.maxBytes, "of files");
    const path = pathBelowRoot(entry.name, limits.maxDepth, "entry");
    const whiteout = whiteouts === "none" ? undefined : whiteoutOf(path);
    if (whiteout === undefined) this.#make(entry, path);
    else if (whiteout.kind === "path") {
      this.#records.path(whiteouts === "overlay" ? "whiteout" : "removeLower", { path: whiteout.path });
    } else if (whiteout.kind === "opaque") this.#opaque(whiteout.directory);
  }

  #opaque(directory: ByteText): void {
    if (this.#options.whiteouts === "remove") {
      this.#records.path("removeLowerInside", { path: directory });
      return;
    }
    if (directory === "") {
      throw new TsrunError("unsupported", "an opaque whiteout of the root, which overlayfs does not have", {
        advice: "unpack the image into a directory instead: tsrun unpack IMAGE DIR",
      });
    }
    this.#records.path("opaque", { path: directory });
  }

  #make(entry: TarEntry, path: ByteText): void {
    const { rights, limits } = this.#options;
    if (path === "" && entry.kind !== "directory") throw new TsrunError("image", `the root is a ${entry.kind}`);
    switch (entry.kind) {
      case "file":
        this.#records.path("file", this.#metadata(entry, path));
        this.#fileSize = entry.size;
        return;
      case "directory":
        this.#records.path("directory", this.#metadata(entry, path));
        return;
      case "symlink": {
        const target = entry.linkName;
        if (target === "" || target.length > MAX_LINK || target.includes("\0")) {
          throw new TsrunError("image", "a symbolic link whose text is empty, too long or contains NUL");
        }
        this.#records.path("symlink", { ...this.#metadata(entry, path), target });
        return;
      }
      case "hard-link": {
        const target = pathBelowRoot(entry.linkName, limits.maxDepth, "the target of its hard link");
        if (target === "") throw new TsrunError("image", "a hard link to the root");
        this.#records.path("hardLink", { path, target });
        return;
      }
      case "character-device":
      case "block-device":
        if (!rights.devices) {
          this.#warn("device nodes, which need root");
          return;
        }
        checkDevice(entry);
        this.#records.path("node", this.#metadata(entry, path));
        return;
      case "fifo":
        this.#records.path("node", { ...this.#metadata(entry, path), major: 0, minor: 0 });
    }
  }

  #metadata(entry: TarEntry, path: ByteText): PathRecord {
    const { rights } = this.#options;
    let { mode } = entry;
    if (!rights.owners && (mode & SET_ID) !== 0 && entry.kind === "file") {
      // The file is the caller's, so it would be the caller's rights that it gives away.
      mode &= ~SET_ID;
      this.#warn("set-user-id and set-group-id bits, since owners are not kept");
    }
    return {
      path,
      mode: fileTypes[entry.kind] | mode,
      uid: rights.owners ? shiftId(entry.uid, rights.mappings?.uids, "uid") : 0,
      gid: rights.owners ? shiftId(entry.gid, rights.mappings?.gids, "gid") : 0,
      mtime: entry.mtime,
      major: entry.major,
      minor: entry.minor,
      attributes: entry.attributes.length === 0 ? [] : this.#attributes(entry.attributes),
    };
  }

  #attributes(attributes: readonly Attribute[]): Attribute[] {
    return attributes.flatMap((attribute) => {
      const choice = chooseAttribute(attribute, this.#options.rights);
      if (choice.kind === "set") return [choice.attribute];
      if (choice.kind === "dropped") this.#warn(choice.why);
      return [];
    });
  }

  #warn(what: string): void {
    if (this.#warned.has(what)) return;
    this.#warned.add(what);
    this.#options.warn(`left out: ${what}`);
  }
}

/** The kernel's 12 bits and 20 bits (MAJOR, MINOR). */
function checkDevice({ major, minor }: TarEntry): void {
  if (major < 0 || major > 0xfff || minor < 0 || minor > 0xf_ffff) {
    throw new TsrunError("image", `device ${major}:${minor} is none of Linux's`);
  }
}
