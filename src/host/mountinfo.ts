/** /proc/<pid>/mountinfo (proc_pid_mountinfo(5)), and which of its mounts a path leads to. */

/** One mount. Paths and options are as the kernel has them, its octal escapes undone. */
export interface MountInfo {
  readonly id: number;
  readonly parent: number;
  /** `major:minor` of the file system. */
  readonly device: string;
  /** Which directory or file of the file system is mounted; ends in `//deleted` when its name is gone. */
  readonly root: string;
  /** Where, counted from the process's root. */
  readonly point: string;
  /** Options of the mount: ro, nosuid, … */
  readonly options: readonly string[];
  /** `shared:N`, `master:N`, `propagate_from:N`, `unbindable`; empty for a private mount. */
  readonly propagation: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Options of the file system. */
  readonly superOptions: readonly string[];
}

/** `text`: read as latin1, one character a byte, since what is escaped are bytes. */
export function parseMountinfo(text: string): MountInfo[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      const separator = fields.indexOf("-", 6);
      const [id, parent, device = "", root = "", point = "", options = ""] = fields;
      const [type = "", source = "", superOptions = ""] = fields.slice(separator + 1);
      return {
        id: Number(id),
        parent: Number(parent),
        device,
        root: unescapeField(root),
        point: unescapeField(point),
        options: options.split(","),
        propagation: fields.slice(6, separator),
        type: unescapeField(type),
        source: unescapeField(source),
        superOptions: superOptions.split(",").map(unescapeField),
      };
    });
}

function unescapeField(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** The mounts of one process, to be asked as the kernel walks: mounts that others cover are not found. */
export class MountTable {
  readonly all: readonly MountInfo[];
  readonly #children = new Map<string, MountInfo>();
  readonly #root: MountInfo | undefined;

  constructor(all: readonly MountInfo[]) {
    this.all = all;
    const ids = new Set(all.map(({ id }) => id));
    for (const mount of all) {
      // A process whose root is no mount point does not see the mount that its root is in.
      const parent = ids.has(mount.parent) && mount.parent !== mount.id ? mount.parent : 0;
      this.#children.set(`${parent} ${mount.point}`, mount);
    }
    this.#root = this.#above(undefined, "/");
  }

  /** The mount that a path lies in; undefined when it is not among those that the process sees. */
  covering(path: string): MountInfo | undefined {
    let current = this.#root;
    let prefix = "";
    for (const name of path.split("/")) {
      if (name === "") continue;
      prefix += `/${name}`;
      current = this.#above(current, prefix) ?? current;
    }
    return current;
  }

  /** The mount that is seen at a path, if one is mounted there. */
  at(path: string): MountInfo | undefined {
    const found = this.covering(path);
    return found?.point === path ? found : undefined;
  }

  /** Whether a path leads to it: others that are mounted over it or above it hide it. */
  isVisible(mount: MountInfo): boolean {
    return this.at(mount.point)?.id === mount.id;
  }

  /** The topmost mount at a place in `under`. */
  #above(under: MountInfo | undefined, point: string): MountInfo | undefined {
    let found: MountInfo | undefined;
    for (let next = this.#children.get(`${under?.id ?? 0} ${point}`); next !== undefined; ) {
      found = next;
      next = this.#children.get(`${next.id} ${point}`);
    }
    return found;
  }
}
