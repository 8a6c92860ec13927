/** Values of options that are more than a text or a small number. */
import { TsrunError } from "../core/errors.ts";

const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;
const powers: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4, p: 5 };

/** Bytes: a number, also with a fraction and a unit (k, m, g, t, p: powers of 1024), or -1 for no limit. Throws `usage`. */
export function parseBytes(text: string, option: string): bigint {
  if (text === "-1") return -1n;
  const [, whole, fraction = "", unit = ""] = /^(\d{1,20})(?:\.(\d{1,20}))?\s?(?:([kmgtp])i?)?b?$/i.exec(text) ?? [];
  if (whole === undefined) {
    throw new TsrunError("usage", `${option}: ${JSON.stringify(text)} is no number of bytes`, {
      advice: "such as 1048576, 64m or 1.5g; -1 for no limit",
    });
  }
  const factor = 1024n ** BigInt(powers[unit.toLowerCase()] ?? 0);
  const bytes = (BigInt(whole + fraction) * factor) / 10n ** BigInt(fraction.length);
  return inRange(bytes, 0n, INT64_MAX, text, option);
}

/** A decimal integer of 64 bits. Throws `usage`. */
export function parseInteger(text: string, option: string, sign: "signed" | "unsigned"): bigint {
  if (!/^-?\d{1,20}$/.test(text)) {
    throw new TsrunError("usage", `${option}: ${JSON.stringify(text)} is not an integer`);
  }
  return sign === "signed"
    ? inRange(BigInt(text), -INT64_MAX - 1n, INT64_MAX, text, option)
    : inRange(BigInt(text), 0n, UINT64_MAX, text, option);
}

function inRange(value: bigint, least: bigint, most: bigint, text: string, option: string): bigint {
  if (value >= least && value <= most) return value;
  throw new TsrunError("usage", `${option}: ${text} is not between ${least} and ${most}`);
}

const unitsMs: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};

/** Go's durations, such as 5s, 100ms or 1m30s: in milliseconds, above 0. Throws `usage`. */
export function parseDurationMs(text: string, option: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g)];
  const whole = parts.map(([part]) => part).join("");
  const ms = parts.reduce((sum, [, number, unit]) => sum + Number(number) * (unitsMs[unit as string] as number), 0);
  if (whole === text && ms > 0 && Number.isFinite(ms)) return ms;
  throw new TsrunError("usage", `${option}: ${JSON.stringify(text)} is not a duration above 0`, {
    advice: "such as 5s, 100ms or 1m30s",
  });
}
