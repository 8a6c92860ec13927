/**
 * A bundle of an image on disk (docs/decisions/0013-overlay-rootfs.md):
 *
 *     <bundle>/               0711: root of a user namespace must get to rootfs
 *       rootfs/               empty: where the overlay is mounted, inside the container's mount namespace
 *       overlay/              0700: files of the container with their setuid bits are nobody else's to run
 *         upper/, work/       what the container writes; overlayfs' own
 *       config.json           0600: environments hold secrets; written last
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Config } from "../../spec-schemas/config.ts";
import type { AbsPath } from "../core/brands.ts";
import { errorCode, reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { encodeJson } from "../core/json.ts";
import type { OverlayRoot, UserMappings } from "./config.ts";
import { bundleParts } from "./references.ts";

export const overlayPaths = (bundle: AbsPath): Pick<OverlayRoot, "upper" | "work"> => ({
  upper: join(bundle, bundleParts.overlay, "upper") as AbsPath,
  work: join(bundle, bundleParts.overlay, "work") as AbsPath,
});

/** A directory that is new or empty, so that nothing in it is anybody else's. Throws `usage`, `exists`. */
export function checkNewDirectory(path: string): void {
  let names: string[];
  try {
    names = readdirSync(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw new TsrunError("usage", `cannot make a bundle in ${path}: ${reasonOf(error)}`);
  }
  if (names.length > 0) throw new TsrunError("exists", `cannot make a bundle in ${path}: it is not empty`);
}

/** Makes the directory with rootfs, by which it is ours: of two who want it one fails. Throws `exists`, `state-store`. */
export function claimBundle(bundle: AbsPath): void {
  const rootfs = join(bundle, bundleParts.rootfs);
  try {
    // The store's own directory of bundles; the caller's is there. Whatever the umask is.
    if (mkdirSync(dirname(bundle), { recursive: true }) !== undefined) chmodSync(dirname(bundle), 0o711);
    if (!existsSync(bundle)) mkdirSync(bundle);
    mkdirSync(rootfs);
  } catch (error) {
    if (errorCode(error) === "EEXIST")
      throw new TsrunError("exists", `cannot make a bundle in ${bundle}: it is not empty`);
    throw cannotMake(bundle, error);
  }
}

const cannotMake = (bundle: AbsPath, error: unknown): TsrunError =>
  new TsrunError("state-store", `cannot make the bundle ${bundle}: ${reasonOf(error)}`);

/** Makes everything else but config.json. The root gets mode and owner of the topmost layer's. Throws `state-store`. */
export function fillBundle(bundle: AbsPath, root: OverlayRoot, mappings: UserMappings | undefined): void {
  const overlay = join(bundle, bundleParts.overlay);
  try {
    // Whatever the umask is.
    chmodSync(bundle, 0o711);
    chmodSync(join(bundle, bundleParts.rootfs), 0o755);
    mkdirSync(overlay, { mode: 0o700 });
    for (const path of [root.work, root.upper]) mkdirSync(path);
    // containerConfig refuses an image without layers.
    const { uid, gid, mode } = lstatSync(root.layers.at(-1) as AbsPath);
    if (process.geteuid?.() === 0) {
      const shifted = root.idmap ? mappings : undefined;
      chownSync(root.upper, hostId(uid, shifted?.uids), hostId(gid, shifted?.gids));
    }
    chmodSync(root.upper, mode & 0o7777);
  } catch (error) {
    throw cannotMake(bundle, error);
  }
}

/** The id on the host of an id of the archive; the first of the range if it has none, as files must belong to somebody. */
function hostId(id: number, ranges: UserMappings["uids"] | undefined): number {
  if (ranges === undefined) return id;
  const range = ranges.find(({ containerID, size }) => id >= containerID && id < containerID + size) ?? ranges[0];
  if (range === undefined) return id;
  return id >= range.containerID && id < range.containerID + range.size
    ? range.hostID + id - range.containerID
    : range.hostID;
}

/** By rename: a bundle that has a config.json is whole. Throws `state-store`. */
export function writeBundleConfig(bundle: AbsPath, config: Config): void {
  const path = join(bundle, bundleParts.config);
  try {
    // In a directory that is removed as a whole, should we be killed here.
    const temporary = join(bundle, bundleParts.overlay, "config.json.new");
    writeFileSync(temporary, `${encodeJson(config, "\t")}\n`, { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    throw new TsrunError("state-store", `cannot write ${path}: ${reasonOf(error)}`);
  }
}
