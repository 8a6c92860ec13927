/**
 * The layer store: layers unpacked once, under the digest of what is in them.
 *
 *     <store>/lock                          flock: shared by who uses layers, exclusive for who removes them
 *     <store>/layers/sha256/<hex>/          a layer, complete: it gets this name by rename, when it is on the disk
 *     <store>/layers/sha256/<hex>.untold    names of directories that it holds without an entry of their own
 *     <store>/layers/sha256@<kind>/<hex>/   the same with other owners: the caller's, or shifted ones
 *     <store>/new/<pid>-<start time>-<n>/   being made or removed by that process; `gc` removes those of the dead
 *     <store>/new/<pid>-<start time>-<n>    a symbolic link: to what is being made elsewhere
 *     <store>/new/lock-<kind>-<hex>/lock    flock of who makes a layer
 */

import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Digest } from "../../spec-schemas/image.ts";
import type { AbsPath } from "../core/brands.ts";
import { makeDirectories } from "../core/directories.ts";
import { errorCode, reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { isAlive, ownIdentity } from "../host/process.ts";
import { removeTree, type Workshop } from "../native/extraction.ts";
import { type DirectoryLock, lockDirectory } from "../native/native.ts";
import { partsOf } from "./digest.ts";
import type { Rights } from "./tree.ts";

export interface LayerStore {
  readonly path: AbsPath;
}

/** /var/lib/tsrun for root, $XDG_DATA_HOME/tsrun or ~/.local/share/tsrun for others; undefined without a home. */
function defaultPath(): string | undefined {
  if (process.geteuid?.() === 0) return "/var/lib/tsrun";
  const { XDG_DATA_HOME: data, HOME: home } = process.env;
  if (data?.startsWith("/")) return join(data, "tsrun");
  return home?.startsWith("/") ? join(home, ".local/share/tsrun") : undefined;
}

/** `--store`, or the default place; undefined when there is none. Makes nothing yet. */
export function findStore(explicit: string | undefined): LayerStore | undefined {
  const path = explicit !== undefined && explicit !== "" ? resolve(explicit) : defaultPath();
  return path === undefined ? undefined : { path: path as AbsPath };
}

/** As findStore. Throws `usage` when there is none. */
export function layerStore(explicit?: string): LayerStore {
  const store = findStore(explicit);
  if (store !== undefined) return store;
  throw new TsrunError("usage", "there is no place for the layer store", { advice: "give one: --store DIR" });
}

const storeError = (what: string, error: unknown): TsrunError =>
  new TsrunError("state-store", `${what}: ${reasonOf(error)}`, { cause: error });

/**
 * Makes the store and takes its shared lock: no layer goes until it is
 * released. Hold it until a layer that was found or made is referred to. Throws `state-store`.
 */
export function useStore(store: LayerStore): DirectoryLock {
  try {
    // Root of a container's user namespace, nobody here, gets through to its own bundle (src/image/bundle.ts).
    if (makeDirectories(store.path)) chmodSync(store.path, 0o711);
    // Layers hold set-id programs (attack row 19).
    for (const name of ["layers", "new"]) mkdirSync(join(store.path, name), { recursive: true, mode: 0o700 });
    checkOwner(store);
  } catch (error) {
    if (error instanceof TsrunError) throw error;
    throw storeError(`cannot make the layer store ${store.path}`, error);
  }
  const lock = lockDirectory(store.path, "shared");
  if (lock === undefined) throw new TsrunError("state-store", `the layer store ${store.path} is gone`);
  return lock;
}

/** Whoever owns the store can change what is in its layers. */
function checkOwner(store: LayerStore): void {
  const { uid, mode } = statSync(store.path);
  if (uid !== process.geteuid?.() || (mode & 0o022) !== 0) {
    throw new TsrunError("state-store", `the layer store ${store.path} is writable for others than you`, {
      advice: "give another one: --store DIR",
    });
  }
}

/** Layers of one content differ by what the caller could make of it. */
function kindOf({ owners, trusted, mappings }: Rights): string {
  if (!owners) return "sha256@caller";
  if (mappings === undefined) return trusted ? "sha256" : "sha256@userns";
  const key = createHash("sha256")
    .update(JSON.stringify([mappings.uids, mappings.gids, trusted]))
    .digest("hex");
  return `sha256@${key.slice(0, 16)}`;
}

/** A complete layer. */
export interface StoredLayer {
  /** Which layer. */
  readonly diffId: Digest;
  readonly path: AbsPath;
}

/** Where a layer is or will be. Throws `unsupported` for a digest that is not sha256. */
export function layerPath(store: LayerStore, diffId: Digest, rights: Rights): AbsPath {
  const [algorithm, hex] = partsOf(diffId);
  if (algorithm !== "sha256") throw new TsrunError("unsupported", `layer ${diffId}: diff ids are sha256`);
  return join(store.path, "layers", kindOf(rights), hex) as AbsPath;
}

/**
 * Where the directories are that layers hold and do not name, if the uppermost ones do not show them as lower ones name
 * them: one more layer, for these layers alone.
 */
export function directoriesPath(layers: readonly AbsPath[]): AbsPath {
  const [first = ""] = layers;
  const names = layers.map((path) => basename(path)).join("\n");
  const hex = createHash("sha256").update(`directories of\n${names}`).digest("hex");
  return join(dirname(first), hex) as AbsPath;
}

const untoldPath = (layer: string): string => `${layer}.untold`;

/** Before the layer is synced and delivered, so that whoever finds the layer finds this. Throws `state-store`. */
export function writeUntold(layer: AbsPath, untold: Uint8Array): void {
  const path = untoldPath(layer);
  try {
    writeFileSync(`${path}.new`, untold, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw storeError(`cannot write ${path}`, error);
  }
}

/** Throws `state-store`. */
export function readUntold(layer: AbsPath): Buffer {
  try {
    return readFileSync(untoldPath(layer));
  } catch (error) {
    throw storeError(`cannot read ${untoldPath(layer)}`, error);
  }
}

export function hasLayer(path: AbsPath): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

let count = 0;

/** A name in `new/` that says whose it is. */
function ownName(): string {
  const { pid, startTime } = ownIdentity();
  return `${pid}-${startTime}-${count++}`;
}

/** Where a layer is made. */
export function workshopIn(store: LayerStore): Workshop {
  return { parent: join(store.path, "new"), name: ownName() };
}

const ELSEWHERE = ".tsrun-unpack-";

/**
 * Where something is made that gets its place outside of the store; the store has a link to it until `forget`, so that gc
 * finds it. Throws `state-store`.
 */
export function workshopBeside(store: LayerStore, target: string): Workshop & { forget(): void } {
  const own = ownName();
  const workshop = { parent: dirname(target), name: ELSEWHERE + own };
  const link = join(store.path, "new", own);
  try {
    symlinkSync(join(workshop.parent, workshop.name), link);
  } catch (error) {
    throw storeError(`cannot write to the layer store ${store.path}`, error);
  }
  return { ...workshop, forget: () => unlinkSync(link) };
}

/** Makes the directory that a layer is delivered to, and says which. */
export function placeOf(layer: AbsPath): { readonly directory: string; readonly name: string } {
  const directory = dirname(layer);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw storeError(`cannot make ${directory}`, error);
  }
  return { directory, name: basename(layer) };
}

/** How often somebody who waits for another maker of a layer looks again. */
const WAIT_MS = 50;

/**
 * Waits until nobody else makes this layer; ours to make until `release`. The lock saves work and no more: of two makers
 * one delivers, and the other finds the place taken.
 */
export async function claimLayer(store: LayerStore, layer: AbsPath): Promise<DirectoryLock> {
  const directory = join(store.path, "new", `lock-${basename(dirname(layer))}-${basename(layer)}`);
  for (;;) {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw storeError(`cannot make ${directory}`, error);
    }
    const lock = lockDirectory(directory, "try");
    if (lock !== undefined) {
      return {
        release() {
          rmSync(directory, { recursive: true, force: true });
          lock.release();
        },
      };
    }
    await new Promise((resume) => setTimeout(resume, WAIT_MS));
  }
}

