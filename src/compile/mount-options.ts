/**
 * The options of a mount: names of mount(8) and of runc, each with its meaning as a mount attribute (of one mount or of all
 * below it), as a flag of the file system, as propagation; whatever is none of these is data for the file system
 * (config.md, Mounts). Later options win over earlier ones.
 */

import { linkRules } from "../plan/vocabulary.ts";

/** Propagation and other flags of mount(2) (linux/mount.h). */
export const MS = {
  NOEXEC: 8,
  SILENT: 1 << 15,
  REC: 1 << 14,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  I_VERSION: 1 << 23,
} as const;

/** Attributes of mount_setattr(2). */
export const MOUNT_ATTR = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  NOATIME: 0x10,
  STRICTATIME: 0x20,
  /** The access-time setting is a number in these bits; 0 is relatime. It is changed as a whole. */
  ATIME: 0x70,
  NODIRATIME: 0x80,
  NOSYMFOLLOW: 0x20_0000,
} as const;

/** Attributes to be set and to be cleared, disjoint but for ATIME, as mount_setattr(2) takes them. */
export interface Attributes {
  readonly set: number;
  readonly clear: number;
}

/** idmap or ridmap. */
export interface IdmapOption {
  readonly recursive: boolean;
  /** What follows `idmap=` (crun's form); "" for the mount's own mappings or the container's. */
  readonly mapping: string;
}

export interface MountOptions {
  readonly bind: "no" | "bind" | "rbind";
  readonly remount: boolean;
  readonly attributes: Attributes;
  /** Of the mount and of all below it: rro, rnosuid, … */
  readonly recursive: Attributes;
  /** MS_* flags, each with or without MS_REC, to be applied one after another. */
  readonly propagation: readonly number[];
  /** What the file system itself has to know: sync, dirsync, lazytime, mand. */
  readonly superblock: readonly string[];
  /** MS_* flags that only mount(2) knows. */
  readonly mountFlags: number;
  readonly copyUp: boolean;
  readonly idmap: IdmapOption | undefined;
  /** Bits of linkRules: src-nofollow, dest-nofollow, copy-symlink. */
  readonly links: number;
  /** Everything else. */
  readonly data: readonly string[];
}

type Meaning =
  | { readonly kind: "none" }
  | { readonly kind: "attribute"; readonly flag: number; readonly on: boolean }
  | { readonly kind: "atime"; readonly value: number; readonly on: boolean }
  | { readonly kind: "superblock"; readonly name: string; readonly on: boolean }
  | { readonly kind: "flag"; readonly flag: number; readonly on: boolean }
  | { readonly kind: "propagation"; readonly flags: number }
  | { readonly kind: "bind"; readonly how: "bind" | "rbind" }
  | { readonly kind: "remount" }
  | { readonly kind: "copyUp" }
  | { readonly kind: "idmap"; readonly recursive: boolean }
  | { readonly kind: "link"; readonly rule: number };

const attribute = (flag: number, on: boolean): Meaning => ({ kind: "attribute", flag, on });
const atime = (value: number, on: boolean): Meaning => ({ kind: "atime", value, on });
const RELATIME = 0;

/** Also valid for whole trees with an `r` before the name: "ro" is of one mount, "rro" of all. */
const attributeNames: Readonly<Record<string, Meaning>> = {
  ro: attribute(MOUNT_ATTR.RDONLY, true),
  rw: attribute(MOUNT_ATTR.RDONLY, false),
  nosuid: attribute(MOUNT_ATTR.NOSUID, true),
  suid: attribute(MOUNT_ATTR.NOSUID, false),
  nodev: attribute(MOUNT_ATTR.NODEV, true),
  dev: attribute(MOUNT_ATTR.NODEV, false),
  noexec: attribute(MOUNT_ATTR.NOEXEC, true),
  exec: attribute(MOUNT_ATTR.NOEXEC, false),
  nodiratime: attribute(MOUNT_ATTR.NODIRATIME, true),
  diratime: attribute(MOUNT_ATTR.NODIRATIME, false),
  nosymfollow: attribute(MOUNT_ATTR.NOSYMFOLLOW, true),
  symfollow: attribute(MOUNT_ATTR.NOSYMFOLLOW, false),
  noatime: atime(MOUNT_ATTR.NOATIME, true),
  atime: atime(MOUNT_ATTR.NOATIME, false),
  relatime: atime(RELATIME, true),
  norelatime: atime(RELATIME, false),
  strictatime: atime(MOUNT_ATTR.STRICTATIME, true),
  nostrictatime: atime(MOUNT_ATTR.STRICTATIME, false),
};

