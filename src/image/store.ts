/**
 * The layer store: layers unpacked once, by what is in them.
 *
 *     <store>/layers/sha256/<diff id>/           complete by its name: it comes by rename
 *     <store>/layers/sha256@<mappings>/<diff id>/  the same with shifted owners
 */
import type { Digest } from "../../spec-schemas/image.ts";
import type { AbsPath } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";

export interface LayerStore {
  readonly path: AbsPath;
}

/** `--store`, or /var/lib/tsrun for root, $XDG_DATA_HOME/tsrun or ~/.local/share/tsrun for others. Makes nothing yet. */
export function layerStore(explicit?: string): LayerStore {
  throw new TsrunError("unsupported", `${explicit}: not yet`);
}

/** A complete layer. */
export interface StoredLayer {
  readonly diffId: Digest;
  readonly path: AbsPath;
}

/** Every complete layer. */
export function listLayers(store: LayerStore): StoredLayer[] {
  throw new TsrunError("unsupported", `${store.path}: not yet`);
}

/** Removes layers that `isReferenced` does not want, and what killed unpackers have left. A line for each. */
export function collectLayers(store: LayerStore, _isReferenced: (layer: StoredLayer) => boolean): string[] {
  throw new TsrunError("unsupported", `${store.path}: not yet`);
}
