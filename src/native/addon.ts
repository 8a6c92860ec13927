/** The addon as JavaScript sees it, and the only place that loads it. What is beyond its plain data is in the files beside this one. */

import { TsrunError } from "../core/errors.ts";
import { addonPath } from "../core/install.ts";
import { vocabularyHash } from "../plan/hash.gen.ts";

export interface NativeFailure {
  readonly side: number;
  readonly index: number;
  readonly kind: number;
  readonly op: number;
  readonly errno: number;
  readonly detail: number;
  readonly durationMs: number;
  readonly path: string;
  readonly text: string;
}
/** The operation that failed, with what it was about. */
export interface NativeStatus {
  readonly op: number;
  readonly errno: number;
  readonly path: string;
  readonly text: string;
}
export interface NativeSession {
  execute(
    plan: Uint8Array,
    mode: number,
    side: number,
    index: number,
  ): { failure?: NativeFailure; pid?: number; host: Buffer; container: Buffer };
  commit(): NativeStatus | undefined;
  rollback(): void;
  watchSignals(): NativeStatus | undefined;
  adoptOrphans(): NativeStatus | undefined;
  attach(notifyAddress: string): NativeStatus | { killed: boolean; value: number; notify?: NativeStatus };
  containerReports(): Buffer;
  close(): void;
}
export interface NativeOomWatch {
  open(pid: number, startTime: bigint, hierarchy: string, path: string): NativeStatus | undefined;
  next(timeoutMs: number): number | NativeStatus;
  close(): void;
}
export interface NativeExtraction {
  open(parent: string, name: string): NativeStatus | undefined;
  apply(records: Uint8Array, data: Uint8Array): Promise<NativeStatus | undefined>;
  finish(sync: boolean): Promise<NativeStatus | undefined>;
  untold(): Buffer;
  inherit(directories: readonly string[], untold: readonly Uint8Array[]): number | NativeStatus;
  deliver(directory: string, name: string): NativeStatus | undefined;
  discard(): NativeStatus | undefined;
  lostAttributes(): number;
}
export interface Addon {
  readonly Extraction: new (
    owners: boolean,
    uid: number,
    gid: number,
    opaqueAttributes: readonly string[],
    layers: boolean,
  ) => NativeExtraction;
  removeTree(directory: string, name: string): NativeStatus | undefined;
  readonly OomWatch: new () => NativeOomWatch;
  readonly Session: new (initPath: string) => NativeSession;
  lock(path: string, mode: number): number;
  deviceProgramTags(hierarchy: string, path: string): NativeStatus | string[];
  readSysctls(namespaces: readonly number[], files: readonly string[]): NativeStatus | (string | number)[];
  attribute(path: string, name: string): string | number;
  exit(status: number): never;
  terminalSize(): [rows: number, columns: number] | undefined;
  knowsArchitecture(arch: number): boolean;
  readonly libseccompVersion: string;
  readonly vocabularyHash: number;
}

let loaded: Addon | undefined;

/** Loads the addon, once. Throws `internal` when it is missing or of another build. */
export function addon(): Addon {
  if (loaded !== undefined) return loaded;
  const path = addonPath();
  const module = { exports: {} as Addon };
  try {
    process.dlopen(module, path);
  } catch (error) {
    throw new TsrunError(
      "internal",
      `cannot load the addon ${path}: ${error instanceof Error ? error.message : String(error)}`,
      {
        advice: "build it: npm run build",
      },
    );
  }
  if (module.exports.vocabularyHash !== vocabularyHash) {
    throw new TsrunError("internal", `the addon ${path} is of another build of tsrun`, {
      advice: "build again: npm run build",
    });
  }
  loaded = module.exports;
  return loaded;
}

/**
 * Ends tsrun with this exit status; for the edge of the command line, when all is closed and written. Where the addon is at hand
 * Node's own way out is left out, which joins threads and frees what the kernel is about to free.
 */
export function exit(status: number): never {
  if (loaded !== undefined) loaded.exit(status);
  process.exit(status);
}
