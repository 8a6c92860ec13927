/** What tsrun unpacks, compared file by file, metadata included, with what tar and umoci make of the same. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun, RUNTIME } from "../harness.ts";
import { hasTools, makeLayout, makeTree, run } from "./layouts.ts";
import { differences, type Tree, treeOf } from "./tree.ts";

// skipped: peers unpack nothing; without umoci and skopeo there is nothing to compare with
const here = isTsrun && hasTools ? describe : describe.skip;

let work: string;
let count = 0;
beforeAll(() => {
  work = mkdtempSync("/tmp/tsrun-test-");
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

function tsrun(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(RUNTIME, ["unpack", "--store", join(work, "store"), ...args], { encoding: "utf8" });
}

/** The tree that tsrun makes of a source. */
function unpacked(source: string, ...options: string[]): Tree {
  const target = join(work, `target-${count++}`);
  const { status, stderr } = tsrun("--quiet", ...options, source, target);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const tree = treeOf(target);
  rmSync(target, { recursive: true });
  return tree;
}

here("a root file system", () => {
  let from: string;
  beforeAll(() => {
    from = join(work, "from");
    makeTree(from);
  });
  const tar = (name: string, ...options: string[]): string => {
    const path = join(work, name);
    run("tar", "-C", from, "--xattrs", "--xattrs-include=*", "--numeric-owner", ...options, "-cf", path, ".");
    return path;
  };

  test("of a posix archive is the tree itself", () => {
    const tree = treeOf(from);
    expect(Object.keys(tree).length).toBeGreaterThan(320);
    expect(differences(tree, unpacked(tar("posix.tar", "--format=posix")))).toEqual([]);
    expect(differences(tree, unpacked(tar("sparse.tar", "--format=posix", "--sparse")))).toEqual([]);
  });

  test.each(["gnu", "oldgnu"])("of an archive in format %s is what tar makes of it", (format) => {
    const path = join(work, `${format}.tar`);
    run("tar", "-C", from, "--numeric-owner", "--sparse", `--format=${format}`, "-cf", path, ".");
    const target = join(work, `by-tar-${format}`);
    mkdirSync(target);
    run("tar", "-C", target, "--numeric-owner", "-xpf", path);
    expect(differences(treeOf(target), unpacked(path))).toEqual([]);
  });

  test.each([
    ["gz", "gzip -c"],
    ["zst", "zstd -qc"],
    ["xz", "xz -1c"],
    ["bz2", "bzip2 -1c"],
  ])("compressed (%s), whatever its name", (name, compress) => {
    const path = join(work, `compressed.${name}.bin`);
    execFileSync("sh", ["-c", `${compress} < ${tar("plain.tar", "--format=posix")} > ${path}`]);
    expect(differences(treeOf(from), unpacked(path))).toEqual([]);
  });

  test("as another user: the caller's, without devices and set-id bits", () => {
    const path = tar("user.tar", "--format=posix");
    const home = join(work, "home");
    mkdirSync(home);
    execFileSync("chown", ["65534:65534", home]);
    execFileSync("chmod", ["755", work]);
    const args = [
      "--reuid",
      "65534",
      "--regid",
      "65534",
      "--clear-groups",
      RUNTIME,
      "unpack",
      "--quiet",
      "--store",
      join(home, "store"),
      path,
      join(home, "tree"),
    ];
    const { status, stderr } = spawnSync("setpriv", args, { encoding: "utf8" });
    expect(status).toBe(0);
    expect(stderr.trim().split("\n").sort()).toEqual([
      "tsrun: warning: left out: device nodes, which need root",
      "tsrun: warning: left out: file capabilities, which need root",
      "tsrun: warning: left out: set-user-id and set-group-id bits, since owners are not kept",
    ]);
    const tree = treeOf(join(home, "tree")) as Record<string, { mode: string; owner: number[] }>;
    expect(Object.keys(tree).length).toBe(Object.keys(treeOf(from)).length - 2);
    expect(Object.values(tree).every(({ owner }) => owner.join() === "65534,65534")).toBe(true);
    expect(tree["bin/busybox"]?.mode).toBe("0o100755");
    expect(tree["etc/deep/er"]?.mode).toBe("0o40000");
  });
});

