import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, hierarchies, isTsrun, RUNTIME, Sandbox, waitFor } from "../harness.ts";
import { host } from "../host.ts";

interface Item {
  readonly section: string;
  readonly name: string;
  readonly verdict: "ok" | "adjusted" | "differs" | "unknown" | "info";
  readonly configured?: string | string[];
  readonly actual?: string | string[];
  readonly note?: string;
}

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

// skipped for a peer: explain is tsrun's own command
const own = isTsrun ? describe : describe.skip;
const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");
const MB = 1_048_576;

/** A container that runs `program`; the id. */
function running(program: string | string[], edit?: (config: Config, bundle: string) => void): string {
  const id = box.id();
  box.ok(["run", "--detach", "--bundle", box.bundle(program, edit), id]);
  return id;
}

function explain(id: string): { exit: number | null; status: string; differences: number; items: Item[] } {
  const { status, stdout, stderr } = box.run(["explain", "--format", "json", id]);
  if (stdout === "") throw new Error(stderr);
  return { exit: status, ...JSON.parse(stdout) };
}

const find = (items: readonly Item[], section: string, name: string): Item => {
  const found = items.filter((item) => item.section === section && item.name === name);
  expect(found).toHaveLength(1);
  return found[0] as Item;
};
/** Everything that is not as configured, and why it is not. */
const different = (items: readonly Item[]): string[] =>
  items.filter(({ verdict }) => verdict === "differs").map(({ section, name }) => `${section} ${name}`);
const unknown = (items: readonly Item[]): string[] =>
  items.filter(({ verdict }) => verdict === "unknown").map(({ section, name }) => `${section} ${name}`);

const cgroupFile = (id: string, controller: string, file: string): string => {
  const line = readFileSync(`/proc/${box.state(id).pid}/cgroup`, "utf8")
    .split("\n")
    .find((each) => (unified ? each.startsWith("0::") : each.split(":")[1]?.split(",").includes(controller))) as string;
  const path = line.slice(line.indexOf(":", line.indexOf(":") + 1) + 1);
  return join("/sys/fs/cgroup", unified ? "" : controller, path, file);
};

const inside = (id: string, namespaces: string[], ...command: string[]): void => {
  const result = spawnSync("nsenter", ["-t", String(box.state(id).pid), ...namespaces, ...command], {
    encoding: "utf8",
  });
  if (result.status !== 0) throw new Error(`nsenter ${command.join(" ")}: ${result.stderr}`);
};

