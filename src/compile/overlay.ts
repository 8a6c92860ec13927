/**
 * Long lists of overlay layers. fsconfig(2) takes texts of up to 255 bytes and mount(2) a page for all options; one option a
 * layer, `lowerdir+` (Linux 6.8), has no such bound.
 */
import { TsrunError } from "../core/errors.ts";
import type { HostFacts } from "../host/facts.ts";

/** Bytes that fsconfig(2) takes in one text, and mount(2) in all (with the NUL). */
const MAX_CONFIG_TEXT = 255;
const MAX_MOUNT_DATA = 4095;

const bytes = (text: string): number => Buffer.byteLength(text);
const isLower = (option: string): boolean => option.startsWith("lowerdir=");

/** Options of an overlay as the kernel can take them. Throws `unsupported` if it cannot. */
export function overlayOptions(options: readonly string[], kernel: HostFacts["kernel"], pointer: string): string[] {
  const lower = options.find(isLower);
  if (lower === undefined || bytes(lower) <= MAX_CONFIG_TEXT) return [...options];
  const layers = layerOptions(lower.slice("lowerdir=".length));
  const others = options.filter((option) => !isLower(option));
  const fit = [...layers, ...others].every((option) => bytes(option) <= MAX_CONFIG_TEXT && !option.includes(","));
  const absolute = layers.every((option) => option.includes("+=/"));
  const known = kernel.major > 6 || (kernel.major === 6 && kernel.minor >= 8);
  if (known && fit && absolute) return options.flatMap((option) => (option === lower ? layers : [option]));
  const total = bytes(options.join(","));
  if (total > MAX_MOUNT_DATA) {
    throw new TsrunError(
      "unsupported",
      `${pointer}/options: ${total} bytes of options, of which mount(2) takes ${MAX_MOUNT_DATA}`,
      {
        advice: `Linux 6.8 takes more (lowerdir+), with absolute layers of up to ${MAX_CONFIG_TEXT} bytes without a comma`,
      },
    );
  }
  return [...options];
}

/** `a:b::c` as an option a layer: `::` comes before layers for data only; a backslash keeps the next character. */
function layerOptions(list: string): string[] {
  const found: string[] = [];
  let key = "lowerdir+";
  let layer = "";
  for (let i = 0; i < list.length; i++) {
    const c = list.charAt(i);
    if (c === "\\" && i + 1 < list.length) layer += list.charAt(++i);
    else if (c !== ":") layer += c;
    else {
      found.push(`${key}=${layer}`);
      layer = "";
      if (list.charAt(i + 1) !== ":") continue;
      key = "datadir+";
      i++;
    }
  }
  return [...found, `${key}=${layer}`];
}
