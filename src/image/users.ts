/**
 * Who an image's program runs as: `Config.User` (image-spec config.md "Properties", conversion.md "Config.User") resolved in
 * the image's own passwd and group files. Pure; attack rows 10 and 22: a text is an id only if it is a decimal number of 32
 * bits, never -1, and nothing else ever becomes an id.
 */
import { TsrunError } from "../core/errors.ts";

/** One line of passwd(5). */
export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** One line of group(5). */
export interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** `process.user` of config.json. */
export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids?: readonly number[];
}

/** The image's files, read when they are needed. A file that is not there is the empty text. */
export interface UserFiles {
  passwd(): string;
  group(): string;
}

/** 0xffffffff is "no id" to the kernel: (uid_t)-1. */
const MAX_ID = 0xffff_fffe;

/** A decimal number without sign or leading zeros that is an id. */
export function parseId(text: string): number | undefined {
  if (!/^(?:0|[1-9]\d{0,9})$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

/** Lines that are no entries are passed over, as the C library does. */
function lines(text: string, fields: number): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"))
    .filter((parts) => parts.length >= fields && parts[0] !== "");
}

export function parsePasswd(text: string): PasswdEntry[] {
  return lines(text, 4).flatMap(([name = "", , uidText = "", gidText = ""]) => {
    const [uid, gid] = [parseId(uidText), parseId(gidText)];
    return uid === undefined || gid === undefined ? [] : [{ name, uid, gid }];
  });
}

export function parseGroup(text: string): GroupEntry[] {
  return lines(text, 3).flatMap(([name = "", , gidText = "", members = ""]) => {
    const gid = parseId(gidText);
    if (gid === undefined) return [];
    return [{ name, gid, members: members.split(",").filter((member) => member !== "") }];
  });
}

/**
 * Resolves `user`, `uid`, `user:group`, `uid:gid`, `uid:group` or `user:gid`; "" is root, without further groups.
 *
 * - A number is taken as it is. Without a group its gid is that of its passwd entry, or 0 if it has none.
 * - A name must be in passwd; without a group its gid is the one there, and it is in the groups that name it.
 * - With a group there are no further groups.
 *
 * Throws `image` when a name is in no file or a number is no id.
 */
export function resolveUser(text: string, files: UserFiles): ContainerUser {
  if (text === "") return { uid: 0, gid: 0 };
  const colon = text.indexOf(":");
  const user = colon < 0 ? text : text.slice(0, colon);
  const group = colon < 0 ? undefined : text.slice(colon + 1);
  const wrong = (what: string): never => {
    throw new TsrunError("image", `user ${JSON.stringify(text)}: ${what}`, {
      advice: "--user takes UID[:GID], or names that are in the image's /etc/passwd and /etc/group",
    });
  };
  if (user === "" || group === "") return wrong("a user or group is empty");

  const numeric = isNumeric(user);
  const uid = parseId(user);
  if (numeric && uid === undefined) return wrong(`${user} is no id (0 to ${MAX_ID})`);
  const gid = group === undefined ? undefined : groupId(group, files, wrong);
  if (uid !== undefined && gid !== undefined) return { uid, gid };
  const entry = parsePasswd(files.passwd()).find((each) => (numeric ? each.uid === uid : each.name === user));
  if (uid !== undefined) return { uid, gid: gid ?? entry?.gid ?? 0 };
  if (entry === undefined) return wrong(`${JSON.stringify(user)} is not in the image's /etc/passwd`);
  if (gid !== undefined) return { uid: entry.uid, gid };
  const groups = parseGroup(files.group()).filter(({ members }) => members.includes(user));
  const additionalGids = [...new Set(groups.map((each) => each.gid))];
  return { uid: entry.uid, gid: entry.gid, ...(additionalGids.length > 0 && { additionalGids }) };
}

/** Digits are never looked up as a name (CVE-2016-3697); nor is what only looks like a number to others. */
const isNumeric = (text: string): boolean => /^[+-]?\d/.test(text) && !/[a-z_]/i.test(text);

function groupId(group: string, files: UserFiles, wrong: (what: string) => never): number {
  const gid = parseId(group);
  if (gid !== undefined) return gid;
  if (isNumeric(group)) return wrong(`${group} is no id (0 to ${MAX_ID})`);
  const entry = parseGroup(files.group()).find(({ name }) => name === group);
  return entry?.gid ?? wrong(`${JSON.stringify(group)} is not in the image's /etc/group`);
}
