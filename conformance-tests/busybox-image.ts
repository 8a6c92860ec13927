/** An image with Debian's static busybox, made here, since the tests reach no registry. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { busyboxTree } from "./harness.ts";

export const IMAGE = "localhost/tsrun-test:latest";

const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Writes an OCI image layout, packed as a tar archive, to `archive`; `work` is an empty folder that it may fill. */
export function writeBusyboxImage(work: string, archive: string): void {
  const layout = join(work, "layout");
  const blobs = join(layout, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  const tree = busyboxTree(join(work, "tree"));
  const tar = run("tar", [
    "--sort=name",
    "--mtime=@0",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "-C",
    tree,
    "-c",
    ".",
  ]);
  const layer = addBlob(blobs, gzipSync(tar));
  const config = addBlob(
    blobs,
    json({
      created: "1970-01-01T00:00:00Z",
      architecture: architectures[process.arch] ?? process.arch,
      os: "linux",
      // Sleeps as pid 1 until it is told to end, which the kernel does not do by default.
      config: {
        Env: ["PATH=/bin:/sbin"],
        Cmd: ["sh", "-c", "trap exit TERM INT; while :; do sleep 1000 & wait; done"],
        WorkingDir: "/",
      },
      rootfs: { type: "layers", diff_ids: [digest(tar)] },
      history: [{ created: "1970-01-01T00:00:00Z", created_by: "busybox" }],
    }),
  );
  const manifest = addBlob(
    blobs,
    json({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
      layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", ...layer }],
    }),
  );
  writeFileSync(join(layout, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(
    join(layout, "index.json"),
    json({
      schemaVersion: 2,
      manifests: [
        {
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          ...manifest,
          // containerd reads the one name, podman the other.
          annotations: { "io.containerd.image.name": IMAGE, "org.opencontainers.image.ref.name": IMAGE },
        },
      ],
    }),
  );
  writeFileSync(archive, run("tar", ["-C", layout, "-c", "oci-layout", "index.json", "blobs"]));
  rmSync(work, { recursive: true });
}

function addBlob(folder: string, content: Buffer): { readonly digest: string; readonly size: number } {
  const name = digest(content);
  writeFileSync(join(folder, name.slice("sha256:".length)), content);
  return { digest: name, size: content.length };
}

function digest(content: Buffer): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function run(program: string, args: readonly string[]): Buffer {
  const ended = spawnSync(program, args, { maxBuffer: 256 * 1024 * 1024 });
  if (ended.status !== 0) throw new Error(`${program}: ${ended.error?.message ?? ended.stderr}`);
  return ended.stdout;
}
