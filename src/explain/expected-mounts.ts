/**
 * The mounts that a plan leaves behind: its steps gone through in order, each place with what is seen there in the end.
 */
import { MOUNT_ATTR, MS } from "../compile/mount-options.ts";
import { linkRules, type Plan } from "../plan/vocabulary.ts";

export interface ExpectedMount {
  /** Inside the container, with a leading slash. */
  readonly target: string;
  readonly kind: "root" | "filesystem" | "bind" | "readonly" | "mask" | "console";
  /** Of a file system. */
  readonly type?: string;
  /** Of a bind: a path of the host. */
  readonly source?: string;
  /** Of a bind: with what is mounted below the source. */
  readonly recursive?: boolean;
  readonly idmapped?: boolean;
  /** MOUNT_ATTR_* that the mount has to have. */
  readonly set: number;
  /** Those that it must not have; for a new mount all that are not set. */
  readonly clear: number;
  /** Options of the file system, name=value or a word. */
  readonly options: readonly string[];
  /** MS_SHARED, … as config.json asks for it; 0 where it does not. */
  readonly propagation: number;
}

const ATTRIBUTES =
  MOUNT_ATTR.RDONLY |
  MOUNT_ATTR.NOSUID |
  MOUNT_ATTR.NODEV |
  MOUNT_ATTR.NOEXEC |
  MOUNT_ATTR.ATIME |
  MOUNT_ATTR.NODIRATIME |
  MOUNT_ATTR.NOSYMFOLLOW;

type Change = { readonly set: number; readonly clear: number; readonly propagation?: number };

export function expectedMounts(plan: Plan): ExpectedMount[] {
  const found = new Map<string, ExpectedMount>();
  const idmapped = new Set(plan.host.flatMap((step) => (step.kind === "mount.idmap" ? [step.tree] : [])));
  const overlays = new Set(plan.host.flatMap((step) => (step.kind === "mount.overlay" ? [step.slot] : [])));
  const put = (mount: Omit<ExpectedMount, "options"> & { readonly options?: readonly string[] }): void => {
    const { target, kind } = mount;
    // What is mounted on a directory hides all that is below it; a path bound over itself brings it along.
    if (kind !== "readonly") for (const other of [...found.keys()]) if (isBelow(target, other)) found.delete(other);
    found.delete(target);
    found.set(target, { options: [], ...mount });
  };
  const change = (target: string, { set, clear, propagation = 0 }: Change): void => {
    const mount = found.get(target);
    if (mount === undefined) return;
    found.set(target, {
      ...mount,
      set: (mount.set & ~clear) | set,
      clear: (mount.clear | clear) & ~set,
      propagation: propagation === 0 ? mount.propagation : propagation,
    });
  };
  for (const step of plan.container) {
    switch (step.kind) {
      case "root.bind":
        put({ target: "/", kind: "root", source: step.path, set: 0, clear: 0, propagation: 0 });
        break;
      case "root.readonly":
        change("/", { set: MOUNT_ATTR.RDONLY, clear: 0 });
        break;
      case "root.propagation":
        change("/", { set: 0, clear: 0, propagation: Number(step.flags) });
        break;
      case "mount.filesystem": {
        const set = Number(step.attr);
        put({
          target: `/${step.target}`,
          kind: "filesystem",
          type: step.fsType,
          set,
          clear: ATTRIBUTES & ~set,
          options: step.options,
          propagation: Number(step.propagation),
        });
        break;
      }
      case "mount.bind":
        // The link itself is made instead, so that nothing is mounted.
        if ((Number(step.links) & linkRules.copy) !== 0) break;
        // The host has made it, and called its layers as it liked.
        if (step.slot !== null && overlays.has(step.slot)) {
          const set = Number(step.attrSet);
          const propagation = Number(step.propagation);
          put({ target: `/${step.target}`, kind: "filesystem", type: "overlay", set, clear: 0, propagation });
          break;
        }
        put({
          target: `/${step.target}`,
          kind: "bind",
          source: step.source,
          recursive: step.recursive,
          idmapped: step.slot !== null && idmapped.has(step.slot),
          set: Number(step.attrSet),
          clear: Number(step.attrClear) & ~Number(step.attrSet),
          propagation: Number(step.propagation),
        });
        break;
      case "mount.attributes":
        change(`/${step.target}`, {
          set: Number(step.set),
          clear: Number(step.clear),
          propagation: Number(step.propagation),
        });
        break;
      case "device.bind":
        put({
          target: `/${step.path}`,
          kind: "bind",
          source: step.source,
          recursive: false,
          set: 0,
          clear: 0,
          propagation: 0,
        });
        break;
      case "console.open":
        if (step.bind) put({ target: "/dev/console", kind: "console", set: 0, clear: 0, propagation: 0 });
        break;
      case "path.readonly":
        put({ target: `/${step.path}`, kind: "readonly", set: MOUNT_ATTR.RDONLY, clear: 0, propagation: 0 });
        break;
      case "path.mask":
        put({ target: `/${step.path}`, kind: "mask", set: 0, clear: 0, propagation: 0 });
        break;
      default:
    }
  }
  return [...found.values()];
}

/** Whether `path` is strictly below `directory`. */
export const isBelow = (directory: string, path: string): boolean =>
  path !== directory && path.startsWith(directory === "/" ? "/" : `${directory}/`);

/** The kernel's words for attributes, as mountinfo has them. */
export function attributeWords(attributes: number): string[] {
  const words = (
    [
      [MOUNT_ATTR.RDONLY, "ro"],
      [MOUNT_ATTR.NOSUID, "nosuid"],
      [MOUNT_ATTR.NODEV, "nodev"],
      [MOUNT_ATTR.NOEXEC, "noexec"],
      [MOUNT_ATTR.NODIRATIME, "nodiratime"],
      [MOUNT_ATTR.NOSYMFOLLOW, "nosymfollow"],
    ] as const
  ).flatMap(([flag, word]) => ((attributes & flag) !== 0 ? [word] : []));
  return (attributes & MOUNT_ATTR.NOATIME) !== 0 ? [...words, "noatime"] : words;
}

/** The kernel's words for a propagation. */
export function propagationWord(flags: number): "shared" | "slave" | "private" | "unbindable" | undefined {
  if ((flags & MS.SHARED) !== 0) return "shared";
  if ((flags & MS.SLAVE) !== 0) return "slave";
  if ((flags & MS.UNBINDABLE) !== 0) return "unbindable";
  return (flags & MS.PRIVATE) !== 0 ? "private" : undefined;
}
