/** CRIU, the program (criu.org): where it is, whether it is new enough, and what it says when it fails. */
import { spawnSync } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import type { AbsPath } from "../core/brands.ts";
import { reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";

export interface Criu {
  readonly program: AbsPath;
  /** The administrator's configuration file for it; one that is not there is as an empty one. */
  readonly configFile: string | undefined;
}

/** --lsm-mount-context and namespaces that are joined by path came with it. */
const LEAST_VERSION = { major: 3, minor: 16 };
const INSTALL = "install the package criu, 3.16 or newer: docs/install.md";

/** As runc: a file of CRIU's options for one container, or none if it is empty. */
export const CRIU_CONFIG_ANNOTATION = "org.criu.config";
/** Where podman's and containerd's manuals have people put them. */
const DEFAULT_CONFIG = "/etc/criu/runc.conf";

/** Throws `unsupported`, with what to install. `command`: "checkpoint web". */
export function findCriu(command: string, annotations: Readonly<Record<string, string>> | undefined): Criu {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin", "/sbin"];
  const program = folders
    .filter((folder) => folder.startsWith("/"))
    .map((folder) => join(folder, "criu"))
    .find(isProgram);
  if (program === undefined) {
    throw new TsrunError("unsupported", `${command}: the program criu (CRIU) is not in PATH`, { advice: INSTALL });
  }
  checkVersion(command, program);
  const asked = annotations?.[CRIU_CONFIG_ANNOTATION];
  return { program: program as AbsPath, configFile: asked === undefined ? DEFAULT_CONFIG : asked || undefined };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** As root with a clean environment, as all that is run of CRIU. */
function checkVersion(command: string, program: string): void {
  const { stdout, error } = spawnSync(program, ["--version"], {
    env: {},
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  if (error !== undefined) throw new TsrunError("unsupported", `${command}: ${program} --version: ${reasonOf(error)}`);
  const [, major, minor] = /^Version: (\d+)\.(\d+)/m.exec(stdout) ?? [];
  if (major === undefined) {
    throw new TsrunError("unsupported", `${command}: ${program} --version does not say a version of CRIU`, {
      advice: INSTALL,
    });
  }
  const found = Number(major) * 1000 + Number(minor);
  if (found < LEAST_VERSION.major * 1000 + LEAST_VERSION.minor) {
    throw new TsrunError("unsupported", `${command}: ${program} is CRIU ${major}.${minor}, which is too old`, {
      advice: INSTALL,
    });
  }
}

const CONFIG_NAME = "criu.conf";

/**
 * Writes the configuration file for one run of CRIU: its work directory by path, since in the mount namespace of its own
 * that it has for a restore it could mount nothing in one that we open; then what the administrator wants, which wins.
 */
export function writeConfig(workDirectory: string, configFile: string | undefined): string {
  const path = join(workDirectory, CONFIG_NAME);
  const more = configFile !== undefined && existsSync(configFile) ? readFileSync(configFile, "utf8") : "";
  writeFileSync(path, `work-dir ${JSON.stringify(workDirectory)}\n${more}`, { mode: 0o600, flag: "wx" });
  return path;
}

/** Of a log, from its end. */
const LOG_TAIL_BYTES = 64 * 1024;
/** Of one line in a message. */
const MAX_LINE = 400;

/** The first reason among the last errors of a log, without its time: the later ones only follow from it. */
export function lastErrors(log: string): string | undefined {
  if (!existsSync(log)) return undefined;
  const fd = openSync(log, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES));
    const count = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    return errorsIn(bytes.toString("utf8", 0, count));
  } finally {
    closeSync(fd);
  }
}

/** Said after every failure. */
const FOLLOWING = /^(?:(?:Dumping|Pre-dumping|Restoring) FAILED\.?$|cg: cgroupd: recv req error)/i;

/** CRIU's `(00.123) Error (file.c:12): words`. The last but one is more telling than "Dumping FAILED." */
export function errorsIn(text: string): string | undefined {
  const errors = text
    .split("\n")
    .flatMap((line) => /Error \([^)]*\): (.*)/.exec(line)?.[1] ?? [])
    .map((words) => words.trim().slice(0, MAX_LINE));
  const telling = errors.filter((words) => !FOLLOWING.test(words));
  return telling.at(-1) ?? errors.at(-1);
}

/** The error of a plan in which CRIU took part, with what its log says. */
export function withLog(error: unknown, workDirectory: string, logFile: string, kept: string): unknown {
  if (!(error instanceof TsrunError) || error.code !== "step") return error;
  const said = lastErrors(join(workDirectory, logFile));
  if (said === undefined) return error;
  const message = error.message.includes(said) ? error.message : `${error.message}: ${said}`;
  return new TsrunError("step", message, { cause: error, advice: `CRIU's log: ${kept}` });
}
