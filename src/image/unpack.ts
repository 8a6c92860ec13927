/** Unpacks images into the layer store, and images or plain archives into a directory. */
import { readdirSync, realpathSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import type { Digest, ImageConfig } from "../../spec-schemas/image.ts";
import type { AbsPath } from "../core/brands.ts";
import { errorCode, reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { type Extraction, openExtraction, type Workshop } from "../native/extraction.ts";
import { decompress } from "./decompress.ts";
import { verified } from "./digest.ts";
import { defaultLimits, type Limits, tooManyBytes } from "./limits.ts";
import type { Image, LayerSource, RootfsArchive } from "./open.ts";
import type { UnpackOptions } from "./options.ts";
import { shiftId } from "./ownership.ts";
import { Records } from "./records.ts";
import { rightsOf } from "./rights.ts";
import {
  claimLayer,
  directoriesPath,
  hasLayer,
  type LayerStore,
  layerPath,
  placeOf,
  readUntold,
  useStore,
  workshopBeside,
  workshopIn,
  writeUntold,
} from "./store.ts";
import { TarReader } from "./tar.ts";
import { type Rights, type TreeOptions, TreeWriter } from "./tree.ts";

export interface UnpackedImage {
  readonly config: ImageConfig;
  readonly configDigest: Digest;
  /**
   * Lowest first, none twice; each is a lower directory for overlayfs, with its whiteouts. There may be one more than the
   * image has: of directories that layers hold without an entry of their own, as lower ones name them.
   */
  readonly layers: readonly AbsPath[];
}

interface Job {
  readonly rights: Rights;
  readonly limits: Limits;
  readonly options: UnpackOptions;
}

function jobOf(options: UnpackOptions): Job {
  return { rights: rightsOf(options), limits: { ...defaultLimits, ...options.limits }, options };
}

/**
 * Sees to it that every layer of an image is in the store, several at a time. Until what uses the layers is known to
 * `collectLayers`, hold `useStore`. Throws `image`, `state-store`, `unsupported`; then nothing is left of layers that are
 * not complete.
 */
export async function unpackImage(
  image: Image,
  store: LayerStore,
  options: UnpackOptions = {},
): Promise<UnpackedImage> {
  const job = jobOf(options);
  const lock = useStore(store);
  try {
    // An image may have a layer twice (empty ones, most often).
    const sources = new Map(image.layers.map((layer) => [layer.diffId, layer]));
    const paths = new Map<Digest, AbsPath>();
    await inParallel([...sources.values()], async (layer) => {
      paths.set(layer.diffId, await unpackLayer(layer, store, job));
    });
    const all = image.layers.map(({ diffId }) => paths.get(diffId) as AbsPath);
    // overlayfs refuses a directory twice (ELOOP); the upper one shows all that the lower one would.
    const layers = all.filter((path, i) => all.lastIndexOf(path) === i);
    const directories = await completeDirectories(layers, store, job);
    return {
      config: image.config,
      configDigest: image.configDigest,
      layers: directories === undefined ? layers : [...layers, directories],
    };
  } finally {
    lock.release();
  }
}

/** Runs so many at a time as there are CPUs, and waits for all that were begun. Throws the first failure. */
async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined && failures.length === 0; item = left.shift()) {
      await run(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker));
  if (failures.length > 0) throw failures[0];
}

