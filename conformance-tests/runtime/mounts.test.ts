/** Root, mounts, devices and paths as a user of the command line sees them. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, isTsrun, type Result, RUNTIME, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const onTsrun = isTsrun ? test : test.skip; // skipped: only tsrun promises it
const withoutNamespace = (config: Config, type: string): void => {
  config.linux.namespaces = config.linux.namespaces.filter((each: { type: string }) => each.type !== type);
};

test("mode= and size= on a bind mean nothing, and are no error", () => {
  const source = join(box.work, "bind-source");
  mkdirSync(source);
  writeFileSync(join(source, "file"), "content");
  const { stdout, stderr } = box.container("cat /data/file", (config) => {
    config.mounts.push({ destination: "/data", type: "bind", source, options: ["bind", "mode=755", "size=1k"] });
  });
  expect(stderr).toBe("");
  expect(stdout).toBe("content");
});

onTsrun("a mount that fails is named: step, operation, path, errno, the kernel's words", () => {
  const at = (mount: object): string =>
    box.container("true", (config) => {
      config.mounts.push(mount);
    }).stderr;
  expect(at({ destination: "/x", type: "bind", source: "/no/such/source", options: ["bind"] })).toMatch(
    /mount\.bind.*open_tree.*\/no\/such\/source.*ENOENT/,
  );
  expect(at({ destination: "/x", type: "tmpfs", source: "tmpfs", options: ["no-such-option"] })).toMatch(
    /mount\.filesystem.*fsconfig.*no-such-option.*EINVAL/,
  );
  expect(at({ destination: "/proc/self", type: "tmpfs", source: "tmpfs" })).toMatch(
    /\/mounts\/\d+: \/proc\/self is inside \/proc/,
  );
});

describe("without a mount namespace", () => {
  const edit = (config: Config): void => {
    withoutNamespace(config, "mount");
    config.root.readonly = false;
    config.linux.maskedPaths = [];
    config.linux.readonlyPaths = [];
    config.mounts = [{ destination: "/proc", type: "proc", source: "proc" }];
  };

  // The sandbox's own check fails when a mount is left.
  onTsrun("the container has its mounts, and delete takes them off the host", () => {
    const { stdout, status } = box.container("ls /proc/self/status; ls /..", edit);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\/proc\/self\/status\nbin\n/);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(box.work);
  });

  onTsrun("a create that fails leaves none", () => {
    const id = box.id();
    const bundle = box.bundle(["/no/such/program"], edit);
    expect(box.run(["create", "--bundle", bundle, id]).status).toBe(1);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(box.work);
  });
});

describe("rootless", () => {
  const UID = 61_234;
  const as = (...args: string[]) =>
    spawnSync("setpriv", ["--reuid", `${UID}`, "--regid", `${UID}`, "--clear-groups", "--inh-caps=-all", ...args], {
      encoding: "utf8",
      env: { PATH: process.env.PATH },
    });
  const reachable = as("test", "-x", RUNTIME).status === 0;
  // skipped: the runtime lies where another user cannot reach it
  const onRootless = isTsrun && reachable ? test : test.skip;

  const run = (script: string, edit: (config: Config) => void = () => {}): Result => {
    const state = join(box.work, `rootless-${box.id()}`);
    const bundle = box.bundle(script, (config) => {
      const mapping = [{ containerID: 0, hostID: UID, size: 1 }];
      config.linux.namespaces.push({ type: "user" });
      config.linux.uidMappings = mapping;
      config.linux.gidMappings = mapping;
      config.linux.resources = undefined;
      config.linux.cgroupsPath = undefined;
      config.mounts = config.mounts.map((mount: { options?: string[] }) => ({
        ...mount,
        // gid 5 is not mapped.
        options: mount.options?.filter((option) => !option.startsWith("gid=")),
      }));
      edit(config);
    });
    mkdirSync(state);
    spawnSync("chown", ["-R", `${UID}:${UID}`, bundle, state]);
    const { status, stdout, stderr } = as(RUNTIME, "--root", state, "run", "--bundle", bundle, box.id());
    return { status, stdout, stderr };
  };

  onRootless("the default mounts and devices are there, and masks hold", () => {
    const { stdout, status } = run(
      "id -u; echo >/dev/null && echo null; test -c /dev/pts/ptmx && echo pts; echo 1 >/proc/sys/kernel/panic",
    );
    expect(status).toBe(1);
    expect(stdout).toBe("0\nnull\npts\n");
  });

  // A user namespace locks what its creator's mounts have: changing it is an error, keeping it none.
  onRootless("a bind keeps the attributes of its source that no option names", () => {
    const source = join(box.work, "locked");
    mkdirSync(source);
    spawnSync("mount", ["-t", "tmpfs", "-o", "nosuid,nodev,noatime,mode=777", "tmpfs", source]);
    try {
      const bind = (...options: string[]) =>
        run("grep ' /data ' /proc/self/mountinfo", (config) => {
          config.mounts.push({ destination: "/data", type: "bind", source, options: ["bind", ...options] });
        });
      expect(bind("ro").stdout.split(" ")[5]).toBe("ro,nosuid,nodev,noatime");
      expect(bind("suid")).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/\b(?:mount_setattr|mount) .*EPERM.*\n.*locked/),
      });
    } finally {
      expect(spawnSync("umount", [source]).status).toBe(0);
    }
  });

  // CVE-2023-25809: below a bind of the host's /sys lies its cgroup file system.
  onRootless("the host's cgroups are neither to be seen nor to be written", () => {
    const { stdout, stderr } = run(
      "ls -A /sys/fs/cgroup; mkdir /sys/fs/cgroup/made; find /sys/fs/cgroup -name cgroup.procs",
      (config) => {
        config.mounts = config.mounts.filter(({ destination }: { destination: string }) => !/^\/sys/.test(destination));
        config.mounts.push(
          { destination: "/sys", type: "none", source: "/sys", options: ["rbind", "nosuid", "noexec", "nodev", "ro"] },
          { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev"] },
        );
      },
    );
    if (existsSync("/sys/fs/cgroup/cgroup.controllers")) {
      // The cgroup namespace's: the caller's own cgroup, which is not the user's to change.
      expect(stdout).not.toContain(".slice");
      expect(stderr).toContain("Permission denied");
    } else {
      expect(stdout).toBe("");
      expect(stderr).toContain("Read-only file system");
    }
  });
});
