/** Whose files become: ids of the archive, shifted into a user namespace, or the caller's. */
import { TsrunError } from "../core/errors.ts";

/** A range of ids as runtime-spec's linux.uidMappings has it. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface IdMappings {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}

/** -1 is no id: chown(2) takes it for "as it is". */
const MAX_ID = 0xffff_fffe;

/** The host's id for one of the archive. Throws `image` when there is none. */
export function shiftId(id: number, mappings: readonly IdMapping[] | undefined, what: "uid" | "gid"): number {
  if (!Number.isInteger(id) || id < 0 || id > MAX_ID)
    throw new TsrunError("image", `its ${what} ${id} is none of Linux's`);
  if (mappings === undefined) return id;
  for (const { containerID, hostID, size } of mappings) {
    if (id >= containerID && id < containerID + size) return hostID + (id - containerID);
  }
  throw new TsrunError("image", `its ${what} ${id} is in none of the mappings`, {
    advice: "map more ids, or unpack without mappings",
  });
}
