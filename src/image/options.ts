/** What every way of unpacking takes and reports. */
import type { Limits } from "./limits.ts";
import type { IdMappings } from "./ownership.ts";

export interface UnpackOptions {
  /** Bounds against hostile archives; `defaultLimits` where not given. */
  readonly limits?: Partial<Limits> | undefined;
  /**
   * Files get the host's ids for those of the archive, as in a user namespace with these mappings. Without: the ids of the
   * archive for root, the caller's own for everybody else.
   */
  readonly mappings?: IdMappings | undefined;
  readonly progress?: Progress | undefined;
  /** One line for what could not be kept (device nodes without privilege, …), each at most once an archive. */
  readonly warn?: ((line: string) => void) | undefined;
}

/** Called now and then while an archive is read. */
export interface Progress {
  /** `what`: the layer's digest or the archive's name; `doneBytes` of `totalBytes` as they lie in the archive. */
  update(what: string, doneBytes: number, totalBytes: number): void;
  /** `reused`: the layer was in the store. */
  done(what: string, how: "unpacked" | "reused"): void;
}
