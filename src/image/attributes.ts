/** Which extended attributes of an archive are taken, and how a user namespace changes them. */
import { TsrunError } from "../core/errors.ts";
import { type IdMappings, shiftId } from "./ownership.ts";
import type { ByteText } from "./tar-header.ts";

export interface Attribute {
  readonly name: ByteText;
  readonly value: ByteText;
}

/** What the caller may set. */
export interface AttributeRights {
  /** Owners are kept: then security.capability and ACLs mean what they say. */
  readonly owners: boolean;
  /** CAP_SYS_ADMIN of the initial user namespace. */
  readonly trusted: boolean;
  readonly mappings: IdMappings | undefined;
}

export type Choice =
  | { readonly kind: "set"; readonly attribute: Attribute }
  /** Left out without a word: it is the host's to decide (security labels, integrity). */
  | { readonly kind: "host" }
  /** Left out, and told. */
  | { readonly kind: "dropped"; readonly why: string };

const MAX_NAME = 255;
const MAX_VALUE = 65_536;
/** overlayfs's own: a layer that brings them could make a mount show other directories (redirect, metacopy). */
const OVERLAY = /^(?:trusted|user)\.overlay\./;

/** Throws `image` when the attribute is malformed. */
export function chooseAttribute(attribute: Attribute, rights: AttributeRights): Choice {
  const { name, value } = attribute;
  if (name.length > MAX_NAME || value.length > MAX_VALUE || name.includes("\0")) {
    throw new TsrunError("image", `its attribute ${JSON.stringify(name.slice(0, 50))} is larger than Linux allows`);
  }
  if (OVERLAY.test(name)) return { kind: "dropped", why: "attributes of overlayfs itself" };
  if (name === "security.capability") {
    if (!rights.owners) return { kind: "dropped", why: "file capabilities, which need root" };
    return { kind: "set", attribute: { name, value: shiftCapability(value, rights.mappings) } };
  }
  if (name === "system.posix_acl_access" || name === "system.posix_acl_default") {
    if (!rights.owners) return { kind: "dropped", why: "ACLs, which need root" };
    return { kind: "set", attribute: { name, value: shiftAcl(value, rights.mappings) } };
  }
  if (name.startsWith("user.")) return { kind: "set", attribute };
  if (name.startsWith("trusted.")) {
    return rights.trusted
      ? { kind: "set", attribute }
      : { kind: "dropped", why: "attributes trusted.*, which need root" };
  }
  return { kind: "host" };
}

const REVISION_MASK = 0xff00_0000;
const REVISION_2 = 0x0200_0000;
const REVISION_3 = 0x0300_0000;

/**
 * struct vfs_cap_data (linux/capability.h): revision 2 is for the initial user namespace, 3 names the root of the one that
 * it is for.
 */
export function shiftCapability(value: ByteText, mappings: IdMappings | undefined): ByteText {
  const bytes = Buffer.from(value, "latin1");
  const revision = bytes.length < 4 ? 0 : (bytes.readUInt32LE(0) & REVISION_MASK) >>> 0;
  const size = revision === REVISION_2 ? 20 : revision === REVISION_3 ? 24 : -1;
  if (bytes.length !== size) throw new TsrunError("image", "its security.capability is malformed");
  if (mappings === undefined) return value;
  const rootId = revision === REVISION_3 ? bytes.readUInt32LE(20) : 0;
  const out = Buffer.alloc(24);
  bytes.copy(out, 0, 0, 20);
  out.writeUInt32LE(((bytes.readUInt32LE(0) & ~REVISION_MASK) | REVISION_3) >>> 0, 0);
  out.writeUInt32LE(shiftId(rootId, mappings.uids, "uid"), 20);
  return out.toString("latin1");
}

const ACL_VERSION = 2;
const ACL_USER = 2;
const ACL_GROUP = 8;

/** struct posix_acl_xattr_header and its entries (linux/posix_acl_xattr.h): tag, permissions, id. */
export function shiftAcl(value: ByteText, mappings: IdMappings | undefined): ByteText {
  const bytes = Buffer.from(value, "latin1");
  if (bytes.length < 4 || (bytes.length - 4) % 8 !== 0 || bytes.readUInt32LE(0) !== ACL_VERSION) {
    throw new TsrunError("image", "its ACL is malformed");
  }
  if (mappings === undefined) return value;
  for (let at = 4; at < bytes.length; at += 8) {
    const tag = bytes.readUInt16LE(at);
    const id = bytes.readUInt32LE(at + 4);
    if (tag === ACL_USER) bytes.writeUInt32LE(shiftId(id, mappings.uids, "uid"), at + 4);
    if (tag === ACL_GROUP) bytes.writeUInt32LE(shiftId(id, mappings.gids, "gid"), at + 4);
  }
  return bytes.toString("latin1");
}
