/**
 * Documents of image-spec v1.1 (image-layout.md, image-index.md, manifest.md, descriptor.md, config.md) and of
 * `docker save`. Docker's media types stand beside the specification's. Go programs write null for lists and maps that are
 * empty, so null is taken where a property may be missing. Unknown properties are accepted and dropped.
 */
import * as z from "zod/mini";

const text = z.string().check(
  z.maxLength(64 * 1024),
  z.refine((value) => !value.includes("\0"), "text without NUL"),
);
const texts = z.array(text).check(z.maxLength(10_000));
const mapOfText = z.record(text, text);
/** Keys are the values: Go's map[string]struct{}. */
const setOfText = z.record(text, z.object({}));
const size = z.int().check(z.gte(0));
/** Not there, or null. */
const maybe = z.nullish;

/** `algorithm:encoded` with an algorithm that can be verified (descriptor.md "Digests"). */
export const digestSchema = z
  .string()
  .check(z.regex(/^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/, "a digest: sha256: or sha512: and its hex digits"));
export type Digest = z.infer<typeof digestSchema>;

export const platformSchema = z.object({
  architecture: text,
  os: text,
  "os.version": maybe(text),
  "os.features": maybe(texts),
  variant: maybe(text),
});
export type Platform = z.infer<typeof platformSchema>;

export const descriptorSchema = z.object({
  mediaType: text,
  digest: digestSchema,
  size,
  urls: maybe(texts),
  annotations: maybe(mapOfText),
  platform: maybe(platformSchema),
  artifactType: maybe(text),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

/** The file `oci-layout`. */
export const layoutSchema = z.object({ imageLayoutVersion: z.literal("1.0.0") });

/** index.json, and the indexes (docker: manifest lists) that it may name. */
export const indexSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: maybe(text),
  manifests: z.array(descriptorSchema).check(z.maxLength(10_000)),
  annotations: maybe(mapOfText),
});

/** Most layers of an image: overlayfs takes 500 lower directories. */
export const MAX_LAYERS = 500;

export const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: maybe(text),
  artifactType: maybe(text),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).check(z.maxLength(MAX_LAYERS)),
  annotations: maybe(mapOfText),
});

/** Docker's addition to the configuration; durations in nanoseconds. */
const healthcheck = z.object({
  Test: maybe(texts),
  Interval: maybe(z.number()),
  Timeout: maybe(z.number()),
  StartPeriod: maybe(z.number()),
  StartInterval: maybe(z.number()),
  Retries: maybe(z.number()),
});

/** config.md "Properties", `config`. */
const execution = z.object({
  User: maybe(text),
  ExposedPorts: maybe(setOfText),
  Env: maybe(texts),
  Entrypoint: maybe(texts),
  Cmd: maybe(texts),
  Volumes: maybe(setOfText),
  WorkingDir: maybe(text),
  Labels: maybe(mapOfText),
  StopSignal: maybe(text),
  ArgsEscaped: maybe(z.boolean()),
  /** Reserved by the specification for docker. */
  Memory: maybe(z.number()),
  MemorySwap: maybe(z.number()),
  CpuShares: maybe(z.number()),
  Healthcheck: maybe(healthcheck),
  /** Docker's own. */
  OnBuild: maybe(texts),
  Shell: maybe(texts),
});

export const imageConfigSchema = z.object({
  created: maybe(text),
  author: maybe(text),
  architecture: text,
  os: text,
  "os.version": maybe(text),
  "os.features": maybe(texts),
  variant: maybe(text),
  config: maybe(execution),
  rootfs: z.object({
    type: z.literal("layers"),
    diff_ids: z.array(digestSchema).check(z.maxLength(MAX_LAYERS)),
  }),
  history: maybe(
    z
      .array(
        z.object({
          created: maybe(text),
          author: maybe(text),
          created_by: maybe(text),
          comment: maybe(text),
          empty_layer: maybe(z.boolean()),
        }),
      )
      .check(z.maxLength(10_000)),
  ),
});
export type ImageConfig = z.infer<typeof imageConfigSchema>;

/** manifest.json of `docker save` (moby image/spec v1.2, "Combined Image JSON + Filesystem Changeset Format"). */
export const dockerManifestSchema = z
  .array(
    z.object({
      Config: text,
      RepoTags: maybe(texts),
      Layers: z.nullable(z.array(text).check(z.maxLength(MAX_LAYERS))),
    }),
  )
  .check(z.minLength(1), z.maxLength(10_000));
export type DockerManifest = z.infer<typeof dockerManifestSchema>;

export const mediaTypes = {
  index: ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"],
  manifest: ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"],
  config: ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"],
  /** Compression is told by content, so the suffixes `+gzip` and `+zstd` need no table. */
  layerPrefixes: [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
  ],
} as const;
