// The guest's image and the saved states of it, both made once and kept in the cache.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { GuestError, here, note, project, run, Unavailable } from "./common.mjs";
import { Guest, machine } from "./guest.mjs";

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "tsrun-vm");
const images = join(cache, "images");

/** A hash of everything the image is made from. */
function imageKey() {
  const hash = createHash("sha256");
  const files = readdirSync(join(here, "image"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  for (const file of [...files, join(project, "scripts/make-rootfs")].sort())
    hash
      .update(`${relative(project, file)}\0`)
      .update(readFileSync(file))
      .update("\0");
  return hash.digest("hex").slice(0, 16);
}

/** Makes what `path` names once: `make` fills a new folder, which then takes the name, unless another run was faster. */
async function once(path, make) {
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true });
    const fresh = mkdtempSync(`${path}.new-`);
    try {
      await make(fresh);
      renameSync(fresh, path);
    } catch (error) {
      if (!["ENOTEMPTY", "EEXIST"].includes(error.code)) throw error;
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  }
  const now = new Date();
  utimesSync(path, now, now);
  return path;
}

/** Removes images of other inputs that were not used for two weeks, and what killed runs have left. */
function forgetTheOld() {
  const dayMs = 24 * 3600 * 1000;
  const sweep = (folder, ageMs, matches) => {
    if (!existsSync(folder)) return;
    for (const name of readdirSync(folder).filter(matches)) {
      const path = join(folder, name);
      if (Date.now() - statSync(path).mtimeMs > ageMs) rmSync(path, { recursive: true, force: true });
    }
  };
  const unfinished = (name) => name.includes(".new-");
  sweep(images, 14 * dayMs, () => true);
  sweep(images, dayMs, unfinished);
  for (const name of readdirSync(images)) sweep(join(images, name, "states"), dayMs, unfinished);
  sweep(join(cache, "runs"), dayMs, () => true);
}

/** The image's folder. Throws `Unavailable` with the reason where it cannot be made. */
export async function findImage() {
  if (process.getuid() !== 0) throw new Unavailable("making the guest needs root");
  const path = await once(join(images, imageKey()), (fresh) => {
    note("making the guest's image, once");
    const log = join(fresh, "build.log");
    const { status } = spawnSync(
      "bash",
      ["-c", 'set -o pipefail; "$0" "$1" 2>&1 | tee "$2" >&2', join(here, "image/build"), fresh, log],
      { stdio: ["ignore", 2, 2] },
    );
    if (status === 69) throw new Unavailable(readFileSync(log, "utf8").trim().split("\n").at(-1));
    if (status !== 0) throw new GuestError(`image/build: status ${status}`);
  });
  forgetTheOld();
  return path;
}

/** The release of the image's kernel that begins with `prefix`, or of its default one. */
export function findKernel(image, prefix) {
  if (prefix === undefined) return /^kernel=(.*)$/m.exec(readFileSync(join(image, "info"), "utf8"))[1];
  const kernels = readdirSync(image)
    .filter((name) => name.startsWith("vmlinuz-"))
    .map((name) => name.slice("vmlinuz-".length));
  const found = kernels.find((kernel) => kernel.startsWith(prefix));
  if (found === undefined) throw new Unavailable(`the image has no kernel ${prefix}, only ${kernels.join(", ")}`);
  return found;
}

/** A machine that has booted and whose agent waits for a script: the folder of its disk, memory and devices. */
export async function findState({ image, kernel, kernelArguments, deadline }) {
  const key = createHash("sha256")
    .update(JSON.stringify([machine, kernel, kernelArguments]))
    .digest("hex")
    .slice(0, 12);
  return once(join(image, "states", key), async (fresh) => {
    note(`booting ${kernel}, once`);
    const began = Date.now();
    run("cp", ["--sparse=always", "--reflink=auto", join(image, "disk.ext4"), fresh]);
    const projectDisk = join(fresh, "project.ext4");
    writeFileSync(projectDisk, "");
    truncateSync(projectDisk, machine.projectDiskBytes);
    const made = { image, kernel, kernelArguments, state: fresh, boot: true, projectDisk, directory: fresh };
    const guest = await Guest.start(made);
    await guest.within(deadline, async () => {
      await guest.ready();
      await guest.save(fresh);
    });
    rmSync(projectDisk);
    note(`booted in ${Math.round((Date.now() - began) / 1000)} s`);
  });
}

/** A folder for one run. */
export function runDirectory() {
  mkdirSync(join(cache, "runs"), { recursive: true });
  return mkdtempSync(join(cache, "runs/run-"));
}
