/** What checkpoint and restore have in common. */
import { join } from "node:path";
import { type CgroupMode, type CriuOptions, cgroupModes } from "../../compile/criu-request.ts";
import { namespaceFlags } from "../../compile/namespaces.ts";
import { TsrunError } from "../../core/errors.ts";
import type { OptionTable, Values } from "../options.ts";

export const checkpointOptions = {
  "image-path": { type: "text", describe: "directory of the image (default: checkpoint)" },
  "work-path": { type: "text", describe: "directory for CRIU's log and statistics (default: the image's)" },
  "tcp-established": { type: "flag", describe: "keep open TCP connections" },
  "ext-unix-sk": { type: "flag", describe: "allow unix sockets whose other end is outside of the container" },
  "shell-job": { type: "flag", describe: "allow a terminal that comes from outside of the container" },
  "lazy-pages": { type: "flag", describe: "leave memory with the page server, to be fetched when it is used" },
  "file-locks": { type: "flag", describe: "keep file locks" },
  "manage-cgroups-mode": {
    type: "text",
    describe: "of cgroups made in the container: soft (default), full, strict, ignore",
  },
  "empty-ns": { type: "texts", describe: "network: without what is in that namespace" },
  "auto-dedup": { type: "flag", describe: "free memory of the image once it is restored, or of its parent" },
} as const satisfies OptionTable;

/** Throws `usage`. */
export function criuOptions(options: Values<typeof checkpointOptions>): CriuOptions {
  return {
    tcpEstablished: options["tcp-established"],
    extUnixSk: options["ext-unix-sk"],
    shellJob: options["shell-job"],
    fileLocks: options["file-locks"],
    lazyPages: options["lazy-pages"],
    autoDedup: options["auto-dedup"],
    cgroupMode: cgroupMode(options["manage-cgroups-mode"]),
    emptyNamespaces: options["empty-ns"].reduce((flags, name) => flags | emptyNamespace(name), 0),
  };
}

/** An empty value is one that is not given: callers pass those. */
function cgroupMode(text: string | undefined): CgroupMode {
  if (text === undefined || text === "") return "soft";
  if (Object.hasOwn(cgroupModes, text)) return text as CgroupMode;
  const names = Object.keys(cgroupModes).join(", ");
  throw new TsrunError("usage", `--manage-cgroups-mode: ${JSON.stringify(text)} is none of ${names}`);
}

function emptyNamespace(name: string): number {
  if (name === "network") return namespaceFlags.network;
  throw new TsrunError(
    "usage",
    `--empty-ns: ${JSON.stringify(name)}: CRIU can leave out what is in a network namespace only`,
  );
}

/** Directories of the image and of the work files. */
export function paths(options: Values<typeof checkpointOptions>): { imagePath: string; workPath: string } {
  const imagePath = options["image-path"] || join(process.cwd(), "checkpoint");
  return { imagePath, workPath: options["work-path"] || imagePath };
}
