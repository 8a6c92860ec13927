/** Which image of a layout or an archive is meant. */
import type { Descriptor, DockerManifest, Platform } from "../../spec-schemas/image.ts";
import { mediaTypes } from "../../spec-schemas/image.ts";
import { TsrunError } from "../core/errors.ts";

export interface WantedPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** Go's names for Node's. */
const architectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  loong64: "loong64",
  ppc64: "ppc64le",
};

export function hostPlatform(): WantedPlatform {
  return { os: "linux", architecture: architectures[process.arch] ?? process.arch };
}

const NAMES = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/** A name as people give it: the whole, or its tag. */
function matches(name: string, reference: string): boolean {
  return name === reference || name.endsWith(`:${reference}`) || name.endsWith(`/${reference}`);
}

const isIndex = ({ mediaType }: Descriptor): boolean => (mediaTypes.index as readonly string[]).includes(mediaType);
const isManifest = ({ mediaType }: Descriptor): boolean =>
  (mediaTypes.manifest as readonly string[]).includes(mediaType);

export { isIndex };

export const platformText = ({ os, architecture, variant }: Platform | WantedPlatform): string =>
  [os, architecture, variant].filter((part) => part !== undefined && part !== null && part !== "").join("/");

/** The manifest or index that a layout's index.json means. Throws `usage` (several), `not-found`, `image`. */
export function selectReference(
  manifests: readonly Descriptor[],
  reference: string | undefined,
  wanted: WantedPlatform,
): Descriptor {
  const candidates = manifests.filter((each) => isIndex(each) || isManifest(each));
  if (candidates.length === 0) throw new TsrunError("image", "index.json names no image");
  const namesOf = (each: Descriptor): string[] =>
    NAMES.flatMap((name) => {
      const value = each.annotations?.[name];
      return value === undefined ? [] : [value];
    });
  const found =
    reference === undefined
      ? candidates
      : candidates.filter(
          (each) => each.digest === reference || namesOf(each).some((name) => matches(name, reference)),
        );
  const names = candidates.map((each) => namesOf(each)[0] ?? each.digest).join(", ");
  if (found.length === 0) {
    throw new TsrunError("not-found", `no image ${JSON.stringify(reference)} in it`, { advice: `there are: ${names}` });
  }
  const [only] = found;
  if (only !== undefined && new Set(found.map(({ digest }) => digest)).size === 1) return only;
  // One image for several platforms, as index.json itself may list it.
  const ofPlatform = found.filter(({ platform }) => platform !== undefined && platform !== null);
  if (ofPlatform.length === found.length) return selectPlatform(found, wanted);
  throw new TsrunError("usage", `it holds several images`, { advice: `choose one with --reference: ${names}` });
}

/** The manifest of an index for a platform. Throws `not-found`. */
export function selectPlatform(manifests: readonly Descriptor[], wanted: WantedPlatform): Descriptor {
  const candidates = manifests.filter((each) => isManifest(each) || isIndex(each));
  const fits = candidates.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  const exact = fits.find(({ platform }) => (platform?.variant ?? undefined) === wanted.variant);
  const chosen = exact ?? (wanted.variant === undefined ? fits[0] : undefined);
  if (chosen !== undefined) return chosen;
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1 && !only.platform) return only;
  const there = candidates.flatMap(({ platform }) => (platform ? [platformText(platform)] : [])).join(", ");
  throw new TsrunError("not-found", `no image for ${platformText(wanted)} in it`, {
    ...(there !== "" && { advice: `there are: ${there}` }),
  });
}

/** The image that manifest.json of `docker save` means. Throws `usage`, `not-found`. */
export function selectDocker(images: DockerManifest, reference: string | undefined): DockerManifest[number] {
  const names = images.map((image) => image.RepoTags?.[0] ?? image.Config).join(", ");
  const found =
    reference === undefined
      ? images
      : images.filter(
          (image) => image.Config.includes(reference) || image.RepoTags?.some((tag) => matches(tag, reference)),
        );
  const [only] = found;
  if (only === undefined) {
    throw new TsrunError("not-found", `no image ${JSON.stringify(reference)} in it`, { advice: `there are: ${names}` });
  }
  if (found.length === 1) return only;
  throw new TsrunError("usage", "it holds several images", { advice: `choose one with --reference: ${names}` });
}
