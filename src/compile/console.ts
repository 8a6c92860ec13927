/**
 * The terminal: connected on the host before the spawn; opened in the container after its devpts is mounted and its root
 * is entered, while /dev is still writable (console.open makes /dev/console), and after setsid (TIOCSCTTY needs a leader).
 */
import { TsrunError } from "../core/errors.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import type { ConsoleSize, CreateOptions } from "./input.ts";

export interface ConsoleInput {
  readonly terminal?: boolean | undefined;
  readonly consoleSize?: ConsoleSize | undefined;
  readonly user?: { readonly uid?: number | undefined } | undefined;
}

const SLOT = "console";

/** Throws `usage` when the terminal has nobody to go to, or a console socket no terminal. */
export function connectConsole(process: ConsoleInput | undefined, console: CreateOptions["console"]): HostStep[] {
  if (process?.terminal !== true) {
    if (console.kind === "socket") {
      throw new TsrunError("usage", "a console socket was given, but process.terminal is false");
    }
    return [];
  }
  switch (console.kind) {
    case "none":
      throw new TsrunError("usage", "process.terminal is true, but nobody takes the terminal", {
        advice: "give --console-socket, or run in the foreground",
      });
    case "socket":
      return [{ kind: "console.connect", path: console.path, slot: SLOT }];
    case "pair":
      return [{ kind: "console.pair", slot: SLOT }];
  }
}

/** `bind`: the terminal is also the container's /dev/console (its init has one, a further process does not). */
export function openConsole(
  process: ConsoleInput | undefined,
  console: CreateOptions["console"],
  bind: boolean,
): ContainerStep[] {
  if (process?.terminal !== true) return [];
  // In the foreground it is as large as the caller's, which adds the carriage returns, too (as runc).
  const size = (console.kind === "pair" ? console.size : undefined) ?? process.consoleSize;
  return [
    {
      kind: "console.open",
      slot: SLOT,
      uid: process.user?.uid ?? 0,
      rows: windowSize(size?.height),
      columns: windowSize(size?.width),
      bind,
      onlcr: console.kind !== "pair",
    },
  ];
}

/** struct winsize holds 16 bits. */
function windowSize(value: number | bigint = 0): number {
  if (value > 0xffff) throw new TsrunError("config", `/process/consoleSize: ${value} is more than a terminal can have`);
  return Number(value);
}
