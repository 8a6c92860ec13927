import { TsrunError } from "../core/errors.ts";
import { inUserNamespace } from "../host/user-namespace.ts";
import type { UnpackOptions } from "./options.ts";
import type { Rights } from "./tree.ts";

/** What this process may make of an archive, and the caller wants. Throws `usage`. */
export function rightsOf({ owners, mappings }: Pick<UnpackOptions, "owners" | "mappings">): Rights {
  const isRoot = process.geteuid?.() === 0;
  const keepsOwners = owners === undefined ? isRoot : owners === "archive";
  if (keepsOwners && !isRoot) throw new TsrunError("usage", "only root can keep the owners of an archive");
  if (mappings !== undefined && !keepsOwners)
    throw new TsrunError("usage", "only root can shift the owners of an archive");
  const initial = keepsOwners && !inUserNamespace();
  return { owners: keepsOwners, devices: initial, trusted: initial, mappings };
}
