/** The same with the root file systems of two distributions: a shell on a terminal, limits that bite, privileges that are gone. */

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

/** A Debian root file system, made by debootstrap once per checkout. */
function debian(): { path?: string; reason: string } {
  const path = resolve(__dirname, "../../build/debian-rootfs");
  if (existsSync(join(path, "etc/debian_version"))) return { path, reason: "" };
  const made = spawnSync("bash", [resolve(__dirname, "../debian-rootfs"), path], { encoding: "utf8" });
  return made.status === 0 ? { path, reason: "" } : { reason: `debootstrap: ${made.stderr.slice(-300)}` };
}

const roots: Record<string, (config: Config) => void> = {
  busybox: () => {},
  Debian: (config) => {
    const { path, reason } = debian();
    if (path === undefined) throw new Error(reason);
    config.root.path = path;
    config.process.env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"];
  },
};

describe.each(Object.keys(roots))("a %s container", (name) => {
  const root = roots[name] as (config: Config) => void;

  test("an interactive shell through a console socket", async () => {
    const socket = join(box.work, `console-${name}`);
    const typed = "tty; stty size; echo sum $((20+22)); ps -e; exit 3\n";
    const receiver = spawn("python3", [resolve(__dirname, "../console.py"), socket, typed]);
    let said = "";
    receiver.stdout.on("data", (data) => {
      said += data;
    });
    const end = new Promise((done) => receiver.on("close", done));
    while (!said.includes("listening")) await new Promise((done) => setTimeout(done, 10));
    const bundle = box.bundle(["sh", "-i"], (config) => {
      root(config);
      config.process.terminal = true;
      config.process.consoleSize = { height: 33, width: 99 };
    });
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", bundle, "--console-socket", socket, id]);
    await end;
    expect(said).toMatch(/name \/dev\/pts\/0/);
    expect(said).toMatch(/\/dev\/(pts\/0|console)/);
    expect(said).toContain("33 99");
    expect(said).toContain("sum 42");
    // ps sees the shell and itself.
    const seen = said
      .slice(said.indexOf("PID"))
      .split("\n")
      .filter((line) => /^\s*\d+ /.test(line));
    expect(seen.length).toBeLessThanOrEqual(3);
    expect(seen[0]).toMatch(/^\s*1 .*sh/);
    waitFor("the shell's end", () => box.state(id).status === "stopped");
    box.ok(["delete", id]);
  }, 120_000);

  test("a memory hog is killed at its limit", () => {
    const result = box.container(
      ["sh", "-c", "head -c 200000000 /dev/zero | tail >/dev/null; echo status $?"],
      (config) => {
        root(config);
        config.linux.resources = { ...config.linux.resources, memory: { limit: 50_000_000, swap: 50_000_000 } };
      },
    );
    expect(result.stdout).toContain("status 137");
  });

  test("chown is refused without CAP_CHOWN, and allowed with it", () => {
    const chown = (capabilities: string[]) =>
      box.container("touch /tmp/file && chown 1:1 /tmp/file", (config) => {
        root(config);
        config.root.readonly = true;
        config.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs" });
        config.process.capabilities = Object.fromEntries(
          ["bounding", "effective", "permitted"].map((set) => [set, capabilities]),
        );
      });
    expect(chown(["CAP_KILL"])).toMatchObject({ stderr: expect.stringMatching(/Operation not permitted/) });
    expect(chown(["CAP_KILL"]).status).not.toBe(0);
    expect(chown(["CAP_CHOWN"])).toMatchObject({ status: 0 });
  });

  test("ps sees only itself, the hostname is its own, the root is read-only", () => {
    const host = readFileSync("/proc/sys/kernel/hostname", "utf8");
    const result = box.container("ps -e; hostname; touch /file", (config) => {
      root(config);
      config.root.readonly = true;
      config.hostname = "tsrun-distribution";
    });
    expect(result.stdout.split("\n").filter((line) => /^\s*\d+ /.test(line)).length).toBeLessThanOrEqual(2);
    expect(result.stdout).toContain("tsrun-distribution");
    expect(result.stderr).toMatch(/Read-only file system/);
    expect(readFileSync("/proc/sys/kernel/hostname", "utf8")).toBe(host);
  });
});
