import type { Resources } from "../../spec-schemas/config.ts";
import { TsrunError } from "../core/errors.ts";
import type { PresentLimits } from "../host/facts.ts";

/** One write to a file of a cgroup, or to the first of several files that is there. */
export type Write =
  | { readonly file: string; readonly value: string }
  | { readonly first: readonly (readonly [file: string, value: string])[]; readonly missing: boolean };

export function write(file: string, value: string | number | bigint): Write {
  return { file, value: String(value) };
}

/**
 * A number as text; undefined where nothing is asked for. 0 asks for nothing: callers written in Go send it for what
 * they do not set, and runc takes it so. (Where 0 is a value of its own, this is not used.)
 */
export function amount(value: number | bigint | undefined): string | undefined {
  return value === undefined || Number(value) === 0 ? undefined : String(value);
}

/** `swap` is memory and swap together, so it needs a limit of memory to lie above. */
export function checkSwap({ limit, swap }: NonNullable<Resources["memory"]>): void {
  const where = "/linux/resources/memory/swap";
  if (amount(swap) === undefined || Number(swap) === -1) return;
  if (amount(limit) === undefined || Number(limit) === -1) {
    throw new TsrunError("config", `${where}: without a limit of memory there is none of memory and swap`, {
      advice: "set /linux/resources/memory/limit, too; swap is memory and swap together",
    });
  }
  if ((swap as number | bigint) < (limit as number | bigint)) {
    throw new TsrunError("config", `${where}: ${swap} is below the limit of memory, ${limit}`);
  }
}

/**
 * config-linux.md, checkBeforeUpdate: v2 would kill for a limit below what is in use; v1's kernel refuses it, but only when
 * other limits may be written already. Not v2's swap: a limit below what is swapped stops further swapping and kills nothing.
 */
export function checkUsage(
  { limit, swap, checkBeforeUpdate }: NonNullable<Resources["memory"]>,
  present: PresentLimits | undefined,
): void {
  if (checkBeforeUpdate !== true) return;
  for (const [name, value, usage, what] of [
    ["limit", limit, present?.memoryUsage, "bytes"],
    ["swap", swap, present?.memorySwapUsage, "bytes of memory and swap"],
  ] as const) {
    if (usage === undefined || amount(value) === undefined || Number(value) === -1) continue;
    if (BigInt(value as number | bigint) >= usage) continue;
    throw new TsrunError(
      "config",
      `/linux/resources/memory/${name}: ${value} is below the ${usage} ${what} that are in use`,
      { advice: "checkBeforeUpdate asks for this error" },
    );
  }
}
