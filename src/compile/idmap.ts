/**
 * Id-mapped mounts (config.md, Mounts: idmap, ridmap): files of the source show with other owners.
 *
 * All of it is the host's: the kernel wants CAP_SYS_ADMIN in the user namespace where the file system was mounted, and a tree
 * that nobody sees yet. Before: the namespaces that are joined are open (ns.open). After: process.spawn, which passes the
 * mapped trees on.
 */
import { TsrunError } from "../core/errors.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import { type IdMapping, idMap } from "./identity.ts";
import type { CompileInput } from "./input.ts";
import type { IdmapOption } from "./mount-options.ts";
import { hasNamespace, isCreated, namespaceSlot, processShape } from "./namespaces.ts";

/** What a mount of config.json says about its ids. */
export interface IdmapRequest {
  /** JSON pointer of the mount. */
  readonly pointer: string;
  readonly option: IdmapOption | undefined;
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
}

/** A mapping: of a user namespace that is there already, or of one that is made for the mounts that have it. */
export type Idmap =
  | { readonly kind: "joined"; readonly recursive: boolean }
  | { readonly kind: "maps"; readonly recursive: boolean; readonly uidMap: string; readonly gidMap: string };

type Input = Pick<CompileInput, "config" | "facts">;

/** The mapping that a bind mount gets, or undefined for none. Throws `config` or `unsupported`, naming the mount. */
export function idmapOf(request: IdmapRequest, input: Input): Idmap | undefined {
  const { pointer, option, uidMappings, gidMappings } = request;
  const own = uidMappings.length > 0 || gidMappings.length > 0;
  if (option === undefined && !own) return undefined;
  checkHost(pointer, input);
  // Mappings alone ask for the mount itself, as runc takes them.
  const recursive = option?.recursive ?? false;
  if (own) {
    if (uidMappings.length === 0 || gidMappings.length === 0) {
      throw new TsrunError("config", `${pointer}: uidMappings and gidMappings go together`);
    }
    return { kind: "maps", recursive, uidMap: idMap(uidMappings), gidMap: idMap(gidMappings) };
  }
  const { uidMappings: uids = [], gidMappings: gids = [] } = input.config.linux ?? {};
  if (option !== undefined && option.mapping !== "") {
    const given = parseMapping(option.mapping, `${pointer}/options`, { uids, gids });
    return { kind: "maps", recursive, uidMap: idMap(given.uids), gidMap: idMap(given.gids) };
  }
  const shape = processShape(input.config);
  if (isCreated(shape, "user")) return { kind: "maps", recursive, uidMap: idMap(uids), gidMap: idMap(gids) };
  if (hasNamespace(shape, "user")) return { kind: "joined", recursive };
  throw new TsrunError("config", `${pointer}/options: ${recursive ? "ridmap" : "idmap"} has no mapping`, {
    advice: "give the mount uidMappings and gidMappings, or the container a user namespace",
  });
}

function checkHost(pointer: string, { config, facts }: Input): void {
  const refuse = (why: string, advice?: string): never => {
    throw new TsrunError(
      "unsupported",
      `${pointer}: an id-mapped mount ${why}`,
      advice === undefined ? {} : { advice },
    );
  };
  const { major, minor } = facts.kernel;
  if (major < 5 || (major === 5 && minor < 12)) refuse("needs Linux 5.12 (mount_setattr, MOUNT_ATTR_IDMAP)");
  if (facts.uid !== 0) refuse("needs root on the host: CAP_SYS_ADMIN where the file system was mounted");
  const shape = processShape(config);
  if (hasNamespace(shape, "mount") && !isCreated(shape, "mount")) {
    refuse(
      "is not possible in a mount namespace that is joined",
      "let the container have a mount namespace of its own",
    );
  }
}

/** A mapping, and the step that uses it: the slot of a user namespace that has it is given. */
export interface IdmapUse {
  readonly idmap: Idmap;
  step(userns: string): HostStep;
}

/** Host, after mount.openTree: maps the trees; each mapping's user namespace is made once. */
export function idmapSteps(uses: readonly IdmapUse[]): HostStep[] {
  const slots = new Map<string, string>();
  const steps: HostStep[] = [];
  for (const { idmap, step } of uses) {
    let userns = namespaceSlot("user");
    if (idmap.kind === "maps") {
      const { uidMap, gidMap } = idmap;
      const key = `${uidMap}/${gidMap}`;
      userns = slots.get(key) ?? `idmap-${slots.size}`;
      if (!slots.has(key)) steps.push({ kind: "userns.open", uidMap, gidMap, slot: userns });
      slots.set(key, userns);
    }
    steps.push(step(userns));
  }
  return steps;
}

interface Mappings {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}

/**
 * crun's form, which podman writes: `uids=0-100000-10#10-200000-10;gids=0-100000-10`. A triplet is an id of the file
 * system, the id on the host that it shows as, and how many. With `@` before it the second is an id of the container.
 */
function parseMapping(text: string, pointer: string, container: Mappings): Mappings {
  const wrong = (what: string): never => {
    throw new TsrunError("config", `${pointer}: idmap=${text}: ${what}`, {
      advice: "the form is idmap=uids=FILE_SYSTEM_ID-HOST_ID-COUNT#…;gids=…",
    });
  };
  const found = new Map<string, IdMapping[]>();
  for (const part of text.split(";")) {
    const [, name = "", triplets = ""] = /^(uids|gids)=(.+)$/.exec(part) ?? [];
    if (name === "" || found.has(name)) wrong(`${JSON.stringify(part)} is neither uids= nor gids=, or the second one`);
    found.set(
      name,
      triplets.split("#").map((triplet) => {
        const [, relative, ...digits] = /^(@?)(\d{1,10})-(\d{1,10})-(\d{1,10})$/.exec(triplet) ?? [];
        const [containerID = -1, hostID = -1, size = 0] = digits.map(Number);
        if (size < 1 || containerID + size > 2 ** 32 || hostID + size > 2 ** 32) {
          wrong(`${JSON.stringify(triplet)} is no range of ids`);
        }
        if (relative !== "@") return { containerID, hostID, size };
        const own = name === "uids" ? container.uids : container.gids;
        const range = own.find((each) => each.containerID <= hostID && hostID + size <= each.containerID + each.size);
        if (range === undefined) return wrong(`${triplet} is in no single range of the container's mappings`);
        return { containerID, hostID: hostID - range.containerID + range.hostID, size };
      }),
    );
  }
  const uids = found.get("uids");
  const gids = found.get("gids");
  return uids === undefined || gids === undefined ? wrong("uids and gids go together") : { uids, gids };
}