async function unpackLayer(layer: LayerSource, store: LayerStore, job: Job): Promise<AbsPath> {
  const path = layerPath(store, layer.diffId, job.rights);
  const { progress } = job.options;
  if (hasLayer(path)) {
    progress?.done(layer.diffId, "reused");
    return path;
  }
  const claim = await claimLayer(store, path);
  try {
    if (hasLayer(path)) {
      progress?.done(layer.diffId, "reused");
      return path;
    }
    // overlayfs reads trusted.* in the initial user namespace, user.* in others (mount option userxattr).
    const opaqueAttributes = [...(job.rights.trusted ? ["trusted.overlay.opaque"] : []), "user.overlay.opaque"];
    const extraction = begin(workshopIn(store), `layer ${layer.diffId}`, job, { opaqueAttributes, layers: false });
    try {
      await extract(layerBytes(layer, job), extraction, treeOptions(job, "overlay"));
      const place = placeOf(path);
      writeUntold(path, extraction.untold());
      await finish(extraction, job, true);
      // Taken: another maker was quicker, with the same.
      extraction.deliver(place);
    } finally {
      extraction.discard();
    }
    progress?.done(layer.diffId, "unpacked");
    return path;
  } finally {
    claim.release();
  }
}

/**
 * A layer may hold a directory without saying what it is like (umoci names no parents): a default there would hide what a
 * lower layer says, /root's mode for one. Undefined when there is none such.
 */
async function completeDirectories(
  layers: readonly AbsPath[],
  store: LayerStore,
  job: Job,
): Promise<AbsPath | undefined> {
  const sources = layers.map((path) => ({ path, untold: readUntold(path) }));
  if (layers.length < 2 || sources.every(({ untold }) => untold.length === 0)) return undefined;
  const path = directoriesPath(layers);
  if (hasLayer(path)) return path;
  const options = { opaqueAttributes: [], layers: false };
  const extraction = begin(workshopIn(store), "directories of the layers", job, options);
  try {
    if (extraction.inherit(sources) === 0) return undefined;
    const place = placeOf(path);
    writeUntold(path, new Uint8Array());
    await finish(extraction, job, true);
    extraction.deliver(place);
    return path;
  } finally {
    extraction.discard();
  }
}

/**
 * Unpacks a plain archive, or an image's layers one over the other, into a directory that is new or empty, and appears
 * when it is complete. Throws `usage`, `image`, `state-store`.
 */
export async function unpackTree(
  source: Image | RootfsArchive,
  directory: string,
  store: LayerStore,
  options: UnpackOptions = {},
): Promise<AbsPath> {
  const job = jobOf(options);
  const target = checkTarget(directory);
  const lock = useStore(store);
  try {
    const workshop = workshopBeside(store, target);
    try {
      await makeTree(source, target, workshop, job);
    } finally {
      workshop.forget();
    }
  } finally {
    lock.release();
  }
  if (source.kind === "rootfs") options.progress?.done(source.path, "unpacked");
  return target;
}

async function makeTree(source: Image | RootfsArchive, target: AbsPath, workshop: Workshop, job: Job): Promise<void> {
  const extraction = begin(workshop, source.path, job, { opaqueAttributes: [], layers: source.kind === "image" });
  try {
    if (source.kind === "rootfs") await extract(archiveBytes(source, job), extraction, treeOptions(job, "none"));
    else {
      for (const layer of source.layers) {
        await extract(layerBytes(layer, job), extraction, treeOptions(job, "remove"));
        job.options.progress?.done(layer.diffId, "unpacked");
      }
    }
    await finish(extraction, job, false);
    if (!extraction.deliver({ name: basename(target) })) throw notEmpty(target);
  } finally {
    extraction.discard();
  }
}

const notEmpty = (path: string): TsrunError =>
  new TsrunError("exists", `${path} is not empty`, { advice: "name a directory that is new or empty" });

/** Where the tree goes: links on the way are followed now, once. Throws `usage` and `exists`. */
function checkTarget(directory: string): AbsPath {
  const path = resolve(directory);
  try {
    if (readdirSync(path).length > 0) throw notEmpty(path);
    return realpathSync(path) as AbsPath;
  } catch (error) {
    if (error instanceof TsrunError) throw error;
    if (errorCode(error) !== "ENOENT") throw new TsrunError("usage", `cannot unpack to ${path}: ${reasonOf(error)}`);
  }
  try {
    return join(realpathSync(dirname(path)), basename(path)) as AbsPath;
  } catch (error) {
    throw new TsrunError("usage", `cannot make ${path}: ${reasonOf(error)}`);
  }
}