const otherNames: Readonly<Record<string, Meaning>> = {
  defaults: { kind: "none" },
  bind: { kind: "bind", how: "bind" },
  rbind: { kind: "bind", how: "rbind" },
  remount: { kind: "remount" },
  tmpcopyup: { kind: "copyUp" },
  idmap: { kind: "idmap", recursive: false },
  ridmap: { kind: "idmap", recursive: true },
  // crun's, which podman passes on.
  "src-nofollow": { kind: "link", rule: linkRules.sourceNoFollow },
  "dest-nofollow": { kind: "link", rule: linkRules.targetNoFollow },
  "copy-symlink": { kind: "link", rule: linkRules.copy },
  sync: { kind: "superblock", name: "sync", on: true },
  async: { kind: "superblock", name: "sync", on: false },
  dirsync: { kind: "superblock", name: "dirsync", on: true },
  lazytime: { kind: "superblock", name: "lazytime", on: true },
  nolazytime: { kind: "superblock", name: "lazytime", on: false },
  mand: { kind: "superblock", name: "mand", on: true },
  nomand: { kind: "superblock", name: "mand", on: false },
  iversion: { kind: "flag", flag: MS.I_VERSION, on: true },
  noiversion: { kind: "flag", flag: MS.I_VERSION, on: false },
  silent: { kind: "flag", flag: MS.SILENT, on: true },
  loud: { kind: "flag", flag: MS.SILENT, on: false },
  private: { kind: "propagation", flags: MS.PRIVATE },
  rprivate: { kind: "propagation", flags: MS.PRIVATE | MS.REC },
  slave: { kind: "propagation", flags: MS.SLAVE },
  rslave: { kind: "propagation", flags: MS.SLAVE | MS.REC },
  shared: { kind: "propagation", flags: MS.SHARED },
  rshared: { kind: "propagation", flags: MS.SHARED | MS.REC },
  unbindable: { kind: "propagation", flags: MS.UNBINDABLE },
  runbindable: { kind: "propagation", flags: MS.UNBINDABLE | MS.REC },
};

/** Every option that has a meaning of its own, sorted: for `features`. */
export const mountOptionNames: readonly string[] = [
  ...Object.keys(attributeNames),
  ...Object.keys(attributeNames).map((name) => `r${name}`),
  ...Object.keys(otherNames),
].sort();

/** Collects attributes; the access-time setting is one value, of which the last that is named counts. */
class AttributeSet {
  #set = 0;
  #clear = 0;
  #atime: number | undefined;

  take(meaning: Meaning): void {
    if (meaning.kind === "attribute") {
      this.#set = meaning.on ? this.#set | meaning.flag : this.#set & ~meaning.flag;
      this.#clear = meaning.on ? this.#clear & ~meaning.flag : this.#clear | meaning.flag;
    } else if (meaning.kind === "atime") {
      if (meaning.on) this.#atime = meaning.value;
      // "Not relatime" asks for none of the others: what the mount has stays.
      else if (meaning.value === RELATIME) this.#atime = this.#atime === RELATIME ? undefined : this.#atime;
      // "Not noatime" and "not strictatime": the kernel's default instead, unless another one was named.
      else if (this.#atime === undefined || this.#atime === meaning.value) this.#atime = RELATIME;
    }
  }

  result(): Attributes {
    if (this.#atime === undefined) return { set: this.#set, clear: this.#clear };
    return { set: this.#set | this.#atime, clear: this.#clear | MOUNT_ATTR.ATIME };
  }
}

/** Own properties only: an option may be called "constructor". */
const lookup = (table: Readonly<Record<string, Meaning>>, name: string): Meaning | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

export function parseMountOptions(options: readonly string[]): MountOptions {
  const attributes = new AttributeSet();
  const recursive = new AttributeSet();
  const propagation: number[] = [];
  const superblock = new Set<string>();
  const data: string[] = [];
  let bind: MountOptions["bind"] = "no";
  let remount = false;
  let copyUp = false;
  let idmap: IdmapOption | undefined;
  let links = 0;
  let mountFlags = 0;
  for (const option of options.flatMap(splitOption)) {
    const own = lookup(attributeNames, option);
    if (own !== undefined) {
      attributes.take(own);
      continue;
    }
    const meaning = lookup(otherNames, option);
    switch (meaning?.kind) {
      case "none":
        break;
      case "bind":
        bind = meaning.how;
        break;
      case "remount":
        remount = true;
        break;
      case "copyUp":
        copyUp = true;
        break;
      case "idmap":
        idmap = { recursive: meaning.recursive, mapping: "" };
        break;
      case "link":
        links |= meaning.rule;
        break;
      case "superblock":
        if (meaning.on) superblock.add(meaning.name);
        else superblock.delete(meaning.name);
        break;
      case "flag":
        mountFlags = meaning.on ? mountFlags | meaning.flag : mountFlags & ~meaning.flag;
        break;
      case "propagation":
        propagation.push(meaning.flags);
        break;
      default: {
        const whole = option.startsWith("r") ? lookup(attributeNames, option.slice(1)) : undefined;
        const [, name, mapping = ""] = /^(r?idmap)=(.+)$/s.exec(option) ?? [];
        if (whole !== undefined) recursive.take(whole);
        else if (name !== undefined) idmap = { recursive: name === "ridmap", mapping };
        else data.push(option);
      }
    }
  }
  return {
    bind,
    remount,
    attributes: attributes.result(),
    recursive: recursive.result(),
    propagation,
    superblock: [...superblock],
    mountFlags,
    copyUp,
    idmap,
    links,
    data,
  };
}

/**
 * One element of `options` may hold several, as mount(8) writes them: "mode=755,size=64k". Commas inside double quotes
 * (SELinux contexts) and behind a backslash (overlay's lowerdir) do not separate.
 */
function splitOption(text: string): string[] {
  const parts: string[] = [];
  let current = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (c === "\\" && i + 1 < text.length) {
      current += c + text.charAt(++i);
    } else if (c === "," && !quoted) {
      parts.push(current);
      current = "";
    } else {
      if (c === '"') quoted = !quoted;
      current += c;
    }
  }
  parts.push(current);
  return parts.filter((part) => part !== "");
}
