/** openImage: tells what a path is by its content, and reads and checks an image's documents. */

import { createHash } from "node:crypto";
import { closeSync, constants, openSync, statSync, writeSync } from "node:fs";
import { dirname, resolve } from "node:path";
import {
  type Descriptor,
  type Digest,
  dockerManifestSchema,
  type ImageConfig,
  imageConfigSchema,
  indexSchema,
  layoutSchema,
  manifestSchema,
  mediaTypes,
} from "../../spec-schemas/image.ts";
import type { AbsPath } from "../core/brands.ts";
import { reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { ArchiveProbe, indexArchive } from "./archive.ts";
import { compressionOf, decompress } from "./decompress.ts";
import { partsOf, verifyBytes } from "./digest.ts";
import {
  type ArchiveIndex,
  archiveFiles,
  chunksOf,
  directoryFiles,
  type ImageFile,
  type ImageFiles,
  openRegular,
  readAt,
} from "./files.ts";
import { defaultLimits, tooManyBytes } from "./limits.ts";
import {
  hostPlatform,
  isIndex,
  platformText,
  selectDocker,
  selectPlatform,
  selectReference,
  type WantedPlatform,
} from "./select.ts";

/** A layer as it lies in the image. */
export interface LayerSource {
  /** Of the uncompressed tar: config.json's rootfs.diff_ids. */
  readonly diffId: Digest;
  /** Of the blob as it is stored; archives of `docker save` may name none. */
  readonly digest?: Digest | undefined;
  readonly sizeBytes: number;
  /** The blob's bytes, not checked yet. */
  chunks(): AsyncIterable<Buffer>;
}

/** One image of an OCI layout or a `docker save` archive; its documents are checked against their digests. */
export interface Image {
  readonly kind: "image";
  /** The path it was opened by. */
  readonly path: AbsPath;
  readonly config: ImageConfig;
  /** The configuration as it is stored: its digest is over these bytes. */
  readonly configText: string;
  readonly configDigest: Digest;
  /** Of the manifest; empty for `docker save`. */
  readonly annotations: Readonly<Record<string, string>>;
  /** The manifest of an OCI layout; undefined for `docker save`. */
  readonly manifest?: Descriptor | undefined;
  /** Lowest first. */
  readonly layers: readonly LayerSource[];
  close(): void;
}

/** A plain archive of a root file system. */
export interface RootfsArchive {
  readonly kind: "rootfs";
  readonly path: AbsPath;
  readonly sizeBytes: number;
  /** The archive's bytes, compressed as they are. */
  chunks(): AsyncIterable<Buffer>;
  close(): void;
}

export interface OpenOptions {
  /** Which of several: a name of `org.opencontainers.image.ref.name`, a RepoTag, or a manifest's digest. */
  readonly reference?: string | undefined;
  /** Of several platforms; this host's when not given. */
  readonly platform?: WantedPlatform | undefined;
  /** Where an image's archive that is compressed as a whole is unpacked to (without a name); beside it when not given. */
  readonly spoolDirectory?: string | undefined;
  /** Most bytes of it. */
  readonly maxBytes?: number | undefined;
}

/** Largest document of an image. */
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** Indexes in indexes. */
const MAX_INDEX_DEPTH = 4;

/**
 * Opens an archive or an OCI layout's directory. Throws `not-found` (no such file, reference or platform), `image` (what
 * it holds is wrong) and `usage` (several images and no reference).
 */
export async function openImage(path: string, options: OpenOptions = {}): Promise<Image | RootfsArchive> {
  const absolute = resolve(path) as AbsPath;
  try {
    return await open(absolute, options);
  } catch (error) {
    if (!(error instanceof TsrunError) || error.message.includes(absolute)) throw error;
    throw new TsrunError(error.code, `${absolute}: ${error.message}`, {
      ...(error.advice !== undefined && { advice: error.advice }),
      cause: error,
    });
  }
}

async function open(path: AbsPath, options: OpenOptions): Promise<Image | RootfsArchive> {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch (error) {
    throw new TsrunError("not-found", `cannot open ${path}: ${reasonOf(error)}`);
  }
  if (isDirectory) return readImage(path, directoryFiles(path), options);
  const opened = openRegular(path);
  if (opened === undefined) throw new TsrunError("not-found", `${path} is gone`);
  const { fd, sizeBytes } = opened;
  const rootfs: RootfsArchive = {
    kind: "rootfs",
    path,
    sizeBytes,
    chunks: () => chunksOf(fd, 0, sizeBytes),
    close: () => closeSync(fd),
  };
  const found = await findImage(rootfs, fd, options).catch((error: unknown) => {
    closeSync(fd);
    throw error;
  });
  if (found === undefined) return rootfs;
  if (found.fd !== fd) closeSync(fd);
  return readImage(path, archiveFiles(found.fd, found.index), options);
}

/** An image in an archive, and the file in which it can be read in any order. Undefined when it is none. */
async function findImage(
  archive: RootfsArchive,
  fd: number,
  options: OpenOptions,
): Promise<{ readonly fd: number; readonly index: ArchiveIndex } | undefined> {
  if (compressionOf(readAt(fd, 0, 6)) === "none") {
    const index = indexArchive(fd, archive.sizeBytes);
    return index && { fd, index };
  }
  const spool = await spoolImage(archive, options);
  if (spool === undefined) return undefined;
  try {
    const index = indexArchive(spool.fd, spool.sizeBytes);
    if (index !== undefined) return { fd: spool.fd, index };
  } catch (error) {
    closeSync(spool.fd);
    throw error;
  }
  throw new TsrunError("internal", "an image's archive is none at the second look");
}

/** An image's archive is read out of order, so a compressed one is unpacked to a file first. Undefined when it is none. */
async function spoolImage(
  archive: RootfsArchive,
  options: OpenOptions,
): Promise<{ readonly fd: number; readonly sizeBytes: number } | undefined> {
  const directory = options.spoolDirectory ?? dirname(archive.path);
  const maxBytes = options.maxBytes ?? defaultLimits.maxBytes;
  const probe = new ArchiveProbe();
  let fd: number | undefined;
  let sizeBytes = 0;
  try {
    for await (const chunk of decompress(archive.chunks())) {
      if (!probe.push(chunk)) return undefined;
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) throw tooManyBytes(maxBytes, "when uncompressed");
      fd ??= openSpool(directory);
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    }
    if (fd === undefined || !probe.isImage()) return undefined;
    const spool = { fd, sizeBytes };
    fd = undefined;
    return spool;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Without a name: nothing is left of it, whatever happens to us. */
function openSpool(directory: string): number {
  const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
  try {
    return openSync(directory, constants.O_RDWR | O_TMPFILE, 0o600);
  } catch (error) {
    throw new TsrunError("image", `cannot make a temporary file in ${directory}: ${reasonOf(error)}`, {
      advice: "uncompress the image's archive first",
    });
  }
}

interface Schema<T> {
  safeParse(value: unknown):
    | { success: true; data: T }
    | {
        success: false;
        error: { issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] };
      };
}

function decode<T>(bytes: Buffer, schema: Schema<T>, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new TsrunError("image", `${what}: ${reasonOf(error)}`);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues
    .slice(0, 10)
    .map(({ path, message }) => `/${path.map(String).join("/")}: ${message}`);
  throw new TsrunError("image", `${what}: ${problems.join("; ")}`);
}

function withFile<T>(files: ImageFiles, name: string, use: (file: ImageFile) => T): T {
  const file = files.open(name);
  if (file === undefined) throw new TsrunError("image", `${name} is missing in the image`);
  try {
    return use(file);
  } finally {
    file.close();
  }
}

const blobName = (digest: Digest): string => `blobs/${partsOf(digest).join("/")}`;

function readBlob<T>(files: ImageFiles, { digest, size }: Descriptor, schema: Schema<T>): { bytes: Buffer; value: T } {
  return withFile(files, blobName(digest), (file) => {
    const bytes = file.read(MAX_DOCUMENT_BYTES);
    verifyBytes(bytes, { what: `blob ${digest}`, digest, sizeBytes: size });
    return { bytes, value: decode(bytes, schema, `blob ${digest}`) };
  });
}

function exists(files: ImageFiles, name: string): boolean {
  const file = files.open(name);
  file?.close();
  return file !== undefined;
}

/** Takes the files over. */
function readImage(path: AbsPath, files: ImageFiles, options: OpenOptions): Image {
  try {
    if (exists(files, "oci-layout") && exists(files, "index.json")) {
      return checkPlatform(readLayout(path, files, options), options.platform);
    }
    if (exists(files, "manifest.json")) return checkPlatform(readDocker(path, files, options), options.platform);
    throw new TsrunError("image", "no OCI layout (oci-layout, index.json) and no docker archive (manifest.json)");
  } catch (error) {
    files.close();
    throw error;
  }
}

/** Where there was nothing to choose from, the only image must be the one that was asked for. */
function checkPlatform(image: Image, wanted: WantedPlatform | undefined): Image {
  const { os, architecture, variant } = image.config;
  const differs = (asked: string | undefined, is: string | null | undefined): boolean => {
    return asked !== undefined && !!is && asked !== is;
  };
  if (wanted === undefined) return image;
  if (!differs(wanted.os, os) && !differs(wanted.architecture, architecture) && !differs(wanted.variant, variant)) {
    return image;
  }
  throw new TsrunError("not-found", `no image for ${platformText(wanted)} in it`, {
    advice: `there is: ${platformText({ os, architecture, variant: variant ?? undefined })}`,
  });
}

function readLayout(path: AbsPath, files: ImageFiles, options: OpenOptions): Image {
  const document = <T>(name: string, schema: Schema<T>): T =>
    withFile(files, name, (file) => decode(file.read(MAX_DOCUMENT_BYTES), schema, name));
  document("oci-layout", layoutSchema);
  const wanted = options.platform ?? hostPlatform();
  let chosen = selectReference(document("index.json", indexSchema).manifests, options.reference, wanted);
  for (let depth = 0; isIndex(chosen); depth++) {
    if (depth === MAX_INDEX_DEPTH) throw new TsrunError("image", `indexes nested deeper than ${MAX_INDEX_DEPTH}`);
    chosen = selectPlatform(readBlob(files, chosen, indexSchema).value.manifests, wanted);
  }
  const manifest = readBlob(files, chosen, manifestSchema).value;
  if (!(mediaTypes.config as readonly string[]).includes(manifest.config.mediaType)) {
    throw new TsrunError("image", `the manifest's config is ${manifest.config.mediaType}: no container image`);
  }
  const { bytes, value: config } = readBlob(files, manifest.config, imageConfigSchema);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length) {
    throw new TsrunError("image", `${manifest.layers.length} layers, but ${diffIds.length} diff_ids`);
  }
  const layers = manifest.layers.map(({ mediaType, digest, size }, i): LayerSource => {
    if (!mediaTypes.layerPrefixes.some((prefix) => mediaType.startsWith(prefix))) {
      throw new TsrunError("unsupported", `layer ${digest} is of type ${mediaType}`);
    }
    if (mediaType.endsWith("+encrypted")) throw new TsrunError("unsupported", `layer ${digest} is encrypted`);
    return layerOf(files, blobName(digest), { diffId: diffIds[i] as Digest, digest }, size);
  });
  return {
    kind: "image",
    path,
    config,
    configText: bytes.toString("utf8"),
    configDigest: manifest.config.digest,
    annotations: manifest.annotations ?? {},
    manifest: chosen,
    layers,
    close: () => files.close(),
  };
}