own("explain", () => {
  test("a container with everything is as configured: created, running and paused", () => {
    const id = box.id();
    const bundle = box.bundle("sleep 1000", (config, at) => {
      mkdirSync(join(at, "data"));
      mkdirSync(join(at, "rootfs/data"));
      config.process.user = { uid: 0, gid: 0, additionalGids: [7, 5] };
      config.process.oomScoreAdj = 100;
      config.process.noNewPrivileges = false;
      config.root.readonly = true;
      config.domainname = "example";
      config.mounts.push({ destination: "/data", source: "data", options: ["bind", "ro", "nosuid", "private"] });
      config.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=1m", "mode=0750"] });
      config.linux.sysctl = {
        "net.ipv4.ip_forward": "1",
        "kernel.shmmax": "12345",
        "net.ipv4.ping_group_range": "0 7",
      };
      config.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW" };
      config.linux.devices = [{ path: "/dev/mine", type: "c", major: 1, minor: 3, fileMode: 0o640, uid: 3, gid: 4 }];
      config.linux.resources = {
        devices: [
          { allow: false, access: "rwm" },
          { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
        ],
        memory: { limit: 64 * MB, swap: 96 * MB },
        pids: { limit: 40 },
        cpu: { shares: 512, quota: 20_000, period: 50_000, cpus: "0", mems: "0" },
      };
    });
    box.ok(["create", "--bundle", bundle, id]);
    const created = explain(id);
    expect(different(created.items)).toEqual([]);
    box.ok(["start", id]);
    const seen = explain(id);
    expect([seen.exit, seen.differences, different(seen.items), unknown(seen.items)]).toEqual([0, 0, [], []]);
    const { items } = seen;
    for (const [section, name, actual] of [
      ["process", "additional gids", ["5", "7"]],
      ["process", "oom_score_adj", "100"],
      ["process", "RLIMIT_NOFILE", "soft 1024, hard 1024"],
      ["namespaces", "domainname", "example"],
      ["namespaces", "kernel.shmmax", "12345"],
      ["namespaces", "net.ipv4.ping_group_range", "0 7"],
      ["devices", "/dev/mine", "character 1:3, mode 0640, owner 3:4"],
      ["cgroups", "pids.max", "40"],
    ] as const) {
      expect(find(items, section, name)).toEqual({ section, name, verdict: "ok", configured: actual, actual });
    }
    expect(find(items, "process", "seccomp").actual).toMatch(/^filter, \d+ of them$/);
    expect(find(items, "mounts", "/data").actual).toEqual(expect.arrayContaining(["ro", "nosuid"]));
    expect(find(items, "mounts", "/tmp").actual).toEqual(expect.arrayContaining(["size=1024k", "mode=750"]));
    expect(find(items, "mounts", "/").actual).toEqual(expect.arrayContaining(["ro"]));
    expect(find(items, "cgroups", "processes").actual).toBe("1");
    expect(Number.parseInt(find(items, "cgroups", "memory in use").actual as string, 10)).toBeGreaterThan(0);
    box.ok(["pause", id]);
    expect(explain(id)).toMatchObject({ exit: 0, status: "paused", differences: 0 });
    box.ok(["resume", id]);
    box.ok(["delete", "--force", id]);
  });

  test("a user namespace, a terminal's absence, bound devices and a mapped user are as configured", () => {
    const id = running("sleep 1000", (config, at) => {
      spawnSync("chown", ["-R", "100000:100000", join(at, "rootfs")]);
      config.linux.namespaces.push({ type: "user" });
      for (const name of ["uidMappings", "gidMappings"]) {
        config.linux[name] = [{ containerID: 0, hostID: 100_000, size: 1000 }];
      }
      config.process.user = { uid: 7, gid: 8, additionalGids: [9] };
    });
    const { items, differences } = explain(id);
    expect([differences, different(items), unknown(items)]).toEqual([0, [], []]);
    expect(find(items, "process", "uid").actual).toBe("7");
    expect(find(items, "process", "additional gids").actual).toEqual(["9"]);
    expect(find(items, "namespaces", "uid_map").actual).toEqual(["0 100000 1000"]);
    expect(find(items, "namespaces", "user").actual).toMatch(/^its own, user:/);
    expect(find(items, "devices", "/dev/null")).toMatchObject({ verdict: "ok", actual: "character 1:3" });
    // capabilities(7): nothing is ambient, so execve leaves nothing.
    expect(find(items, "capabilities", "effective")).toMatchObject({
      verdict: "adjusted",
      actual: [],
      note: expect.stringContaining("ambient"),
    });
    box.ok(["delete", "--force", id]);
  });

  test("namespaces that are joined or shared are told from its own", () => {
    const first = running("sleep 1000");
    const id = running("sleep 1000", (config) => {
      config.linux.namespaces = config.linux.namespaces
        .filter(({ type }: Config) => type !== "ipc")
        .map((each: Config) =>
          each.type === "network" ? { ...each, path: `/proc/${box.state(first).pid}/ns/net` } : each,
        );
    });
    const { items } = explain(id);
    expect(different(items)).toEqual([]);
    expect(find(items, "namespaces", "network").actual).toMatch(/^that of \/proc\//);
    expect(find(items, "namespaces", "ipc").actual).toMatch(/^the host's, ipc:/);
    for (const each of [id, first]) box.ok(["delete", "--force", each]);
  });

  test("what execve makes of root's capabilities is told from what was configured", () => {
    const id = running("sleep 1000", (config) => {
      config.process.noNewPrivileges = false;
      config.process.capabilities = { bounding: ["CAP_KILL", "CAP_CHOWN"], permitted: ["CAP_KILL"] };
    });
    const { items } = explain(id);
    expect(different(items)).toEqual([]);
    expect(find(items, "capabilities", "permitted")).toMatchObject({
      verdict: "adjusted",
      configured: ["CAP_KILL"],
      actual: ["CAP_CHOWN", "CAP_KILL"],
    });
    box.ok(["delete", "--force", id]);
  });

  test("another limit in the cgroup, and one of a cgroup above", () => {
    const parent = `/tsrun-test/${box.name}-above`;
    const id = running("sleep 1000", (config) => {
      config.linux.cgroupsPath = `${parent}/one`;
      config.linux.resources = { ...config.linux.resources, memory: { limit: 64 * MB }, pids: { limit: 40 } };
    });
    const memory = unified ? "memory.max" : "memory.limit_in_bytes";
    writeFileSync(cgroupFile(id, "memory", memory), String(32 * MB));
    writeFileSync(join(cgroupFile(id, "pids", ".."), "pids.max"), "30");
    const { items, exit } = explain(id);
    expect([exit, different(items)]).toEqual([1, [`cgroups ${memory}`]]);
    expect(find(items, "cgroups", memory)).toMatchObject({ configured: String(64 * MB), actual: String(32 * MB) });
    expect(find(items, "cgroups", "pids.max")).toMatchObject({
      verdict: "adjusted",
      configured: "40",
      actual: "30",
      note: expect.stringContaining(parent),
    });
    // An update is a new configuration.
    box.ok(["update", "--memory", "32m", id]);
    expect(different(explain(id).items)).toEqual([]);
    box.ok(["delete", "--force", id]);
    for (const hierarchy of hierarchies()) rmdirSync(join(hierarchy, parent));
  });

  test("a process that dropped capabilities, changed its user and set no_new_privs by itself", () => {
    // setpriv of the host's util-linux: busybox has none that does all of it.
    const id = running(
      [
        "/host/usr/bin/setpriv",
        "--bounding-set=-chown",
        "--no-new-privs",
        "--reuid=5",
        "--clear-groups",
        "sleep",
        "1000",
      ],
      (config, at) => {
        for (const name of ["lib", "lib64", "usr"]) {
          mkdirSync(join(at, "rootfs/host", name), { recursive: true });
          if (name !== "usr") mkdirSync(join(at, "rootfs", name), { recursive: true });
          const options = ["rbind", "ro"];
          const destination = name === "usr" ? "/host/usr" : `/${name}`;
          config.mounts.push({ destination, source: `/usr/${name === "usr" ? "" : name}`, options });
        }
        const all = ["CAP_SETPCAP", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN"];
        config.process.capabilities = { bounding: all, permitted: all, effective: all };
        config.process.noNewPrivileges = false;
      },
    );
    waitFor("the program", () => readFileSync(`/proc/${box.state(id).pid}/comm`, "utf8") === "sleep\n");
    const { items, exit } = explain(id);
    expect([exit, different(items)]).toEqual([
      1,
      [
        "process uid",
        "process no_new_privs",
        "capabilities bounding",
        "capabilities effective",
        "capabilities permitted",
      ],
    ]);
    expect(find(items, "process", "uid")).toMatchObject({ configured: "0", actual: "5" });
    expect(find(items, "capabilities", "bounding").actual).not.toContain("CAP_CHOWN");
    box.ok(["delete", "--force", id]);
  });

  test("mounts that were undone, covered, added or whose source was replaced", () => {
    let data = "";
    const id = running("sleep 1000", (config, at) => {
      data = join(at, "data");
      mkdirSync(data);
      for (const name of ["data", "scratch", "more"]) mkdirSync(join(at, "rootfs", name));
      config.root.readonly = true;
      config.mounts.push({ destination: "/data", source: data, options: ["bind"] });
      config.mounts.push({ destination: "/scratch", type: "tmpfs", source: "tmpfs" });
    });
    expect(different(explain(id).items)).toEqual([]);
    renameSync(data, `${data}.old`);
    mkdirSync(data);
    // What is mounted looks like a mask, but is none.
    inside(id, ["-m"], "sh", "-c", "echo >/scratch/null && mount --bind /scratch/null /proc/timer_list");
    inside(id, ["-m"], "umount", "/scratch");
    inside(id, ["-m"], "umount", "/proc/keys");
    inside(id, ["-m", "-p"], "mount", "-o", "remount,rw,bind", "/proc/sys");
    inside(id, ["-m"], "mount", "-t", "tmpfs", "none", "/more");
    inside(id, ["-m"], "mount", "-t", "tmpfs", "none", "/dev/shm");
    const { items } = explain(id);
    expect(different(items)).toEqual([
      "mounts /dev/shm",
      "mounts /data",
      "mounts /scratch",
      "mounts /proc/sys",
      "mounts /proc/keys",
      "mounts /proc/timer_list",
      "mounts /more",
    ]);
    expect(find(items, "mounts", "/scratch").actual).toBe("not mounted");
    expect(find(items, "mounts", "/proc/sys").note).toContain("not ro");
    expect(find(items, "mounts", "/more").note).toContain("nobody asked");
    expect(find(items, "mounts", "/data").note).toContain(data);
    box.ok(["delete", "--force", id]);
  });

  test("what the root file system brings along from the host, and what it does not", () => {
    const id = box.id();
    const bundle = box.bundle("sleep 1000", (config, at) => {
      for (const name of ["volume", "later"]) mkdirSync(join(at, "rootfs", name));
      config.root.readonly = false;
    });
    const runtime = `${RUNTIME} --root ${box.root}`;
    const script = [
      `mount -t tmpfs none ${bundle}/rootfs/volume`,
      `${runtime} run --detach --bundle ${bundle} ${id} </dev/null >/dev/null 2>&1 || exit 9`,
      `nsenter -t $(${runtime} ps -f json ${id} | tr -d '[]') -m mount -t tmpfs none /later`,
      `${runtime} explain --format json ${id}`,
      `${runtime} delete --force ${id}`,
    ].join("\n");
    const args = ["--mount", "--propagation", "private", "bash", "-c", script];
    const { stdout, stderr } = spawnSync("unshare", args, { encoding: "utf8" });
    expect(stderr).toBe("");
    const { items } = JSON.parse(stdout);
    expect(different(items)).toEqual(["mounts /later"]);
    expect(find(items, "mounts", "/volume").verdict).toBe("info");
  });

  test("sysctls, names and devices that were changed", () => {
    const id = running("rm /dev/zero; mknod -m 600 /dev/zero c 1 3; rm /dev/full; sleep 1000", (config) => {
      config.linux.sysctl = { "kernel.shmmax": "12345" };
      for (const set of ["bounding", "effective", "permitted"]) config.process.capabilities[set].push("CAP_MKNOD");
    });
    waitFor("the program", () => {
      const list = spawnSync("ls", [`/proc/${box.state(id).pid}/root/dev/full`]);
      return list.status !== 0;
    });
    inside(id, ["-u"], "hostname", "other");
    inside(id, ["-i"], "sysctl", "-qw", "kernel.shmmax=999");
    const { items } = explain(id);
    expect(different(items)).toEqual([
      "namespaces hostname",
      "namespaces kernel.shmmax",
      "devices /dev/zero",
      "devices /dev/full",
    ]);
    expect(find(items, "devices", "/dev/zero")).toMatchObject({ actual: "character 1:3" });
    expect(find(items, "devices", "/dev/full")).toMatchObject({ actual: "missing" });
    box.ok(["delete", "--force", id]);
  });

  (host.v1Controller("devices") ? test : test.skip)(
    "device rules that were added (cgroup v1 only: on v2 only a program can add them)",
    () => {
      const id = running("sleep 1000");
      writeFileSync(cgroupFile(id, "devices", "devices.allow"), "c 10:229 rwm");
      const { items } = explain(id);
      expect(different(items)).toEqual(["devices rules"]);
      expect(find(items, "devices", "rules").actual).toContain("c 10:229 rwm");
      box.ok(["delete", "--force", id]);
    },
  );

  test("cgroup v2: the program that decides about devices is told by its digest", () => {
    const id = box.id();
    const copy = join(box.root, id, "config.json");
    const bundle = box.bundle("sleep 1000", (config) => {
      config.linux.resources.devices.push({ allow: true, type: "c", major: 10, minor: 229, access: "rw" });
    });
    const runtime = `${RUNTIME} --root ${box.root}`;
    const script = [
      `${runtime} run --detach --bundle ${bundle} ${id} </dev/null >/dev/null 2>&1 || exit 9`,
      `${runtime} explain --format json ${id}`,
      "echo ---",
      // As if other rules had been configured.
      `sed -i 's/"minor": *229/"minor": 228/' ${copy}`,
      `${runtime} explain --format json ${id}`,
      `${runtime} delete --force ${id}`,
    ].join("\n");
    const isolated = join(__dirname, "../isolated");
    const { stdout, stderr } = spawnSync(isolated, ["--cgroups", "v2", "bash", "-c", script], { encoding: "utf8" });
    expect(stderr).toBe("");
    const [before, after] = stdout.split("---\n").map((text) => find(JSON.parse(text).items, "devices", "rules"));
    expect(before).toMatchObject({ verdict: "ok", actual: expect.arrayContaining(["allow c 10:229 rw"]) });
    expect(after).toMatchObject({ verdict: "differs", actual: [expect.stringMatching(/^program [0-9a-f]{16}$/)] });
  });

  test("text: what differs is marked without colours, and nothing from the container reaches the terminal raw", () => {
    const id = running("sleep 1000", (config, at) => {
      mkdirSync(join(at, "rootfs/more"));
      config.hostname = "mine";
    });
    inside(id, ["-u"], "sh", "-c", "printf 'x\\033]0;owned\\007\\302\\23331m' >/proc/sys/kernel/hostname");
    inside(id, ["-m"], "mkdir", "-p", "/dev/a\u001b[2Jb\nDIFFERS c");
    inside(id, ["-m"], "mount", "-t", "tmpfs", "none", "/dev/a\u001b[2Jb\nDIFFERS c");
    const text = box.run(["explain", id]);
    expect(text.status).toBe(1);
    expect(text.stdout).toMatch(
      /^ {2}DIFFERS {3}hostname {20}x\\u001b\]0;owned\\u0007\\u009b31m\n {40}configured: mine$/m,
    );
    expect(text.stdout).toContain("/dev/a\\u001b[2Jb\\u000aDIFFERS c");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(text.stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    const json = box.run(["explain", "-f", "json", id]).stdout;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(json).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    expect(find(JSON.parse(json).items, "namespaces", "hostname").actual).toBe("x\u001b]0;owned\u0007\u009b31m");
    box.ok(["delete", "--force", id]);
  });

  test("a container's links lead nowhere outside: what they point at is looked up in its own root", () => {
    const outside = join(box.work, "outside");
    mkdirSync(outside);
    spawnSync("mknod", [join(outside, "null"), "c", "1", "3"]);
    const id = running(`rm -rf /dev/null; ln -s ${outside}/null /dev/null; ln -s loop /dev/loop; sleep 1000`);
    waitFor("the program", () => {
      const found = spawnSync("readlink", [`/proc/${box.state(id).pid}/root/dev/loop`], { encoding: "utf8" });
      return found.stdout === "loop\n";
    });
    const { items } = explain(id);
    expect(find(items, "devices", "/dev/null")).toMatchObject({ verdict: "differs", actual: "missing" });
    box.ok(["delete", "--force", id]);
  });

  test("no container, a stopped one, a format that there is not: status 2 and a sentence", () => {
    expect(box.run(["explain", "nobody"])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("does not exist"),
    });
    const id = running("true");
    waitFor("its end", () => box.state(id).status === "stopped");
    expect(box.run(["explain", id])).toMatchObject({
      status: 2,
      stdout: "",
      stderr: expect.stringContaining("the container has stopped: there is no process left to look at"),
    });
    expect(box.run(["explain", "--format", "xml", id])).toMatchObject({ status: 2 });
    box.ok(["delete", id]);
  });
});
