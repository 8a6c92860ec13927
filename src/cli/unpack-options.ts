/** Options of every command that unpacks an image. */
import { TsrunError } from "../core/errors.ts";
import { defaultLimits } from "../image/limits.ts";
import type { OpenOptions } from "../image/open.ts";
import type { UnpackOptions } from "../image/options.ts";
import type { IdMapping } from "../image/ownership.ts";
import type { OptionTable, Values } from "./options.ts";
import { parseBytes } from "./values.ts";

export const storeOption = {
  store: {
    type: "text",
    describe: "directory of the layers (default /var/lib/tsrun; for others than root ~/.local/share/tsrun)",
  },
} as const satisfies OptionTable;

export const imageOptions = {
  ...storeOption,
  reference: { type: "text", describe: "which image of several: its name, its tag or its manifest's digest" },
  platform: { type: "text", describe: "which of several: OS/ARCHITECTURE[/VARIANT] (default: this host's)" },
  "no-same-owner": { type: "flag", describe: "everything belongs to you; no devices, set-id bits, file capabilities" },
  "uid-map": { type: "texts", describe: "CONTAINER:HOST:SIZE: shift user ids as a user namespace does (repeatable)" },
  "gid-map": { type: "texts", describe: "the same for group ids; default: the user ids' mappings" },
  "max-bytes": { type: "text", describe: "most bytes of one uncompressed archive (units k, m, g; default 256g)" },
  "max-entries": { type: "count", describe: `most entries of one archive (default ${defaultLimits.maxEntries})` },
} as const satisfies OptionTable;

type ImageValues = Values<typeof imageOptions>;

/** Throws `usage`. */
export function openOptionsOf(options: ImageValues): OpenOptions {
  const { platform } = options;
  const maxBytes = maxBytesOf(options);
  const [, os, architecture, variant] = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?$/.exec(platform ?? "") ?? [];
  if (platform !== undefined && (os === undefined || architecture === undefined)) {
    throw new TsrunError("usage", `--platform: ${JSON.stringify(platform)} is none`, { advice: "such as linux/arm64" });
  }
  return {
    reference: options.reference,
    maxBytes,
    ...(os !== undefined && architecture !== undefined && { platform: { os, architecture, variant } }),
  };
}

/** Throws `usage`. */
export function unpackOptionsOf(options: ImageValues): Omit<UnpackOptions, "progress" | "warn"> {
  const uids = options["uid-map"].map((text) => parseMapping(text, "--uid-map"));
  const gids = options["gid-map"].map((text) => parseMapping(text, "--gid-map"));
  if (uids.length === 0 && gids.length > 0) throw new TsrunError("usage", "--gid-map needs --uid-map");
  const maxEntries = options["max-entries"];
  const maxBytes = maxBytesOf(options);
  return {
    ...(options["no-same-owner"] && { owners: "caller" }),
    ...(uids.length > 0 && { mappings: { uids, gids: gids.length > 0 ? gids : uids } }),
    limits: { ...(maxBytes !== undefined && { maxBytes }), ...(maxEntries !== undefined && { maxEntries }) },
  };
}

function maxBytesOf(options: ImageValues): number | undefined {
  const text = options["max-bytes"];
  if (text === undefined) return undefined;
  const bytes = Number(parseBytes(text, "--max-bytes"));
  if (bytes > 0 && Number.isSafeInteger(bytes)) return bytes;
  throw new TsrunError("usage", `--max-bytes: ${text} is no limit`);
}

const MAX_ID = 0xffff_ffff;

function parseMapping(text: string, option: string): IdMapping {
  const [, containerID, hostID, size] = (/^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(text) ?? []).map(Number);
  if (containerID !== undefined && hostID !== undefined && size !== undefined && size > 0) {
    if (containerID + size <= MAX_ID && hostID + size <= MAX_ID) return { containerID, hostID, size };
  }
  throw new TsrunError("usage", `${option}: ${JSON.stringify(text)} is no mapping`, {
    advice: "such as 0:100000:65536",
  });
}
