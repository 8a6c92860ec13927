import { TsrunError } from "../core/errors.ts";
import type { LaunchState } from "./facts.ts";

/** The environment variable in which bin/tsrun records the caller's process (addon/launcher/main.cc has the format). */
export const LAUNCH_VARIABLE = "TSRUN_LAUNCH";

/** Reads `v1;nofile=SOFT:HARD;ignored=HEX;fds=0,1,2`. Throws `internal` for anything else: launcher and program come from one build. */
export function parseLaunch(text: string): LaunchState {
  const match = /^v1;nofile=(\d{1,20}):(\d{1,20});ignored=([0-9a-f]{1,16});fds=((?:\d{1,9}(?:,\d{1,9})*)?)$/.exec(text);
  if (match === null) {
    throw new TsrunError("internal", `${LAUNCH_VARIABLE}=${JSON.stringify(text)} is not what bin/tsrun writes`, {
      advice: "start tsrun through bin/tsrun, and leave this variable alone",
    });
  }
  const [, soft = "", hard = "", ignored = "", fds = ""] = match;
  return {
    nofile: { soft: BigInt(soft), hard: BigInt(hard) },
    ignoredSignals: BigInt(`0x${ignored}`),
    validFds: fds === "" ? [] : fds.split(",").map(Number),
  };
}

const SIGPIPE = 13n;
const SIGXFSZ = 25n;

/**
 * What can be told of the caller without a record, from /proc/self/limits and /proc/self/status: Node has raised the soft
 * limit already, and ignores two signals of its own accord, which are taken as not ignored by the caller.
 */
export function guessLaunch(limits: string, status: string): LaunchState {
  const line = /^Max open files +(\d+|unlimited) +(\d+|unlimited)/m.exec(limits);
  const limit = (value: string | undefined): bigint =>
    value === undefined || value === "unlimited" ? 0xffff_ffff_ffff_ffffn : BigInt(value);
  const ignored = BigInt(`0x${statusField(status, "SigIgn")}`);
  return {
    nofile: { soft: limit(line?.[1]), hard: limit(line?.[2]) },
    ignoredSignals: ignored & ~(1n << (SIGPIPE - 1n)) & ~(1n << (SIGXFSZ - 1n)),
    validFds: undefined,
  };
}

/** A field of /proc/<pid>/status. */
export function statusField(status: string, name: string): string {
  const value = new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1];
  if (value === undefined) throw new TsrunError("internal", `/proc/self/status has no ${name}`);
  return value;
}
