// How the project gets into the guest: a disk with all it needs, each file at the path it has here.
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { GuestError, here, project, run } from "./common.mjs";
import { machine } from "./guest.mjs";

/** The paths to put on the disk, the folders that the guest mounts from it, and the Node that tsrun was built for. */
export function projectPaths() {
  const nodePath = join(project, "dist/node-path");
  if (!existsSync(nodePath)) throw new GuestError("the project is not built: npm run build");
  const node = readFileSync(nodePath, "utf8").trim();
  const paths = readdirSync(project)
    .filter((name) => ![".git", "build"].includes(name))
    .map((name) => join(project, name));
  paths.push(...["tsrun.node", "tsrun-init"].map((name) => join(project, "build/Release", name)));
  // The tests make it on demand, which takes a network.
  const debian = join(project, "build/debian-rootfs");
  if (!existsSync(debian)) run("bash", [join(project, "conformance-tests/debian-rootfs"), debian]);
  paths.push(debian);
  // Likewise, for a machine that runs it: `buildOci` is called before.
  const oci = join(project, "build/oci");
  if (existsSync(join(oci, "suite"))) {
    paths.push(
      ...readdirSync(oci, { withFileTypes: true })
        .filter(isStampOrLink)
        .map(({ name }) => join(oci, name)),
    );
    const suite = realpathSync(join(oci, "suite"));
    const wanted = readdirSync(suite).filter((name) => name === "validation" || /^(runtimetest$|rootfs-)/.test(name));
    paths.push(...wanted.map((name) => join(suite, name)));
  }
  const mounts = [project];
  // In a checkout that shares them, the packages are elsewhere, and Node may be the machine's own.
  for (const [path, folder] of [
    [realpathSync(join(project, "node_modules")), realpathSync(join(project, "node_modules"))],
    [realpathSync(node), dirname(realpathSync(node))],
  ]) {
    if (mounts.some((mount) => path.startsWith(`${mount}/`))) continue;
    paths.push(path);
    mounts.push(folder);
  }
  return { paths, mounts, node };
}

const isStampOrLink = (entry) => entry.isSymbolicLink() || entry.name.startsWith("built-");

/** Builds the programs of the OCI validation suite where they are missing. */
export const buildOci = () => run("bash", [join(project, "conformance-tests/oci/build"), join(project, "build/oci")]);

/** Makes the disk as `project.ext4` in `directory`. */
export function makeProjectDisk(directory, paths) {
  const disk = join(directory, "project.ext4");
  const stage = join(directory, "stage");
  mkdirSync(stage);
  run("unshare", [
    "--mount",
    "bash",
    join(here, "project-disk"),
    disk,
    String(machine.projectDiskBytes),
    stage,
    ...paths,
  ]);
  return disk;
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The script for the guest's agent: the project in its place, then `command` (arguments, or bash text). */
export function guestScript({ mounts, node }, command) {
  return [
    `VM_TIME=${(Date.now() / 1000).toFixed(3)}`,
    `VM_MOUNTS=(${mounts.map(quote).join(" ")})`,
    `export VM_PROJECT=${quote(project)} VM_NODE=${quote(node)}`,
    readFileSync(join(here, "prepare"), "utf8"),
    typeof command === "string" ? command : `exec ${command.map(quote).join(" ")}`,
    "",
  ].join("\n");
}
