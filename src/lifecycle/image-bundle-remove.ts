/** bundle remove: takes away what `bundle create` made. */
import { realpathSync } from "node:fs";
import type { AbsPath } from "../core/brands.ts";
import { reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { listReferences, readReference, removeReferenced } from "../image/references.ts";
import { layerStore } from "../image/store.ts";

/** Throws `not-found` for a directory that no `bundle create` with this store has made. */
export function removeImageBundle(directory: string, store: string | undefined): void {
  let bundle: string;
  try {
    bundle = realpathSync(directory);
  } catch (error) {
    throw new TsrunError("not-found", `${directory}: ${reasonOf(error)}`);
  }
  const path = layerStore(store).path;
  const reference = listReferences(realPath(path)).find((each) => {
    const found = readReference(each);
    return found?.container === undefined && found?.bundle === bundle;
  });
  if (reference === undefined) {
    throw new TsrunError("not-found", `${bundle} is no bundle that tsrun bundle create has made`, {
      advice: `known are those of the store ${path}; --store names another`,
    });
  }
  removeReferenced(reference);
}

/** The store as its references name it. */
function realPath(path: AbsPath): AbsPath {
  try {
    return realpathSync(path) as AbsPath;
  } catch {
    // No store, no references.
    return path;
  }
}
