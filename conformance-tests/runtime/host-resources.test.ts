/** What of the host goes into a container, as a user of the command line sees it: network devices, files with other owners. */
import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Config, isTsrun, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const onTsrun = isTsrun ? test : test.skip; // skipped: peers of this age do not know it

describe("network devices", () => {
  const device = `tsrh${process.pid % 100_000}`;
  const peer = `tsrq${process.pid % 100_000}`;
  const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });
  const exists = (name: string): boolean =>
    ip("-br", "link")
      .split("\n")
      .some((line) => line.split(/[@ ]/)[0] === name);
  /** The kernel ends a network namespace, and what is in it, some time after its last process. */
  const removePair = (): void => {
    while (exists(peer) || exists(device)) spawnSync("ip", ["link", "del", exists(peer) ? peer : device]);
  };
  beforeEach(() => {
    removePair();
    ip("link", "add", device, "type", "veth", "peer", "name", peer);
    ip("addr", "add", "198.51.100.7/24", "dev", device);
    ip("link", "set", device, "up");
  });
  afterEach(removePair);

  onTsrun("are in the container with their addresses, and a createRuntime hook finds them there", () => {
    const seen = join(box.work, "seen");
    const { stdout, status } = box.container("ip -o addr show dev net0", (config, bundle) => {
      const hook = join(bundle, "hook");
      writeFileSync(
        hook,
        `#!/bin/sh\npid=$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/')\nnsenter -t $pid -n ip -o addr show dev net0 >${seen}\n`,
        { mode: 0o755 },
      );
      config.hooks = { createRuntime: [{ path: hook, env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] }] };
      config.linux.netDevices = { [device]: { name: "net0" } };
    });
    expect(status).toBe(0);
    expect(stdout).toContain("198.51.100.7/24");
    expect(readFileSync(seen, "utf8")).toContain("198.51.100.7/24");
    expect(exists(device)).toBe(false);
  });

  onTsrun("are back, up and with their addresses, after a create that failed, and the error is the failure's", () => {
    const before = ip("-br", "addr", "show", device);
    const routes = ip("route", "show", "dev", device);
    const edit = (config: Config): void => {
      config.linux.netDevices = { [device]: { name: "net%d" } };
    };
    for (const program of [["/no/such/program"], ["true"]]) {
      const { status, stderr } = box.container(program, (config) => {
        edit(config);
        if (program[0] === "true") config.hooks = { createRuntime: [{ path: "/bin/false" }] };
      });
      expect(status).toBe(1);
      expect(stderr).toMatch(/no such file or directory|createRuntime hook/);
      expect(ip("-br", "addr", "show", device)).toBe(before);
      expect(ip("route", "show", "dev", device)).toBe(routes);
    }
  });

  onTsrun("that are not there, or whose name is taken, are errors that name them", () => {
    const at = (netDevices: object) =>
      box.container("true", (config) => {
        config.linux.netDevices = netDevices;
      }).stderr;
    expect(at({ "no-such-dev": {} })).toMatch(/net\.moveDevice: rtnetlink no-such-dev: ENODEV.*\n.*ip link/);
    expect(at({ [device]: { name: "lo" } })).toMatch(
      /net\.moveDevice: rtnetlink lo: EEXIST.*there is a device of that name/,
    );
    expect(exists(device)).toBe(true);
  });

  onTsrun("without a network namespace are refused before anything is made", () => {
    const { stderr, status } = box.container("true", (config) => {
      config.linux.namespaces = config.linux.namespaces.filter(({ type }: { type: string }) => type !== "network");
      config.linux.netDevices = { [device]: {} };
    });
    expect(status).toBe(1);
    expect(stderr).toContain(`/linux/netDevices/${device}`);
  });
});

describe("id-mapped mounts", () => {
  const withUser = (config: Config): void => {
    const mapping = [{ containerID: 0, hostID: 300_000, size: 65_536 }];
    config.linux.namespaces.push({ type: "user" });
    config.linux.uidMappings = mapping;
    config.linux.gidMappings = mapping;
    config.root.readonly = false;
  };
  const volume = (): string => {
    const path = join(box.work, `volume-${box.id()}`);
    mkdirSync(path);
    writeFileSync(join(path, "file"), "content");
    chownSync(join(path, "file"), 12, 34);
    return path;
  };

  onTsrun("show the owners of the volume inside, and what is made belongs to them outside", () => {
    const source = volume();
    const bundle = box.bundle("stat -c %u:%g /data/file; echo x >/data/made && stat -c %u:%g /data/made", (config) => {
      withUser(config);
      config.mounts.push({ destination: "/data", type: "bind", source, options: ["bind", "idmap"] });
    });
    execFileSync("chown", ["-R", "300000:300000", bundle]);
    const { stdout, stderr, status } = box.run(["run", "--bundle", bundle, box.id()]);
    expect({ stdout, stderr, status }).toEqual({ stdout: "12:34\n0:0\n", stderr: "", status: 0 });
    expect(statSync(join(source, "made"))).toMatchObject({ uid: 0, gid: 0 });
  });

  onTsrun("by the mount's own mappings need no user namespace", () => {
    const source = volume();
    const { stdout } = box.container("stat -c %u:%g /data/file; touch /data/file && echo written", (config) => {
      config.mounts.push({
        destination: "/data",
        type: "bind",
        source,
        options: ["bind", "ro"],
        uidMappings: [{ containerID: 12, hostID: 0, size: 1 }],
        gidMappings: [{ containerID: 34, hostID: 5, size: 1 }],
      });
    });
    expect(stdout).toBe("0:5\n");
  });

  onTsrun("that cannot be are errors with a reason", () => {
    const at = (mount: object) =>
      box.container("true", (config) => {
        config.mounts.push({
          destination: "/data",
          type: "bind",
          source: "/proc",
          options: ["bind", "idmap"],
          ...mount,
        });
      }).stderr;
    expect(at({})).toMatch(/\/mounts\/\d+\/options: idmap has no mapping/);
    const ids = [{ containerID: 0, hostID: 1, size: 1 }];
    expect(at({ uidMappings: ids, gidMappings: ids })).toMatch(
      /mount\.idmap.*EINVAL.*\n.*the file system of the source/,
    );
  });
});

onTsrun("intelRdt without resctrl is refused before anything is made", () => {
  const { stderr, status } = box.container("true", (config) => {
    config.linux.intelRdt = { closID: "gold" };
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/\/linux\/intelRdt: no resctrl file system is mounted/);
});
