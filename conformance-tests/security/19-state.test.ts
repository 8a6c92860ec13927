/** Row 19 of docs/security.md (CVE-2024-25621, CVE-2021-41103): state directories that others may enter. */
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { isTsrun, RUNTIME, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const onTsrun = isTsrun ? test : test.skip; // skipped: peers make their directories 0711, which lets others pass
/** Every file below a directory with the bits that it gives to group and others. */
const open = (path: string): string[] =>
  [path, ...readdirSync(path, { recursive: true, encoding: "utf8" }).map((name) => join(path, name))]
    .filter((each) => (statSync(each).mode & 0o077) !== 0 && statSync(each).isDirectory())
    .map((each) => `${(statSync(each).mode & 0o777).toString(8)} ${each}`);
/** As a user who has nothing to do with it. */
const asNobody = (...command: string[]) =>
  spawnSync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", ...command], { encoding: "utf8" });

onTsrun("are made for the owner alone, whatever the umask, parents included", () => {
  const root = join(box.work, "deep", "state");
  const id = box.id();
  const bundle = box.bundle("sleep 1000", (config) => delete config.linux.cgroupsPath);
  const tsrun = (...args: string[]) =>
    spawnSync("sh", ["-c", 'umask 000; exec "$@"', "sh", RUNTIME, "--root", root, ...args], {
      encoding: "utf8",
      stdio: "ignore",
    });
  expect(tsrun("create", "--bundle", bundle, id).status).toBe(0);
  try {
    expect(open(join(box.work, "deep"))).toEqual([]);
    for (const path of [root, join(root, id), join(root, id, "state.json"), join(root, id, "config.json")])
      expect(asNobody("sh", "-c", 'test -r "$1" || test -w "$1" || test -x "$1"', "sh", path).status).not.toBe(0);
    expect(tsrun("start", id).status).toBe(0);
    expect(open(join(box.work, "deep"))).toEqual([]);
  } finally {
    tsrun("delete", "--force", id);
  }
});

onTsrun("a container's own is closed even where the root is open to all", () => {
  const root = join(box.work, "open");
  mkdirSync(root);
  chmodSync(root, 0o1777);
  const id = box.id();
  const tsrun = (...args: string[]) =>
    spawnSync(RUNTIME, ["--root", root, ...args], { encoding: "utf8", stdio: "ignore" });
  expect(
    tsrun(
      "create",
      "--bundle",
      box.bundle("sleep 1000", (config) => delete config.linux.cgroupsPath),
      id,
    ).status,
  ).toBe(0);
  expect(statSync(join(root, id)).mode & 0o777).toBe(0o700);
  expect(asNobody("ls", join(root, id)).status).not.toBe(0);
  expect(asNobody("mv", join(root, id), join(root, "mine")).status).not.toBe(0);
  tsrun("delete", "--force", id);
  expect(existsSync(join(root, id))).toBe(false);
  rmSync(root, { recursive: true });
});

onTsrun("what another user has put into a root that is open to all is not believed", () => {
  const root = join(box.work, "believed");
  mkdirSync(root);
  chmodSync(root, 0o1777);
  const tsrun = (...args: string[]) =>
    spawnSync(RUNTIME, ["--root", root, ...args], { encoding: "utf8", env: { PATH: process.env.PATH } });
  const id = box.id();
  const mark = join(box.work, "hook-ran");
  const bundle = box.bundle("true", (config) => {
    delete config.linux.cgroupsPath;
    config.hooks = { poststop: [{ path: "/bin/sh", args: ["sh", "-c", `touch ${mark}`] }] };
  });
  // What a container leaves that has ended; and the same as nobody's, as if its init were a process of ours.
  expect(spawnSync(RUNTIME, ["--root", root, "create", "--bundle", bundle, id], { stdio: "ignore" }).status).toBe(0);
  const ours = spawn("sleep", ["1000"], { stdio: "ignore" });
  try {
    const record = JSON.parse(readFileSync(join(root, id, "state.json"), "utf8"));
    const stat = readFileSync(`/proc/${ours.pid}/stat`, "utf8").replace(/^.*\) /s, "");
    const init = { pid: ours.pid, startTime: stat.split(" ")[19] };
    const forged = box.id();
    const files = {
      "state.json": JSON.stringify({ ...record, id: forged, init, cgroups: [] }),
      "config.json": readFileSync(join(root, id, "config.json"), "utf8"),
      journal: "",
    };
    const gone = "@gone-1-1-mine";
    expect(asNobody("mkdir", join(root, forged), join(root, gone)).status).toBe(0);
    for (const [name, text] of Object.entries(files))
      expect(asNobody("sh", "-c", 'printf %s "$2" >"$1"', "sh", join(root, forged, name), text).status).toBe(0);
    for (const verb of [["state"], ["kill"], ["delete"], ["delete", "--force"], ["exec"]]) {
      const { status, stderr } = tsrun(...verb, forged, ...(verb[0] === "exec" ? ["true"] : []));
      expect({ verb, status }).not.toMatchObject({ status: 0 });
      expect(stderr).toContain("is not believed: it belongs to the user 65534");
    }
    expect(tsrun("gc")).toMatchObject({ status: 0, stdout: "", stderr: expect.stringContaining("is not believed") });
    expect(tsrun("list", "--quiet").stdout).toBe(`${id}\n`);
    expect(existsSync(join(root, gone))).toBe(true);
    expect(ours.exitCode ?? ours.signalCode).toBeNull();
    expect(existsSync(mark)).toBe(false);
  } finally {
    ours.kill("SIGKILL");
    tsrun("delete", "--force", id);
  }
  expect(existsSync(mark)).toBe(true);
  rmSync(root, { recursive: true });
});
