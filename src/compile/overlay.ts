/**
 * Overlays. Long lists of layers: fsconfig(2) takes texts of up to 255 bytes and mount(2) a page for all options; one option
 * a layer, `lowerdir+` (Linux 6.8), has no such bound. What the container cannot mount itself, root of the host makes for it
 * (mount.overlay): long lists on older kernels, and layers with mapped ids.
 */
import { posix } from "node:path";
import { TsrunError } from "../core/errors.ts";
import type { HostFacts } from "../host/facts.ts";
import type { StepOf } from "../plan/vocabulary.ts";

/** Bytes that fsconfig(2) takes in one text, and mount(2) in all (with the NUL). */
const MAX_CONFIG_TEXT = 255;
const MAX_MOUNT_DATA = 4095;

const bytes = (text: string): number => Buffer.byteLength(text);
const isLower = (option: string): boolean => option.startsWith("lowerdir=");
const atLeast = ({ major, minor }: HostFacts["kernel"], wanted: readonly [number, number]): boolean =>
  major > wanted[0] || (major === wanted[0] && minor >= wanted[1]);

/** The options with one a layer, where the kernel can take a long list so. */
function optionsByLayer(options: readonly string[], kernel: HostFacts["kernel"]): string[] | undefined {
  const lower = options.find(isLower);
  if (lower === undefined || bytes(lower) <= MAX_CONFIG_TEXT) return [...options];
  const layers = splitLayers(lower).map(({ key, path }) => `${key}=${path}`);
  const others = options.filter((option) => !isLower(option));
  const fit = [...layers, ...others].every((option) => bytes(option) <= MAX_CONFIG_TEXT && !option.includes(","));
  const absolute = layers.every((option) => option.includes("+=/"));
  if (!atLeast(kernel, [6, 8]) || !fit || !absolute) return undefined;
  return options.flatMap((option) => (option === lower ? layers : [option]));
}

/** Whether mount(2) cannot take them either. */
export function isTooLong(options: readonly string[], kernel: HostFacts["kernel"]): boolean {
  return optionsByLayer(options, kernel) === undefined && bytes(options.join(",")) > MAX_MOUNT_DATA;
}

/** Options of an overlay as the kernel can take them. Throws `unsupported` if it cannot. */
export function overlayOptions(options: readonly string[], kernel: HostFacts["kernel"], pointer: string): string[] {
  const byLayer = optionsByLayer(options, kernel);
  if (byLayer !== undefined) return byLayer;
  const total = bytes(options.join(","));
  if (isTooLong(options, kernel)) {
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

interface Layer {
  readonly key: "lowerdir+" | "datadir+";
  readonly path: string;
}

/** `lowerdir=a:b::c` taken apart: `::` comes before layers for data only; a backslash keeps the next character. */
function splitLayers(lower: string): Layer[] {
  const list = lower.slice("lowerdir=".length);
  const found: Layer[] = [];
  let key: Layer["key"] = "lowerdir+";
  let path = "";
  for (let i = 0; i < list.length; i++) {
    const c = list.charAt(i);
    if (c === "\\" && i + 1 < list.length) path += list.charAt(++i);
    else if (c !== ":") path += c;
    else {
      found.push({ key, path });
      path = "";
      if (list.charAt(i + 1) !== ":") continue;
      key = "datadir+";
      i++;
    }
  }
  return [...found, { key, path }];
}

/** The kernel's own bound (OVL_MAX_STACK). */
const MAX_LAYERS = 500;

/**
 * Host: the overlay as a detached mount in the slot `slot`. `userns`: the slot of the user namespace whose mapping the
 * layers get, or null. The writable layer is not mapped: what the container writes belongs to the ids that it has on the host.
 * Throws `unsupported` or `config`.
 */
export function overlayStep(
  options: readonly string[],
  { userns, slot }: { readonly userns: string | null; readonly slot: string },
  { kernel, pointer }: { readonly kernel: HostFacts["kernel"]; readonly pointer: string },
): StepOf<"mount.overlay"> {
  const wrong = (code: "config" | "unsupported", what: string): never => {
    throw new TsrunError(code, `${pointer}/options: ${what}`);
  };
  if (userns !== null && !atLeast(kernel, [5, 19])) wrong("unsupported", "layers with mapped ids need Linux 5.19");
  const textOf = (name: string): string =>
    options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
  const layers = splitLayers(options.find(isLower) ?? "lowerdir=");
  if (layers.length > MAX_LAYERS)
    wrong("unsupported", `${layers.length} layers, of which the kernel takes ${MAX_LAYERS}`);
  for (const { key, path } of layers) {
    if (key === "datadir+") wrong("unsupported", "layers for data only cannot be in so long a list, nor be mapped");
    if (!path.startsWith("/")) wrong("config", `lowerdir: ${JSON.stringify(path)} is not an absolute path`);
  }
  const [upper, work] = [textOf("upperdir"), textOf("workdir")];
  for (const path of [upper, work]) {
    if (path.includes("\\")) wrong("unsupported", "upperdir and workdir with a backslash");
  }
  const writable = upper === "" && work === "" ? "" : posix.dirname(upper);
  if (posix.dirname(work) !== posix.dirname(upper) || (writable !== "" && !writable.startsWith("/"))) {
    wrong("config", "upperdir and workdir are to be absolute paths of one directory");
  }
  return {
    kind: "mount.overlay",
    lowers: layers.map(({ path }) => path),
    writable,
    upper: writable === "" ? "" : posix.basename(upper),
    work: writable === "" ? "" : posix.basename(work),
    options: options.filter((option) => !/^(?:lowerdir|upperdir|workdir)=/.test(option) && option !== "ro"),
    userns,
    slot,
  };
}