function readNames(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw storeError(`cannot read ${path}`, error);
  }
}

/** Every complete layer, in every kind. */
export function listLayers(store: LayerStore): StoredLayer[] {
  return readNames(join(store.path, "layers"))
    .filter((kind) => /^sha256(?:@[a-z0-9]+)?$/.test(kind))
    .flatMap((kind) =>
      readNames(join(store.path, "layers", kind))
        .filter((hex) => /^[0-9a-f]{64}$/.test(hex))
        .map((hex) => ({ diffId: `sha256:${hex}`, path: join(store.path, "layers", kind, hex) as AbsPath })),
    );
}

/** Removes what dead processes were making or removing, here and elsewhere. A line for each. */
export function collectLeftovers(store: LayerStore): string[] {
  const directory = join(store.path, "new");
  const done: string[] = [];
  for (const name of readNames(directory)) {
    const path = join(directory, name);
    if (name.startsWith("lock-")) {
      const lock = lockDirectory(path, "try");
      if (lock === undefined) continue;
      rmSync(path, { recursive: true, force: true });
      lock.release();
      continue;
    }
    const [, pid, startTime] = /^(\d+)-(\d+)-\d+$/.exec(name) ?? [];
    if (pid === undefined || startTime === undefined || isAlive(Number(pid), BigInt(startTime))) continue;
    const elsewhere = linkText(path);
    if (elsewhere === undefined) removeTree(directory, name);
    else {
      if (basename(elsewhere) === ELSEWHERE + name) removeElsewhere(elsewhere);
      unlinkSync(path);
    }
    done.push(`${elsewhere ?? path}: removed`);
  }
  return done;
}

