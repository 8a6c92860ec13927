/** Unpacks images into the layer store, and images or plain archives into a directory. */
import type { Digest, ImageConfig } from "../../spec-schemas/image.ts";
import type { AbsPath } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import type { Image, RootfsArchive } from "./open.ts";
import type { UnpackOptions } from "./options.ts";
import type { LayerStore } from "./store.ts";

export interface UnpackedImage {
  readonly config: ImageConfig;
  readonly configDigest: Digest;
  /** Lowest first; each fits as a lower directory of overlayfs (whiteouts are its own). */
  readonly layers: readonly AbsPath[];
}

/** Makes every layer of an image be in the store. */
export async function unpackImage(
  image: Image,
  store: LayerStore,
  _options: UnpackOptions = {},
): Promise<UnpackedImage> {
  throw new TsrunError("unsupported", `${image.path} ${store.path}: not yet`);
}

/** Unpacks a plain archive, or an image's layers one over the other, into a directory that is new or empty. */
export async function unpackTree(
  source: Image | RootfsArchive,
  directory: string,
  _options: UnpackOptions = {},
): Promise<void> {
  throw new TsrunError("unsupported", `${source.path} ${directory}: not yet`);
}
