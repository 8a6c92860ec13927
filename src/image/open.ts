/** openImage: tells what a path is by its content, and reads an image's documents. */
import type { Descriptor, Digest, ImageConfig } from "../../spec-schemas/image.ts";
import type { AbsPath } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";

/** A layer as it lies in the image. */
export interface LayerSource {
  /** Of the uncompressed tar: config.json's rootfs.diff_ids. */
  readonly diffId: Digest;
  /** Of the blob; docker archives without one name none. */
  readonly digest?: Digest | undefined;
  readonly sizeBytes: number;
  open(): AsyncIterable<Buffer>;
}

/** One image of an OCI layout or a `docker save` archive, its documents verified. */
export interface Image {
  readonly kind: "image";
  /** The path it was opened by. */
  readonly path: AbsPath;
  readonly config: ImageConfig;
  /** The configuration's bytes, as their digest is over them. */
  readonly configText: string;
  readonly configDigest: Digest;
  readonly manifestAnnotations: Readonly<Record<string, string>>;
  /** Of an OCI layout's manifest; undefined for `docker save`. */
  readonly manifest?: Descriptor | undefined;
  /** Lowest first. */
  readonly layers: readonly LayerSource[];
  close(): void;
}

/** A plain archive of a root file system. */
export interface RootfsArchive {
  readonly kind: "rootfs";
  readonly path: AbsPath;
  close(): void;
}

export interface OpenOptions {
  /** Which of several: a name of `org.opencontainers.image.ref.name`, a RepoTag, or a manifest's digest. */
  readonly reference?: string | undefined;
  /** Of several platforms; this host's when not given. */
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string } | undefined;
}

/**
 * Opens an archive or an OCI layout's directory. Throws `not-found` (no such file or reference), `image` (what it holds is
 * wrong) and `usage` (several images and no reference).
 */
export async function openImage(path: string, _options: OpenOptions = {}): Promise<Image | RootfsArchive> {
  throw new TsrunError("unsupported", `${path}: not yet`);
}