function readDocker(path: AbsPath, files: ImageFiles, options: OpenOptions): Image {
  const images = withFile(files, "manifest.json", (file) =>
    decode(file.read(MAX_DOCUMENT_BYTES), dockerManifestSchema, "manifest.json"),
  );
  const image = selectDocker(images, options.reference);
  const bytes = withFile(files, image.Config, (file) => file.read(MAX_DOCUMENT_BYTES));
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  // Its name is its digest: HEX.json, blobs/sha256/HEX or sha256:HEX.
  const named = /([0-9a-f]{64})(?:\.json)?$/.exec(image.Config)?.[1];
  if (named !== undefined && digest !== `sha256:${named}`) {
    throw new TsrunError("image", `${image.Config}: its digest is ${digest}`, {
      advice: "it is damaged or was tampered with",
    });
  }
  const config = decode(bytes, imageConfigSchema, image.Config);
  const diffIds = config.rootfs.diff_ids;
  const names = image.Layers ?? [];
  if (diffIds.length !== names.length) {
    throw new TsrunError("image", `${names.length} layers, but ${diffIds.length} diff_ids`);
  }
  return {
    kind: "image",
    path,
    config,
    configText: bytes.toString("utf8"),
    configDigest: digest,
    annotations: {},
    layers: names.map((name, i) => layerOf(files, name, { diffId: diffIds[i] as Digest }, undefined)),
    close: () => files.close(),
  };
}

function layerOf(
  files: ImageFiles,
  name: string,
  digests: Pick<LayerSource, "diffId" | "digest">,
  size: number | undefined,
): LayerSource {
  const sizeBytes = withFile(files, name, (file) => file.sizeBytes);
  if (size !== undefined && size !== sizeBytes) {
    throw new TsrunError("image", `blob ${name}: it has ${sizeBytes} bytes, the image says ${size}`);
  }
  return {
    ...digests,
    sizeBytes,
    async *chunks() {
      const file = files.open(name);
      if (file === undefined) throw new TsrunError("image", `${name} is gone`);
      try {
        yield* file.chunks();
      } finally {
        file.close();
      }
    },
  };
}
