/**
 * The directory of an image, and of work files. An image may come from anywhere (attack row 21): no link in it is followed,
 * neither when it is read nor when another one is written over it.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import type { Config } from "../../spec-schemas/config.ts";
import { checkConfig, MAX_CONFIG_BYTES } from "../bundle/load.ts";
import type { InheritedFd } from "../compile/criu-request.ts";
import { makeDirectories } from "../core/directories.ts";
import { errorCode, reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { encodeJson } from "../core/json.ts";
import { pathIn } from "../host/inside.ts";

/** What the standard streams were: a list of three texts, as runc and crun write it. */
const DESCRIPTORS = "descriptors.json";
const MAX_DESCRIPTORS_BYTES = 64 * 1024;
/** The configuration of the container that was dumped, as its state has it: ours alone, images of others have none. */
const CONFIG = "config.json";
/** CRIU's link to the image that an image builds on. */
const PARENT = "parent";
/** Most images in such a chain. */
const MAX_PARENTS = 64;

export interface Directory {
  readonly path: string;
  readonly fd: number;
  close(): void;
}

/** Opens a directory that is no link. Throws `usage`. */
export function openDirectory(path: string, option: string, make: boolean): Directory {
  const whole = resolve(path);
  try {
    if (make) makeDirectories(whole, 0o700);
    const fd = openSync(whole, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    return { path: whole, fd, close: () => closeSync(fd) };
  } catch (error) {
    // ENOTDIR is also what a link gives with O_DIRECTORY.
    const link = errorCode(error) === "ENOTDIR" || errorCode(error) === "ELOOP";
    throw new TsrunError(
      "usage",
      `${option} ${whole}: ${link ? "it is not a directory (or a link to one)" : reasonOf(error)}`,
    );
  }
}

const inside = ({ fd }: Directory, name = ""): string => pathIn(fd, name);

/** The socket of `criu lazy-pages`, in its work directory, which is the image's if nobody says otherwise. */
const LAZY_PAGES = "lazy-pages.socket";

/** CRIU looks for that socket in its work directory, which is ours: it is led to the caller's. */
export function linkLazyPages(work: string, caller: Directory): void {
  symlinkSync(join(caller.path, LAZY_PAGES), join(work, LAZY_PAGES));
}

/** That CRIU finds nothing but files in an image, and that what it builds on lies beside it. Throws `usage`. */
export function checkImage(image: Directory): void {
  checkFiles(inside(image), image.path, 0);
}

function checkFiles(directory: string, shown: string, depth: number): void {
  if (depth > MAX_PARENTS)
    throw new TsrunError("usage", `image ${shown}: more than ${MAX_PARENTS} images build on one`);
  for (const name of readdirSync(directory)) {
    const found = lstatSync(join(directory, name));
    if (found.isFile() || (name === LAZY_PAGES && found.isSocket())) continue;
    const path = join(shown, name);
    if (name !== PARENT || !found.isSymbolicLink()) {
      throw new TsrunError("usage", `image ${path}: it is not a regular file`, {
        advice: "an image has nothing but files; it may have been tampered with",
      });
    }
    const parent = parentOf(shown, readlinkSync(join(directory, name)));
    checkFiles(parent, parent, depth + 1);
  }
}

/**
 * The directory of the image that another one builds on: relative, in the folder that holds the image, and reached through
 * no link. Throws `usage`.
 */
export function parentOf(image: string, link: string): string {
  const folder = dirname(image);
  const path = resolve(image, link);
  const below = relative(folder, path);
  const refuse = (why: string): never => {
    throw new TsrunError("usage", `image ${image}: its parent ${JSON.stringify(link)} ${why}`, {
      advice: "an image can build on one beside it: --parent-path ../NAME",
    });
  };
  if (isAbsolute(link) || link === "") refuse("is not a relative path");
  if (below === "" || below.startsWith("..")) refuse("is not beside it");
  if (path === image) refuse("is the image itself");
  let at = folder;
  for (const name of below.split("/")) {
    at = join(at, name);
    let found: ReturnType<typeof lstatSync> | undefined;
    try {
      found = lstatSync(at);
    } catch (error) {
      refuse(reasonOf(error));
    }
    if (found?.isDirectory() !== true) refuse("is not a directory");
  }
  return path;
}

/**
 * Before a dump: what an earlier image has left may stay, since CRIU writes over it, but no link may lead it elsewhere.
 * Throws `usage`.
 */
export function prepareImage(image: Directory): void {
  try {
    const parent = inside(image, PARENT);
    // Made again if it is asked for; one that is there would be taken for it.
    if (lstatSync(parent).isSymbolicLink()) unlinkSync(parent);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
  checkImage(image);
}

/** What restore needs to know besides CRIU's files. */
export function writeOwnFiles(image: Directory, streams: readonly string[], config: Config): void {
  for (const [name, text] of [
    [DESCRIPTORS, JSON.stringify(streams)],
    [CONFIG, encodeJson(config)],
  ] as const) {
    const path = inside(image, name);
    rmSync(path, { force: true });
    writeFileSync(path, text, { mode: 0o600, flag: "wx" });
  }
}

/** The configuration that the image was made with, if it says one. Throws `usage` or `config` for what is none. */
export function readImageConfig(image: Directory): Config | undefined {
  if (!existsSync(inside(image, CONFIG))) return undefined;
  const shown = join(image.path, CONFIG);
  return checkConfig(`image ${shown}`, readBounded(inside(image, CONFIG), shown, MAX_CONFIG_BYTES));
}

/** What of tsrun's standard streams takes the place of what the container's were. Throws `usage`. */
export function readStreams(image: Directory): InheritedFd[] {
  const shown = join(image.path, DESCRIPTORS);
  const streams = parseStreams(readBounded(inside(image, DESCRIPTORS), shown, MAX_DESCRIPTORS_BYTES), shown);
  return streams.flatMap((key, fd) => (/^(?:pipe:\[\d+\]|file\[[\da-f]+:[\da-f]+\])$/.test(key) ? [{ key, fd }] : []));
}

function parseStreams(text: string, shown: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (Array.isArray(value) && value.length <= 3 && value.every((each) => typeof each === "string")) return value;
  throw new TsrunError("usage", `image ${shown}: it is not a list of at most three texts`);
}

function readBounded(path: string, shown: string, maxBytes: number): string {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw new TsrunError("usage", `image ${shown}: ${reasonOf(error)}`, {
      advice: "--image-path names the directory that checkpoint has written",
    });
  }
  try {
    const found = fstatSync(fd);
    if (!found.isFile() || found.size > maxBytes) {
      throw new TsrunError("usage", `image ${shown}: it is no file of at most ${maxBytes} bytes`);
    }
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

/**
 * Copies what CRIU has written beside the image (*.log, stats-*) to where the caller looks for it, over what is there. Returns
 * why that failed: nothing depends on it.
 */
export function keepWorkFiles(from: string, to: Directory): string | undefined {
  try {
    for (const name of readdirSync(from)) {
      if (!/^(?:.*\.log|stats-\w+)$/.test(name) || !lstatSync(join(from, name)).isFile()) continue;
      const path = inside(to, name);
      rmSync(path, { force: true });
      copyFileSync(join(from, name), path, constants.COPYFILE_EXCL);
    }
    return undefined;
  } catch (error) {
    return `CRIU's log could not be kept in ${to.path}: ${reasonOf(error)}`;
  }
}
