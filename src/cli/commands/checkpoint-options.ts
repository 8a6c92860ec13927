/** checkpoint and restore: their callers find the options known, and the reason why neither can be done. */
import { TsrunError } from "../../core/errors.ts";
import type { OptionTable } from "../options.ts";

export const checkpointOptions = {
  "image-path": { type: "text", describe: "directory of the image's files" },
  "work-path": { type: "text", describe: "directory of work files and logs" },
  "tcp-established": { type: "flag", describe: "keep open TCP connections" },
  "ext-unix-sk": { type: "flag", describe: "keep external unix sockets" },
  "shell-job": { type: "flag", describe: "allow shell jobs" },
  "lazy-pages": { type: "flag", describe: "restore memory pages lazily" },
  "file-locks": { type: "flag", describe: "keep file locks" },
  "manage-cgroups-mode": { type: "text", describe: "soft, full, strict or ignore" },
  "empty-ns": { type: "texts", describe: "make this namespace, without its properties" },
  "auto-dedup": { type: "flag", describe: "remove what is twice from memory images" },
} as const satisfies OptionTable;

export function refuseWithoutCriu(command: string, id: string): never {
  throw new TsrunError("unsupported", `${command} ${id}: this version of tsrun does not support CRIU`, {
    advice: "checkpoint and restore need CRIU (checkpoint/restore in userspace); use a runtime that drives it",
  });
}
