/** Sizes as the kernel and mount(8) write them. */

const powers: Readonly<Record<string, bigint>> = { "": 0n, k: 1n, m: 2n, g: 3n, t: 4n };

/** A number with k, m, g or t behind it (powers of 1024), in bytes; undefined for anything else. */
export function sizeOf(text: string): bigint | undefined {
  const [, digits, unit = ""] = /^(\d+)([kmgt]?)$/i.exec(text) ?? [];
  return digits === undefined ? undefined : BigInt(digits) * 1024n ** (powers[unit.toLowerCase()] ?? 0n);
}