function linkText(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (errorCode(error) === "EINVAL") return undefined;
    throw storeError(`cannot read ${path}`, error);
  }
}

function removeElsewhere(path: string): void {
  if (statSync(dirname(path), { throwIfNoEntry: false }) === undefined) return;
  removeTree(dirname(path), basename(path));
}

/** Of layers that are not there: their maker, or who removed them, was killed between the two. */
function listStray(store: LayerStore): string[] {
  const layers = new Set<string>(listLayers(store).map(({ path }) => path));
  const directory = join(store.path, "layers");
  return readNames(directory)
    .flatMap((kind) => readNames(join(directory, kind)).map((name) => join(directory, kind, name)))
    .filter((path) => /\.untold(?:\.new)?$/.test(path) && !layers.has(path.replace(/\.untold$/, "")));
}

/**
 * Removes layers that `isReferenced` does not want, and leftovers. A line for each. While somebody uses the store, layers
 * stay, and a line says so.
 */
export function collectLayers(store: LayerStore, isReferenced: (layer: StoredLayer) => boolean): string[] {
  const done = collectLeftovers(store);
  const isUnwanted = (layer: StoredLayer): boolean => !isReferenced(layer);
  if (!listLayers(store).some(isUnwanted) && listStray(store).length === 0) return done;
  const lock = lockDirectory(store.path, "try");
  if (lock === undefined) return [...done, `${store.path}: in use, layers stay for now`];
  try {
    // Asked again: a reference may have come before the lock.
    for (const layer of listLayers(store).filter(isUnwanted)) {
      const name = ownName();
      renameSync(layer.path, join(store.path, "new", name));
      removeTree(join(store.path, "new"), name);
      done.push(`${layer.path}: removed`);
    }
    for (const path of listStray(store)) rmSync(path, { force: true });
  } finally {
    lock.release();
  }
  return done;
}
