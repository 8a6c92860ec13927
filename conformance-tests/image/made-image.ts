/** Writes an OCI image layout as a directory, layer by layer, by tar and the specification (image-layout.md). */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** `layers`: directories, lowest first, in which `.wh.` names are whiteouts (layer.md). `config`: the image's `config`. */
export function writeLayout(layout: string, layers: readonly string[], config: object, more: object = {}): string {
  const blobs = join(layout, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  const add = (content: Buffer) => {
    const hex = createHash("sha256").update(content).digest("hex");
    writeFileSync(join(blobs, hex), content);
    return { digest: `sha256:${hex}`, size: content.length };
  };
  const addJson = (value: unknown) => add(Buffer.from(JSON.stringify(value)));
  const tars = layers.map((layer) => ({ mediaType: "application/vnd.oci.image.layer.v1.tar", ...add(tarOf(layer)) }));
  const image = addJson({
    architecture: architectures[process.arch] ?? process.arch,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: tars.map(({ digest }) => digest) },
    ...more,
  });
  const manifest = addJson({
    schemaVersion: 2,
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...image },
    layers: tars,
  });
  writeFileSync(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const entry = { mediaType: "application/vnd.oci.image.manifest.v1+json", ...manifest };
  writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  return layout;
}

function tarOf(directory: string): Buffer {
  const made = spawnSync("tar", ["--sort=name", "--numeric-owner", "-C", directory, "-c", "."], {
    maxBuffer: 256 * 1024 * 1024,
  });
  if (made.status !== 0) throw new Error(`tar: ${made.stderr}`);
  return made.stdout;
}
