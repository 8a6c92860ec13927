/** What every way of unpacking takes and tells. */
import type { Limits } from "./limits.ts";
import type { IdMappings } from "./ownership.ts";

export interface UnpackOptions {
  /** Bounds against hostile archives; `defaultLimits` where not given. */
  readonly limits?: Partial<Limits> | undefined;
  /**
   * `archive`: files belong to whom the archive says, which root can do. `caller`: everything belongs to the caller; device
   * nodes, set-id bits and file capabilities are left out. When not given: `archive` for root, `caller` for others.
   */
  readonly owners?: "archive" | "caller" | undefined;
  /** Owners are shifted by these, as in a user namespace that has them. */
  readonly mappings?: IdMappings | undefined;
  readonly progress?: Progress | undefined;
  /** Gets one line for each kind of thing that could not be kept. */
  readonly warn?: ((line: string) => void) | undefined;
}

/** Told now and then while archives are read. `what`: a layer's diff id, or the archive's path. */
export interface Progress {
  /** Bytes as they are stored. */
  update(what: string, doneBytes: number, totalBytes: number): void;
  /** `reused`: the layer was in the store. */
  done(what: string, how: "unpacked" | "reused"): void;
}
