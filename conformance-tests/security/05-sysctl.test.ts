/**
 * Row 5 of docs/security.md (CVE-2019-16884, CVE-2025-52881): a write to /proc is redirected by what the image has there, or
 * reaches the host because a namespace of "the container's" is the host's own.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type Config, isTsrun, RUNTIME, Sandbox } from "../harness.ts";

let box: Sandbox;
/** A file of the host's that the write must not reach. */
let victim: string;
beforeAll(() => {
  box = new Sandbox();
  victim = join(box.work, "victim");
  writeFileSync(victim, "untouched");
});
afterAll(() => box.close());

const KEY = "net.ipv4.conf.lo.forwarding";
const FILE = "proc/sys/net/ipv4/conf/lo/forwarding";

test.each<[string, (rootfs: string) => string]>([
  ["a file", (rootfs) => `mkdir -p $(dirname ${rootfs}/${FILE}) && printf untouched >${rootfs}/${FILE}`],
  [
    "a link to a file of the host's",
    (rootfs) => `mkdir -p $(dirname ${rootfs}/${FILE}) && ln -s ${victim} ${rootfs}/${FILE}`,
  ],
  ["a directory that is a link", (rootfs) => `ln -s ../../../../../../../../${box.work} ${rootfs}/proc/sys`],
])("with %s in place of the sysctl, and no procfs mounted, the kernel's own is written", (_, make) => {
  const bundle = box.bundle(
    "mkdir /tmp/p && mount -t proc proc /tmp/p && cat /tmp/p/sys/net/ipv4/conf/lo/forwarding",
    (config: Config, at) => {
      config.mounts = config.mounts.filter(({ destination }: { destination: string }) => destination !== "/proc");
      config.linux.maskedPaths = [];
      config.linux.readonlyPaths = [];
      config.linux.sysctl = { [KEY]: "1" };
      config.root.readonly = false;
      for (const set of ["bounding", "effective", "permitted"]) config.process.capabilities[set].push("CAP_SYS_ADMIN");
      mkdirSync(join(at, "rootfs/proc"), { recursive: true });
      expect(spawnSync("sh", ["-c", make(join(at, "rootfs"))]).status).toBe(0);
    },
  );
  const { stdout, stderr } = box.run(["run", "--bundle", bundle, box.id()]);
  expect({ stdout, stderr }).toEqual({ stdout: "1\n", stderr: "" });
  expect(readFileSync(victim, "utf8")).toBe("untouched");
  if (_ === "a file") expect(readFileSync(join(bundle, "rootfs", FILE), "utf8")).toBe("untouched");
});

const onTsrun = isTsrun ? test : test.skip; // skipped: of these runc refuses the sysctl only
/** Each would write what is there already: nothing changes where the attack succeeds. */
onTsrun.each<[string, string, (config: Config) => void]>([
  [
    "a sysctl",
    "network",
    (config) => {
      config.linux.sysctl = { [KEY]: readFileSync(`/${FILE}`, "utf8").trim() };
    },
  ],
  ["a host name", "uts", (config) => (config.hostname = hostname())],
  [
    "a root",
    "mount",
    (config) => {
      // Or the attack's pivot_root would move the machine's root: in the copy that unshare makes it is the copy's.
      config.linux.maskedPaths = config.linux.readonlyPaths = [];
    },
  ],
])("%s is not set in a %s namespace that is the host's own by path", (_, type, edit) => {
  const bundle = box.bundle("true", (config) => {
    delete config.hostname;
    config.mounts = config.mounts.filter(({ type }: { type: string }) => type !== "sysfs");
    const file = { network: "net", uts: "uts", mount: "mnt" }[type];
    config.linux.namespaces.find((each: { type: string }) => each.type === type).path = `/proc/self/ns/${file}`;
    edit(config);
  });
  const result = spawnSync(
    "unshare",
    ["--mount", "--propagation", "private", RUNTIME, "--root", box.root, "run", "--bundle", bundle, box.id()],
    { encoding: "utf8", env: { PATH: process.env.PATH } },
  );
  expect(result).toMatchObject({ status: 1, stdout: "" });
  expect(result.stderr).toContain("it is the host's own namespace");
});