function begin(
  workshop: Workshop,
  what: string,
  { rights }: Job,
  options: { readonly opaqueAttributes: readonly string[]; readonly layers: boolean },
): Extraction {
  const ids = rights.mappings;
  return openExtraction(workshop, what, {
    owners: rights.owners,
    uid: rights.owners ? shiftId(0, ids?.uids, "uid") : 0,
    gid: rights.owners ? shiftId(0, ids?.gids, "gid") : 0,
    ...options,
  });
}

function treeOptions({ rights, limits, options }: Job, whiteouts: TreeOptions["whiteouts"]): TreeOptions {
  return { whiteouts, limits, rights, warn: (line) => options.warn?.(line) };
}

/** `sync`: what a layer's name promises must hold after a power failure, too; a tree is as safe as tar(1) leaves it. */
async function finish(extraction: Extraction, { options }: Job, sync: boolean): Promise<void> {
  await extraction.finish(sync);
  const lost = extraction.lostAttributes();
  if (lost > 0) options.warn?.(`left out: ${lost} extended attributes that this file system cannot hold`);
}

interface Source {
  /** For messages. */
  readonly what: string;
  /** Of a tar. */
  readonly chunks: AsyncIterable<Buffer>;
}

/** A layer's tar, its blob and itself checked against their digests by the time it ends. */
function layerBytes(layer: LayerSource, job: Job): Source {
  const { digest, diffId, sizeBytes } = layer;
  const stored = counted(layer.chunks(), diffId, sizeBytes, job);
  // Not compressed, as its name says: one digest for both.
  const blob = digest === diffId ? stored : verified(stored, { what: `blob ${digest ?? diffId}`, digest, sizeBytes });
  const chunks = verified(decompress(blob), { what: "its uncompressed content", digest: diffId });
  return { what: `layer ${diffId}`, chunks };
}

function archiveBytes(archive: RootfsArchive, job: Job): Source {
  return { what: archive.path, chunks: decompress(counted(archive.chunks(), archive.path, archive.sizeBytes, job)) };
}

async function* counted(
  source: AsyncIterable<Buffer>,
  what: string,
  totalBytes: number,
  { options: { progress } }: Job,
): AsyncGenerator<Buffer> {
  let done = 0;
  for await (const chunk of source) {
    done += chunk.length;
    progress?.update(what, done, totalBytes);
    yield chunk;
  }
}

/** With what a failure is about. */
function named(what: string, error: unknown): unknown {
  if (!(error instanceof TsrunError) || error.message.startsWith(what)) return error;
  return new TsrunError(error.code, `${what}: ${error.message}`, {
    ...(error.advice !== undefined && { advice: error.advice }),
  });
}

/** Reads a tar to its end, behind its end mark too: digests are over everything. One chunk is made while the next is read. */
async function extract({ what, chunks }: Source, extraction: Extraction, options: TreeOptions): Promise<void> {
  const records = new Records();
  const reader = new TarReader(new TreeWriter(records, options));
  const { maxBytes } = options.limits;
  let bytes = 0;
  let working: Promise<void> = Promise.resolve();
  if (options.whiteouts === "remove") records.layer();
  const hand = async (chunk: Buffer): Promise<void> => {
    await working;
    working = extraction.apply(records.take(), chunk);
    // Its failure is thrown where it is waited for; until then it is nobody's.
    working.catch(() => {});
  };
  try {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooManyBytes(maxBytes, "when uncompressed");
      reader.push(chunk);
      if (records.size > 0) await hand(chunk);
    }
    reader.finish();
    await working;
  } catch (error) {
    // Whoever removes the directory must find nobody at work in it.
    await working.catch(() => {});
    throw named(what, error);
  }
}
