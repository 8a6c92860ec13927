/** From an image to a bundle: its layers in the store, the directories of its overlay, config.json. */
import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { AbsPath } from "../core/brands.ts";
import { errorCode, reasonOf } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import type { HostFacts } from "../host/facts.ts";
import { ownIdentity } from "../host/process.ts";
import { readHostFacts } from "../host/read.ts";
import { checkNewDirectory, claimBundle, fillBundle, overlayPaths, writeBundleConfig } from "../image/bundle.ts";
import { type ContainerOptions, containerConfig, type OverlayRoot, type UserMappings } from "../image/config.ts";
import { convertImage } from "../image/convert.ts";
import { readMergedFile } from "../image/merged.ts";
import { type OpenOptions, openImage } from "../image/open.ts";
import type { Progress, UnpackOptions } from "../image/options.ts";
import { type Overrides, withOverrides } from "../image/overrides.ts";
import {
  dropReference,
  ownBundlePath,
  type Reference,
  referencePath,
  removeReferenced,
  writeReference,
} from "../image/references.ts";
import { hostPlatform } from "../image/select.ts";
import { type LayerStore, layerStore, useStore } from "../image/store.ts";
import { unpackImage } from "../image/unpack.ts";
import { type Context, reached } from "./context.ts";
import { chooseSeccomp, type SeccompChoice } from "./seccomp-profile.ts";
import { defaultConfig } from "./spec-template.ts";

/** Largest passwd or group file of an image that is read (attack row 22). */
const MAX_USER_FILE_BYTES = 1024 * 1024;

export interface ImageRequest {
  /** An OCI layout or an archive. */
  readonly image: string;
  /** Which image of several, and the bounds for what is in it. */
  readonly open: OpenOptions;
  readonly unpack: Pick<UnpackOptions, "limits">;
  /** --store. */
  readonly store: string | undefined;
  readonly progress?: Progress | undefined;
  readonly overrides: Overrides;
  readonly seccomp: SeccompChoice;
  readonly options: Omit<ContainerOptions, "seccomp">;
}

/** Where the bundle is to be: a directory of the caller's, or one of the store that goes with its container. */
export type BundlePlace =
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "container"; readonly container: NonNullable<Reference["container"]> };

export interface ImageBundle {
  readonly bundle: AbsPath;
  /** Path of its reference in the store. */
  readonly reference: AbsPath;
}

/**
 * Makes the bundle. What fails leaves nothing but layers; what is killed leaves a reference, by which `gc` finds the rest.
 * Throws `image`, `not-found`, `usage`, `config` (the seccomp profile), `state-store`.
 */
export async function makeImageBundle(
  context: Context,
  request: ImageRequest,
  place: BundlePlace,
): Promise<ImageBundle> {
  if (place.kind === "directory") checkNewDirectory(place.path);
  const facts = readHostFacts();
  const { kernel } = facts;
  const seccomp = chooseSeccomp(request.seccomp, { ...request.options, kernel, log: context.log });
  const image = await openImage(request.image, request.open);
  try {
    if (image.kind === "rootfs") {
      throw new TsrunError("image", `${request.image} is a plain archive of files, not an image`, {
        advice: "tsrun unpack makes a root file system of it; tsrun spec writes a config.json",
      });
    }
    const given = layerStore(request.store);
    // Until the reference is there.
    const lock = useStore(given);
    try {
      // As create will name the bundle.
      const store = { ...given, path: realpathSync(given.path) as AbsPath };
      const plan = mappingPlan(facts, request.options);
      const { config, layers } = await unpackImage(image, store, {
        ...request.unpack,
        mappings: plan.shifted,
        progress: request.progress,
        warn: (line) => context.log.warn(line),
      });
      const { bundle, reference } = pathsOf(store, place);
      // As unpackImage has marked the layers.
      const readsTrusted = facts.uid === 0 && !facts.inUserNamespace;
      const root: OverlayRoot = { layers, ...overlayPaths(bundle), idmap: plan.idmap, userxattr: !readsTrusted };
      const files = {
        passwd: () => readUserFile(layers, "/etc/passwd"),
        group: () => readUserFile(layers, "/etc/group"),
      };
      const converted = convertImage(withOverrides(config, request.overrides), files, hostPlatform());
      for (const warning of converted.warnings) context.log.warn(warning);
      const made = containerConfig({
        template: defaultConfig({ rootless: facts.uid !== 0, unifiedCgroups: facts.cgroup.mode === "v2" }),
        image: converted,
        volumes: Object.keys(config.config?.Volumes ?? {}),
        root,
        options: { ...request.options, seccomp, mappings: plan.mappings },
      });
      const container = place.kind === "container" ? place.container : undefined;
      const announced: Reference = { bundle, layers, by: ownIdentity(), container };
      writeReference(reference, announced);
      reached(context, "reference");
      try {
        claimBundle(bundle);
      } catch (error) {
        // What is there is somebody else's.
        dropReference(reference);
        throw error;
      }
      try {
        fillBundle(bundle, root, plan.mappings);
        writeBundleConfig(bundle, made);
      } catch (error) {
        removeReferenced(reference);
        throw error;
      }
      reached(context, "bundle");
      if (container === undefined) writeReference(reference, { ...announced, whole: true });
      return { bundle, reference };
    } finally {
      lock.release();
    }
  } finally {
    image.close();
  }
}

interface MappingPlan {
  readonly mappings: UserMappings | undefined;
  /** Layers stay as they are and are mapped when they are mounted. */
  readonly idmap: boolean;
  /** For kernels that cannot: layers unpacked with the owners that the container needs. */
  readonly shifted: UserMappings | undefined;
}

function mappingPlan({ uid, kernel }: HostFacts, options: Pick<ContainerOptions, "mappings">): MappingPlan {
  if (uid !== 0) {
    if (options.mappings !== undefined) {
      throw new TsrunError("unsupported", "--userns: without root the container has one id, the caller's own, as 0");
    }
    const own = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
    return {
      mappings: { uids: own(uid), gids: own(process.getegid?.() ?? 0) },
      idmap: false,
      shifted: undefined,
    };
  }
  const { mappings } = options;
  const { major, minor } = kernel;
  const idmap = mappings !== undefined && (major > 5 || (major === 5 && minor >= 19));
  return { mappings, idmap, shifted: idmap ? undefined : mappings };
}

function readUserFile(layers: readonly AbsPath[], path: string): string {
  return readMergedFile(layers, path, MAX_USER_FILE_BYTES)?.toString("utf8") ?? "";
}

function pathsOf(store: LayerStore, place: BundlePlace): ImageBundle {
  const { pid, startTime } = ownIdentity();
  const key = `${pid}-${startTime}`;
  const bundle = place.kind === "container" ? ownBundlePath(store.path, key) : realPath(place.path);
  return { bundle, reference: referencePath(store.path, key) };
}

/** Of a directory that may not be there yet. */
function realPath(path: string): AbsPath {
  const whole = resolve(path);
  try {
    return realpathSync(whole) as AbsPath;
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw new TsrunError("usage", `${path}: ${reasonOf(error)}`);
  }
  try {
    return join(realpathSync(dirname(whole)), basename(whole)) as AbsPath;
  } catch (error) {
    const missing = errorCode(error) === "ENOENT";
    throw new TsrunError(
      "usage",
      `cannot make a bundle in ${path}: ${missing ? `${dirname(whole)} is missing` : reasonOf(error)}`,
    );
  }
}
