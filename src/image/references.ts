/**
 * Which bundles use which layers, so that collecting layers never takes one in use.
 *
 *     <store>/bundles/<key>.json   a reference: the bundle's path, its layers, who makes it and for which container
 *     <store>/containers/<key>/    bundles of `run --image`, which go with their container
 *
 * A reference is written before the first file of its bundle and removed after the last, so whatever a kill -9 leaves of a
 * bundle has one. It holds as long as its maker lives or its container is there. One of a bundle of the caller's own is marked
 * when the bundle is whole: from then on it holds as long as the bundle's directory is there, and nothing in it is ours to
 * collect.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { AbsPath } from "../core/brands.ts";
import { errorCode, reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { isAlive } from "../host/process.ts";
import { removeTree } from "../native/extraction.ts";

export interface Reference {
  readonly bundle: AbsPath;
  /** Paths of layers in the store. */
  readonly layers: readonly AbsPath[];
  readonly by: { readonly pid: number; readonly startTime: bigint };
  /** The container that the bundle goes with; undefined for a bundle of the caller's own. */
  readonly container?: { readonly root: AbsPath; readonly id: string } | undefined;
  /** A bundle of the caller's own has everything. */
  readonly whole?: boolean | undefined;
}

/** Of the file; another number is another tsrun's. */
const FORMAT = 1;
/** What a bundle of an image consists of, in the order in which it is removed. */
export const bundleParts = { config: "config.json", overlay: "overlay", rootfs: "rootfs" } as const;

const folderOf = (store: AbsPath): string => join(store, "bundles");
export const referencePath = (store: AbsPath, key: string): AbsPath => join(folderOf(store), `${key}.json`) as AbsPath;
export const ownBundlePath = (store: AbsPath, key: string): AbsPath => join(store, "containers", key) as AbsPath;

/** Writes a reference for good: there or not, never half, also after a power failure. Throws `state-store`. */
export function writeReference(path: AbsPath, reference: Reference): void {
  const text = JSON.stringify({ format: FORMAT, ...reference }, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  const folder = join(path, "..");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const temporary = `${path}.new`;
    withFile(temporary, "w", (fd) => {
      writeFileSync(fd, `${text}\n`);
      fsyncSync(fd);
    });
    renameSync(temporary, path);
    withFile(folder, "r", fsyncSync);
  } catch (error) {
    throw new TsrunError("state-store", `cannot write ${path}: ${reasonOf(error)}`);
  }
}

function withFile(path: string, flags: string, use: (fd: number) => void): void {
  const fd = openSync(path, flags, 0o600);
  try {
    use(fd);
  } finally {
    closeSync(fd);
  }
}

/** Undefined when there is none. Throws `state-store` when it is not one of ours. */
export function readReference(path: AbsPath): Reference | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw new TsrunError("state-store", `cannot read ${path}: ${reasonOf(error)}`);
  }
  const damaged = (what: string): TsrunError => new TsrunError("state-store", `${path} is damaged: ${what}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged("not JSON");
  }
  const { format, by, ...rest } = (value ?? {}) as Record<string, unknown> & { by?: Record<string, unknown> };
  if (format !== FORMAT) throw damaged(`format ${String(format)}; this tsrun knows ${FORMAT}`);
  const { pid, startTime } = by ?? {};
  if (typeof pid !== "number" || !/^\d+$/.test(String(startTime))) throw damaged("no pid and start time");
  return { ...(rest as unknown as Reference), by: { pid, startTime: BigInt(String(startTime)) } };
}

export function listReferences(store: AbsPath): AbsPath[] {
  return readNames(store)
    .filter((name) => name.endsWith(".json"))
    .map((name) => join(folderOf(store), name) as AbsPath);
}

function readNames(store: AbsPath): string[] {
  try {
    return readdirSync(folderOf(store));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw new TsrunError("state-store", `cannot read ${folderOf(store)}: ${reasonOf(error)}`);
  }
}

/** Removes a reference alone. */
export function dropReference(path: AbsPath): void {
  rmSync(path, { force: true });
}

/** Removes a bundle of an image, then its reference. A missing one is none to remove. Throws `state-store`. */
export function removeReferenced(path: AbsPath): void {
  const reference = readReference(path);
  if (reference === undefined) return;
  removeBundle(reference.bundle);
  dropReference(path);
}

/** What tsrun has made of a bundle; the directory itself stays if there is anything else in it. */
function removeBundle(bundle: AbsPath): void {
  try {
    rmSync(join(bundle, bundleParts.config), { force: true });
    removeOverlay(bundle);
    for (const directory of [join(bundle, bundleParts.rootfs), bundle]) removeEmpty(directory);
  } catch (error) {
    throw new TsrunError("state-store", `cannot remove ${bundle}: ${reasonOf(error)}`);
  }
}

/** Whoever is not root empties only directories that he may read and write, and overlayfs' own has mode 0. */
function removeOverlay(bundle: AbsPath): void {
  if (lstatSync(bundle, { throwIfNoEntry: false }) === undefined) return;
  if (process.geteuid?.() !== 0) openDirectories(join(bundle, bundleParts.overlay));
  removeTree(bundle, bundleParts.overlay);
}

function openDirectories(directory: string): void {
  if (lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  chmodSync(directory, 0o700);
  for (const name of readdirSync(directory)) openDirectories(join(directory, name));
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(errorCode(error) ?? "")) throw error;
  }
}

/** Whether what a reference says still holds. `hasContainer`: whether that container is there with this bundle. */
function holds({ bundle, by, container, whole }: Reference, hasContainer: HasContainer): boolean {
  if (isAlive(by.pid, by.startTime)) return true;
  if (container !== undefined) return hasContainer(container, bundle);
  // config.json comes last, and the mark after it.
  return whole === true ? existsSync(bundle) : existsSync(join(bundle, bundleParts.config));
}

export type HasContainer = (container: NonNullable<Reference["container"]>, bundle: AbsPath) => boolean;

/** Removes bundles whose maker was killed or whose container is gone, a line for each. */
export function collectBundles(store: AbsPath, hasContainer: HasContainer): string[] {
  const done: string[] = [];
  removeUnwritten(store);
  for (const path of listReferences(store)) {
    const reference = readReference(path);
    if (reference === undefined || holds(reference, hasContainer)) continue;
    removeReferenced(path);
    done.push(`${reference.bundle}: removed a bundle that no container needs`);
  }
  return done;
}

/** Files that became no reference, since their writer was killed. */
function removeUnwritten(store: AbsPath): void {
  for (const name of readNames(store)) {
    const [, pid, startTime] = /^(\d+)-(\d+)\.json\.new$/.exec(name) ?? [];
    if (pid === undefined || startTime === undefined || isAlive(Number(pid), BigInt(startTime))) continue;
    rmSync(join(folderOf(store), name), { force: true });
  }
}

/** The layers that some bundle uses. */
export function referencedLayers(store: AbsPath): ReadonlySet<string> {
  return new Set(listReferences(store).flatMap((path) => readReference(path)?.layers ?? []));
}