here("an image", () => {
  let layout: string;
  let wanted: Tree;
  beforeAll(() => {
    layout = makeLayout(work, "latest");
    const bundle = join(work, "by-umoci");
    run("umoci", "unpack", "--image", `${layout}:latest`, bundle);
    wanted = treeOf(join(bundle, "rootfs"));
  }, 120_000);

  test("in an OCI layout is what umoci makes of it", () => {
    expect(Object.keys(wanted).length).toBeGreaterThan(300);
    expect(differences(wanted, unpacked(layout))).toEqual([]);
    expect(differences(wanted, unpacked(layout, "--reference", "latest"))).toEqual([]);
  });

  test.each([
    ["a tar archive of a layout", "oci-archive:", "x:1"],
    ["a docker archive", "docker-archive:", "example.org/x:1"],
    ["a layout with zstd layers", "--dest-compress-format=zstd oci:", "x:1"],
  ])("as %s", (_, destination, reference) => {
    const path = join(work, `image-${count++}`);
    const options = destination.split(" ");
    const transport = options.pop() as string;
    const full = `${transport}${path}${reference === "" ? "" : `:${reference}`}`;
    run("skopeo", "--insecure-policy", "copy", ...options, `oci:${layout}:latest`, full);
    expect(differences(wanted, unpacked(path))).toEqual([]);
    if (transport !== "docker-archive:") return;
    // As somebody may store it, and as docker load takes it.
    execFileSync("gzip", [path]);
    expect(differences(wanted, unpacked(`${path}.gz`))).toEqual([]);
    run("mkdir", `${path}.d`);
    run("tar", "-C", `${path}.d`, "-xzf", `${path}.gz`);
    expect(differences(wanted, unpacked(`${path}.d`))).toEqual([]);
  });

  test("as layers in the store, seen through overlayfs, is the same", () => {
    const { status, stdout, stderr } = tsrun("--quiet", layout);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const layers = stdout.trim().split("\n");
    expect(layers).toHaveLength(3);
    const target = join(work, "overlay");
    mkdirSync(target);
    run("mount", "-t", "overlay", "overlay", "-o", `lowerdir=${[...layers].reverse().join(":")}`, target);
    try {
      expect(differences(wanted, treeOf(target))).toEqual([]);
    } finally {
      run("umount", target);
    }
    // The second time everything is there.
    expect(tsrun(layout)).toEqual(
      expect.objectContaining({ status: 0, stdout, stderr: expect.stringMatching(/^([0-9a-f]{12}: reused\n){3}$/) }),
    );
  });

  test("of several: by name, by digest; none and a wrong one say which there are", () => {
    run("umoci", "tag", "--image", `${layout}:latest`, "second");
    const index = JSON.parse(run("cat", join(layout, "index.json")));
    const other = join(work, "several");
    run("cp", "-r", layout, other);
    index.manifests[1].digest = `sha256:${"1".repeat(64)}`;
    writeFileSync(join(other, "index.json"), JSON.stringify(index));
    expect(tsrun(other, join(work, "none"))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("--reference: latest, second"),
    });
    expect(tsrun("--reference", "third", other, join(work, "none"))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("latest, second"),
    });
    expect(differences(wanted, unpacked(other, "--reference", index.manifests[0].digest))).toEqual([]);
    run("umoci", "rm", "--image", `${layout}:second`);
  });

  test("a terminal gets bars, everything else lines", () => {
    const target = join(work, "bars");
    const command = `${RUNTIME} unpack --store ${join(work, "store")} ${layout} ${target}`;
    const onTerminal = run("script", "-qec", command, "/dev/null");
    expect(onTerminal).toContain("\x1b[");
    expect(onTerminal).toMatch(/[0-9a-f]{12} unpacked/);
    expect(readdirSync(target)).toContain("bin");
  });
});
