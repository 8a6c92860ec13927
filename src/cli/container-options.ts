/** What `run --image` and `bundle create` have in common: the options of docker and podman that a container is described by. */
import { readFileSync } from "node:fs";
import { isatty } from "node:tty";
import type { Resources } from "../../spec-schemas/config.ts";
import { capabilityNames } from "../compile/capabilities.ts";
import { reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { chooseCapabilities } from "../image/capabilities.ts";
import type { UserMappings } from "../image/config.ts";
import type { Progress } from "../image/options.ts";
import { parseEntrypoint, parseEnv, parseEnvFile } from "../image/overrides.ts";
import { parseTmpfs, parseVolume } from "../image/volumes.ts";
import type { ImageRequest } from "../lifecycle/image-bundle.ts";
import type { SeccompChoice } from "../lifecycle/seccomp-profile.ts";
import type { OptionTable, Values } from "./options.ts";
import { showProgress } from "./progress.ts";
import { openOptionsOf, imageOptions as unpackingOptions, unpackOptionsOf } from "./unpack-options.ts";
import { parseBytes, parseInteger } from "./values.ts";

export const containerOptions = {
  store: unpackingOptions.store,
  reference: unpackingOptions.reference,
  platform: unpackingOptions.platform,
  "max-bytes": unpackingOptions["max-bytes"],
  "max-entries": unpackingOptions["max-entries"],
  entrypoint: { type: "text", describe: "in place of the image's: a program, or a JSON array" },
  env: { type: "texts", alias: "e", describe: "NAME=VALUE, or NAME for the caller's value" },
  "env-file": { type: "texts", describe: "file with such lines" },
  workdir: { type: "text", alias: "w", describe: "working directory of the program" },
  user: { type: "text", alias: "u", describe: "USER[:GROUP], by number or as the image knows them" },
  volume: { type: "texts", alias: "v", describe: "SRC:DST[:ro,…]: a directory or file of the host in the container" },
  tmpfs: { type: "texts", describe: "DST[:size=64m,…]: an empty directory in memory" },
  "read-only": { type: "flag", describe: "the root cannot be written; the image's volumes are in memory" },
  memory: { type: "text", alias: "m", describe: "limit in bytes (units k, m, g)" },
  cpus: { type: "text", describe: "limit in CPUs, such as 1.5" },
  "pids-limit": { type: "text", describe: "most processes; 0 or -1 for no limit" },
  "cap-add": { type: "texts", describe: "capability beside the usual ones, or ALL" },
  "cap-drop": { type: "texts", describe: "capability that is not given, or ALL" },
  "security-opt": {
    type: "texts",
    describe:
      "no-new-privileges, seccomp=FILE (a profile of docker or podman, or linux.seccomp of config.json), or seccomp=unconfined",
  },
  net: { type: "text", alias: "network", describe: "none (default): loopback only; host: the host's network" },
  userns: { type: "text", describe: "host (default), or FIRST:COUNT: ids 0 to COUNT-1 are the host's from FIRST on" },
  tty: { type: "flag", alias: "t", describe: "a terminal" },
  hostname: { type: "text", describe: "name of the host inside" },
  "cgroup-parent": { type: "text", describe: "cgroup below which the container's is made" },
} as const satisfies OptionTable;

/** The id is in the cgroup's path, and the hostname if no other is given. Throws `usage`. */
export function imageRequest(
  options: Values<typeof containerOptions>,
  { image, id, args }: { readonly image: string; readonly id: string; readonly args: readonly string[] },
): ImageRequest {
  const unpacking = { ...options, "no-same-owner": false, "uid-map": [], "gid-map": [] };
  const parent = options["cgroup-parent"];
  const { noNewPrivileges, seccomp } = securityOptions(options["security-opt"]);
  return {
    image,
    open: openOptionsOf(unpacking),
    unpack: unpackOptionsOf(unpacking),
    store: options.store,
    progress: isatty(2) ? barsOnly() : undefined,
    overrides: {
      entrypoint: options.entrypoint === undefined ? undefined : parseEntrypoint(options.entrypoint),
      args,
      env: [
        ...options["env-file"].flatMap((file) => parseEnvFile(readText(file, "--env-file"), process.env, file)),
        ...options.env.flatMap((text) => parseEnv(text, process.env, "-e")),
      ],
      workdir: options.workdir,
      user: options.user,
    },
    seccomp,
    options: {
      hostname: options.hostname ?? id,
      terminal: options.tty,
      readonly: options["read-only"],
      network: networkOf(options.net ?? "none"),
      capabilities: chooseCapabilities({ add: options["cap-add"], drop: options["cap-drop"] }, capabilityNames),
      noNewPrivileges,
      mounts: [
        ...options.volume.map((text) => parseVolume(text, process.cwd())),
        ...options.tmpfs.map((text) => parseTmpfs(text)),
      ],
      resources: resourcesOf(options),
      cgroupsPath: parent === undefined ? undefined : `${parent.startsWith("/") ? "" : "/"}${parent}/${id}`,
      mappings: mappingsOf(options.userns ?? "host"),
    },
  };
}

/** While a terminal waits for an image to be unpacked; otherwise the program has the streams to itself. */
function barsOnly(): Progress {
  const shown = showProgress(true);
  return {
    update: (...args) => shown.update(...args),
    done: (what, how) => {
      if (how === "unpacked") shown.done(what, how);
    },
  };
}

function readText(path: string, option: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new TsrunError("usage", `${option} ${path}: ${reasonOf(error)}`);
  }
}

function networkOf(text: string): "none" | "host" {
  if (text === "none" || text === "host") return text;
  throw new TsrunError("usage", `--net: ${JSON.stringify(text)} is neither none nor host`, {
    advice: "other networks are made by an engine or a CNI plugin, which tsrun is not",
  });
}

function mappingsOf(text: string): UserMappings | undefined {
  if (text === "host") return undefined;
  const [, first, count] = /^(\d{1,10}):(\d{1,10})$/.exec(text) ?? [];
  const [hostID, size] = [Number(first), Number(count)];
  if (first === undefined || size < 1 || hostID + size > 2 ** 32) {
    throw new TsrunError("usage", `--userns: ${JSON.stringify(text)} is neither host nor FIRST:COUNT`, {
      advice: "such as 100000:65536; /etc/subuid lists the ranges that are given out",
    });
  }
  const ids = [{ containerID: 0, hostID, size }];
  return { uids: ids, gids: ids };
}

/** Microseconds; the kernel's usual one. */
const CPU_PERIOD = 100_000;

function resourcesOf(options: Values<typeof containerOptions>): Resources {
  const { memory, cpus, "pids-limit": pids } = options;
  return {
    ...(memory !== undefined && { memory: { limit: exact(parseBytes(memory, "--memory")) } }),
    ...(cpus !== undefined && { cpu: { quota: quotaOf(cpus), period: CPU_PERIOD } }),
    ...(pids !== undefined && { pids: { limit: pidsLimit(exact(parseInteger(pids, "--pids-limit", "signed"))) } }),
  };
}

/** JSON has numbers: those that they hold exactly. */
function exact(value: bigint): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new TsrunError("usage", `${value} is larger than ${Number.MAX_SAFE_INTEGER}`);
}

/** 0 is no limit for docker and podman, too; for config.json it is none that lets a program make another process. */
const pidsLimit = (limit: number): number => (limit === 0 ? -1 : limit);

function quotaOf(text: string): number {
  const quota = /^\d{1,6}(?:\.\d{1,6})?$/.test(text) ? Math.round(Number(text) * CPU_PERIOD) : 0;
  // The kernel's least quota is 1 ms.
  if (quota >= 1000) return quota;
  throw new TsrunError("usage", `--cpus: ${JSON.stringify(text)} is not a number of CPUs from 0.01 on`);
}

function securityOptions(texts: readonly string[]): {
  readonly noNewPrivileges: boolean;
  readonly seccomp: SeccompChoice;
} {
  let noNewPrivileges = false;
  let seccomp: SeccompChoice = { kind: "default" };
  for (const text of texts) {
    if (text === "no-new-privileges" || text === "no-new-privileges=true") noNewPrivileges = true;
    else if (text === "seccomp=unconfined") seccomp = { kind: "unconfined" };
    else if (/^seccomp=./.test(text)) seccomp = { kind: "file", path: text.slice("seccomp=".length) };
    else {
      throw new TsrunError(
        "usage",
        `--security-opt: ${JSON.stringify(text)} is neither no-new-privileges nor seccomp=FILE nor seccomp=unconfined`,
      );
    }
  }
  return { noNewPrivileges, seccomp };
}
