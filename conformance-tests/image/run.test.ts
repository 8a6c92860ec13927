/** Containers of images: run --image and bundle create, from a layout on disk to what the container shows and leaves. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { busyboxTree, isTsrun, type Result, RUNTIME, Sandbox, waitFor } from "../harness.ts";
import { writeLayout } from "./made-image.ts";

let box: Sandbox;
let store: string;
let base: string;
let image: string;

/** A directory with files: a layer. */
function layer(files: Readonly<Record<string, string>>): string {
  const directory = join(box.work, box.id());
  mkdirSync(directory);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  return directory;
}
const layout = (layers: readonly string[], config: object, more: object = {}): string =>
  writeLayout(join(box.work, box.id()), layers, config, more);

/** `tsrun run --image` with the store and cgroups of the sandbox. */
function run(flags: readonly string[], program: string | readonly string[] = [], from = image): Result {
  const args = typeof program === "string" ? ["sh", "-c", program] : program;
  const place = ["--store", store, "--cgroup-parent", "tsrun-test", "--name", box.id()];
  return box.run(["run", "--image", from, ...place, ...flags, "--", ...args]);
}
function output(...args: Parameters<typeof run>): string {
  const { status, stdout, stderr } = run(...args);
  if (status !== 0) throw new Error(`status ${status}: ${stdout}${stderr}`);
  return stdout;
}
const detach = (program: string, flags: readonly string[] = []): string => output(["-d", ...flags], program).trim();
const exec = (id: string, script: string): string => box.ok(["exec", id, "sh", "-c", script]).stdout;

/** Files of the store that a container or a bundle has made. */
const inStore = (name: "bundles" | "containers"): string[] =>
  existsSync(join(store, name)) ? readdirSync(join(store, name)) : [];
/** The layers with everything in them: names, owners, modes and content. */
const layersSeen = (): string =>
  spawnSync("sh", ["-c", `cd ${store}/layers && find . -printf '%p %U:%G %m %s\\n' | sort`], { encoding: "utf8" })
    .stdout;

if (isTsrun) {
  beforeAll(() => {
    box = new Sandbox();
    store = join(box.work, "store");
    base = busyboxTree(join(box.work, "base"));
    const users = layer({
      "etc/passwd": "root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/srv:/bin/sh\n",
      "etc/group": "root:x:0:\nwww:x:33:web\n",
      "srv/index": "from the image",
      "data/seed": "seed",
    });
    image = layout([base, users], {
      User: "web",
      Env: ["PATH=/bin", "GREETING=hello"],
      Entrypoint: ["sh", "-c"],
      Cmd: ["echo $GREETING; id -u; id -G; pwd; echo $HOME"],
      WorkingDir: "/srv",
      Labels: { "com.example.owner": "tests", "run.oci.hooks.stdout": join(box.work, "written-by-a-label") },
      ExposedPorts: { "80/tcp": {} },
      Volumes: { "/data": {} },
      StopSignal: "SIGQUIT",
    });
  });
  afterAll(() => box.close());
  afterEach(() => {
    const left = [...box.leftovers(), ...inStore("bundles"), ...inStore("containers")];
    // One test's remains are not the next one's failure.
    for (const id of readdirSync(box.root)) if (!id.startsWith("@")) box.run(["delete", "--force", id]);
    for (const name of ["bundles", "containers"]) rmSync(join(store, name), { recursive: true, force: true });
    expect(left).toEqual([]);
  });
}
const suite = isTsrun ? describe : describe.skip;

suite("an image's configuration", () => {
  test("is the container's", () => {
    expect(output([])).toBe("hello\n1000\n1001 33\n/srv\n/srv\n");
  });
  test("and what the caller says otherwise", () => {
    writeFileSync(join(box.work, "env"), "# of a file\nGREETING=file\nMORE=1\n");
    const flags = ["-e", "GREETING=ciao", "--env-file", join(box.work, "env"), "-w", "/tmp", "-u", "7:8"];
    expect(output(flags, ["echo $GREETING $MORE; id -u; id -G; pwd"])).toBe("ciao 1\n7\n8\n/tmp\n");
    expect(output(["--entrypoint", "/bin/echo"], ["a  b", "-c"])).toBe("a  b -c\n");
    expect(output(["--entrypoint", '["echo","x"]'])).toBe("x\n");
    expect(output(["--hostname", "web"], ["hostname"])).toBe("web\n");
  });
  test("its labels are annotations, but for those on which a runtime acts", () => {
    const id = detach("sleep 100", ["--entrypoint", ""]);
    expect(box.state(id).annotations).toMatchObject({
      "com.example.owner": "tests",
      "org.opencontainers.image.os": "linux",
      "org.opencontainers.image.exposedPorts": "80/tcp",
      "org.opencontainers.image.stopSignal": "SIGQUIT",
    });
    expect(Object.keys(box.state(id).annotations ?? {})).not.toContain("run.oci.hooks.stdout");
    expect(existsSync(join(box.work, "written-by-a-label"))).toBe(false);
    box.ok(["delete", "--force", id]);
  });
  test("the program's exit status is run's", () => {
    expect(run([], ["exit 7"]).status).toBe(7);
  });
  test("a program that is not there, and a user that is not, are errors that leave nothing", () => {
    const missing = run(["--entrypoint", "/no/such"]);
    expect([missing.status, missing.stderr]).toEqual([1, expect.stringMatching(/no such file or directory/)]);
    const nobody = run(["-u", "mallory"]);
    expect([nobody.status, nobody.stderr]).toEqual([
      1,
      expect.stringMatching(/"mallory" is not in the image's \/etc\/passwd/),
    ]);
  });
});

suite("other forms of an image", () => {
  // Skipped where skopeo is not installed: it makes the archives.
  const hasSkopeo = spawnSync("skopeo", ["--version"]).error === undefined;
  (hasSkopeo ? test.each : test.skip.each)(["docker-archive", "oci-archive", "oci"])("%s", (form) => {
    const to = join(box.work, box.id());
    const name = form === "docker-archive" ? ":tests:latest" : "";
    const copied = spawnSync("skopeo", ["copy", "--insecure-policy", `oci:${image}`, `${form}:${to}${name}`], {
      encoding: "utf8",
    });
    expect(copied.stderr).toBe("");
    expect(output([], [], to)).toBe("hello\n1000\n1001 33\n/srv\n/srv\n");
  });
  test("a plain archive is none", () => {
    const tar = join(box.work, "rootfs.tar");
    expect(spawnSync("tar", ["-C", layer({ file: "" }), "-cf", tar, "."]).status).toBe(0);
    expect(run([], [], tar).stderr).toMatch(/is a plain archive of files, not an image\n.*tsrun unpack/);
    expect(run([], [], join(box.work, "nothing")).stderr).toMatch(/nothing/);
  });
});

suite("the root", () => {
  test("is shared, and each container sees only its own writes", () => {
    output([]); // the layers are in the store
    const before = layersSeen();
    const [first, second] = ["one", "two"].map((name) =>
      detach(`echo ${name} >/tmp/own; rm /srv/index; echo ${name} >/etc/passwd; sleep 100`, [
        "--entrypoint",
        "",
        "-u",
        "0",
      ]),
    ) as [string, string];
    for (const [id, name] of [
      [first, "one"],
      [second, "two"],
    ] as const) {
      waitFor("its writes", () => exec(id, "cat /etc/passwd") === `${name}\n`);
      expect(exec(id, "cat /tmp/own; ls /srv")).toBe(`${name}\n`);
    }
    expect(output([], ["cat /srv/index"])).toBe("from the image");
    expect(layersSeen()).toBe(before);
    for (const id of [first, second]) box.ok(["delete", "--force", id]);
  });
  test("is as the layers say one over the other: whiteouts, opaque directories, replaced files", () => {
    const above = layer({
      "srv/.wh.index": "",
      "srv/new": "new",
      "data/.wh..wh..opq": "",
      "data/own": "",
      tmp2: "file",
    });
    const below = layer({ "srv/index": "old", "data/seed": "", "data/more/x": "" });
    const from = layout([base, below, above], {});
    expect(output([], "ls /srv /data; cat /tmp2", from)).toBe("/data:\nown\n\n/srv:\nnew\nfile");
  });
  test("may have 128 layers, also in a store whose paths are longer than a mount option", () => {
    const layers = Array.from({ length: 127 }, (_, i) => layer({ [`layers/${i}`]: String(i), top: String(i) }));
    const from = layout([base, ...layers], {});
    const script = "ls /layers | wc -l; cat /top /layers/0 /layers/126; echo >/made";
    expect(output([], script, from)).toBe("127\n1260126");
    const far = join(box.work, "x".repeat(220), "store");
    mkdirSync(far, { recursive: true });
    expect(output(["--store", far], script, from)).toBe("127\n1260126");
  });
  test("with --read-only is not to be written, but for the image's volumes and --tmpfs", () => {
    const script = "touch /x /srv/x; touch /data/x /t/x && ls /data";
    const { stdout, stderr } = run(["--read-only", "--tmpfs", "/t", "--entrypoint", "", "-u", "0"], script);
    expect(stdout).toBe("seed\nx\n");
    expect(stderr).toMatch(/\/x: Read-only file system\n.*\/srv\/x: Read-only file system/);
  });
});

suite("the host's part", () => {
  test("-v shows a directory or file of the host; ro also what is mounted below it", () => {
    const shared = layer({ file: "host", "below/file": "" });
    chmodSync(shared, 0o777);
    expect(output(["-v", `${shared}:/host`], ["cat /host/file; echo made >/host/made"])).toBe("host");
    expect(readFileSync(join(shared, "made"), "utf8")).toBe("made\n");
    const one = run(["-v", `${shared}/file:/file:ro`, "-u", "0"], ["cat /file; echo x >/file"]);
    expect([one.stdout, one.stderr]).toEqual(["host", expect.stringMatching(/Read-only/)]);
    const script = `mount -t tmpfs tmpfs ${shared}/below && "$@"`;
    const place = ["--store", store, "--cgroup-parent", "tsrun-test", "--name", box.id()];
    const nested = spawnSync(
      "unshare",
      [
        ...["-m", "sh", "-c", script, "sh", RUNTIME, "--root", box.root, "run", "--image", image, ...place],
        ...["-v", `${shared}:/host:ro`, "-u", "0", "--", "touch /host/x; touch /host/below/x"],
      ],
      { encoding: "utf8" },
    );
    expect(nested.stderr).toMatch(/\/host\/x: Read-only file system\n.*\/host\/below\/x: Read-only file system/);
  });
  test("limits", () => {
    const script = `cd /sys/fs/cgroup
      cat memory/memory.limit_in_bytes memory.max pids/pids.max pids.max cpu/cpu.cfs_quota_us cpu.max 2>/dev/null; true`;
    const seen = output(["-m", "64m", "--pids-limit", "20", "--cpus", "0.5"], [script]).split(/\s+/);
    expect(seen.slice(0, 3)).toEqual(["67108864", "20", "50000"]);
    // As for docker: no limit, where config.json's 0 would let nobody fork.
    expect(output(["--pids-limit", "0"], ["(true) && echo forked"])).toBe("forked\n");
  });
  test("capabilities are docker's, or as chosen; new privileges", () => {
    const caps = (flags: string[]) => output([...flags, "-u", "0"], ["grep -e CapEff -e NoNewPrivs /proc/self/status"]);
    expect(caps([])).toBe("CapEff:\t00000000a80425fb\nNoNewPrivs:\t0\n");
    const few = ["--cap-drop", "ALL", "--cap-add", "CHOWN", "--security-opt", "no-new-privileges"];
    expect(caps(few)).toBe("CapEff:\t0000000000000001\nNoNewPrivs:\t1\n");
    expect(output(["--cap-add", "CHOWN"], ["grep CapEff /proc/self/status"])).toBe("CapEff:\t0000000000000000\n");
  });
  test("the network is nobody's but the container's, or the host's", () => {
    const interfaces = ["ls /sys/class/net"];
    expect(output([], interfaces)).toBe("lo\n");
    expect(output(["--net", "host"], ["readlink /proc/self/ns/net"])).toBe(
      spawnSync("readlink", ["/proc/self/ns/net"], { encoding: "utf8" }).stdout,
    );
  });
  test("a user namespace has the layers' owners inside, and the ids of its range on the host", () => {
    output([]);
    const before = layersSeen();
    const id = detach("echo >/made; chown web /made; sleep 100", [
      ...["--entrypoint", "", "-u", "0", "--userns", "100000:65536"],
    ]);
    waitFor("its write", () => exec(id, "stat -c %U /made || true") === "web\n");
    expect(exec(id, "stat -c '%u:%g %n' / /srv/index /bin/sh")).toBe("0:0 /\n0:0 /srv/index\n0:0 /bin/sh\n");
    expect(exec(id, "cat /proc/self/uid_map")).toMatch(/^\s*0\s+100000\s+65536$/m);
    const made = statSync(join(box.state(id).bundle, "overlay/upper/made"));
    expect([made.uid, made.gid]).toEqual([101_000, 100_000]);
    // Without a user namespace the same layers serve as they are.
    expect(output(["-u", "0"], ["stat -c %u /srv/index"])).toBe("0\n");
    if (!before.includes("sha256@")) expect(layersSeen()).toBe(before);
    box.ok(["delete", "--force", id]);
  });
  test("files of the container are in nobody else's reach", () => {
    const id = detach("cp /bin/busybox /suid; chmod 4755 /suid; sleep 100", ["--entrypoint", "", "-u", "0"]);
    waitFor("its write", () => exec(id, "ls / | grep -c suid || true") === "1\n");
    const { bundle } = box.state(id);
    const as = (path: string) => spawnSync("setpriv", ["--reuid", "1234", "--clear-groups", "ls", path]).status;
    expect(existsSync(join(bundle, "overlay/upper/suid"))).toBe(true);
    expect([as(join(bundle, "overlay/upper")), as(join(bundle, "config.json"))]).toEqual([2, 0]);
    expect(statSync(join(bundle, "config.json")).mode & 0o777).toBe(0o600);
    box.ok(["delete", "--force", id]);
  });
  test("without root: one id, an overlay of the user's own", () => {
    const UID = 12_345;
    const home = join(box.work, "home");
    mkdirSync(home);
    chownSync(home, UID, UID);
    const from = join(home, "image");
    spawnSync("cp", ["-r", image, from]);
    const made = (args: readonly string[]) =>
      spawnSync(
        "setpriv",
        [
          ...["--reuid", `${UID}`, "--regid", `${UID}`, "--clear-groups", "--inh-caps=-all"],
          ...[RUNTIME, "--root", join(home, "state"), "run", "--image", from, "--store", join(home, "store"), ...args],
        ],
        { encoding: "utf8" },
      );
    const { status, stdout, stderr } = made([
      "-u",
      "0",
      "--",
      "id -u; rm /srv/index; ls /srv; mkdir /closed; chmod 0 /closed",
    ]);
    expect([status, stdout, stderr]).toEqual([0, "0\n", expect.anything()]);
    expect(readdirSync(join(home, "store/containers"))).toEqual([]);
    expect(made([]).stderr).toMatch(/user 1000, group 1001, group 33: not among the ids/);
  });
});

suite("a bundle", () => {
  const made = (name: string): string => join(box.work, name);
  test("of bundle create is a bundle as any other, and keeps what is written", () => {
    const bundle = made("created");
    box.ok([
      "bundle",
      "create",
      image,
      bundle,
      "--store",
      store,
      "--cgroup-parent",
      "tsrun-test",
      "--",
      "cat /tmp/x; echo again >/tmp/x",
    ]);
    expect(box.ok(["validate", bundle]).stdout).toMatch(/: no problems$/m);
    const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
    config.linux.cgroupsPath = `/tsrun-test/${box.id()}`;
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
    expect(box.run(["run", "--bundle", bundle, box.id()]).stderr).toMatch(/can't open '\/tmp\/x'/);
    expect(box.ok(["run", "--bundle", bundle, box.id()]).stdout).toBe("again\n");
    // Another runtime reads the same.
    const runc = spawnSync("runc", ["--root", made("runc"), "run", "--bundle", bundle, box.id()], { encoding: "utf8" });
    if (runc.error === undefined) expect([runc.stdout, runc.stderr]).toEqual(["again\n", ""]);
    expect(inStore("bundles")).toHaveLength(1);
    box.ok(["gc", "--store", store, "--layers"]);
    expect(box.ok(["run", "--bundle", bundle, box.id()]).stdout).toBe("again\n");
    box.ok(["bundle", "remove", bundle, "--store", store]);
    expect(existsSync(bundle)).toBe(false);
    box.ok(["gc", "--store", store, "--layers"]);
    expect(spawnSync("find", [join(store, "layers"), "-mindepth", "2"], { encoding: "utf8" }).stdout).toBe("");
  });
  test("of --keep-bundle runs again", () => {
    const bundle = made("kept");
    expect(output(["--keep-bundle", bundle, "-u", "0"], ["echo x >>/tmp/x; wc -l </tmp/x"])).toBe("1\n");
    expect(box.ok(["run", "--bundle", bundle, box.id()]).stdout).toBe("2\n");
    box.ok(["bundle", "remove", bundle, "--store", store]);
  });
  test("goes with its container, which --keep leaves for delete", () => {
    const id = box.id();
    const place = ["--store", store, "--cgroup-parent", "tsrun-test", "--name", id];
    box.ok(["run", "--keep", ...place, "--image", image]);
    expect([inStore("bundles"), inStore("containers")]).toEqual([[expect.anything()], [expect.anything()]]);
    box.ok(["gc", "--store", store, "--layers"]);
    expect(box.state(id).status).toBe("stopped");
    expect(inStore("containers")).toHaveLength(1);
    box.ok(["delete", id]);
  });
  test("is not made over anything, nor removed where tsrun made none", () => {
    const bundle = layer({ file: "mine" });
    const refused = box.run(["bundle", "create", image, bundle, "--store", store]);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/it is not empty/)]);
    const other = box.run(["bundle", "remove", bundle, "--store", store]);
    expect([other.status, other.stderr]).toEqual([
      1,
      expect.stringMatching(/no bundle that tsrun bundle create has made/),
    ]);
    expect(readdirSync(bundle)).toEqual(["file"]);
    const both = join(box.work, box.id());
    const create = `${RUNTIME} --root ${box.root} bundle create --store ${store} ${image} ${both}`;
    const raced = spawnSync("sh", ["-c", `${create} & ${create}; first=$?; wait $!; echo $((first + $?))`], {
      encoding: "utf8",
    });
    expect([raced.stdout, raced.stderr]).toEqual(["1\n", expect.stringMatching(/it is not empty/)]);
    expect(box.ok(["validate", both]).stdout).toMatch(/no problems/);
    box.ok(["bundle", "remove", both, "--store", store]);
  });
});

suite("wrong from the start, nothing is changed", () => {
  test.each([
    [["--bundle", "x"], /--image and --bundle exclude each other/],
    [["--config", "x"], /--image and --config exclude each other/],
    [["--rm", "--keep"], /--rm and --keep exclude each other/],
    [["--net", "bridge"], /--net: "bridge" is neither none nor host/],
    [["--userns", "auto"], /--userns: "auto" is neither host nor FIRST:COUNT/],
    [["--cpus", "0"], /--cpus: "0" is not a number of CPUs/],
    [["--memory", "lots"], /--memory: "lots" is no number of bytes/],
    [["--cap-add", "EVERYTHING"], /unknown capability "EVERYTHING"/],
    [["--security-opt", "label=x"], /--security-opt: "label=x" is neither/],
    [["--env-file", "/no/such"], /--env-file \/no\/such: .*ENOENT/],
    [["--platform", "linux/s390x"], /no image for linux\/s390x in it\n {2}there is: linux\//],
    [["-v", "data:/data"], /there are no named volumes/],
    [["--publish", "80"], /unknown option --publish/],
  ])("%j", (flags, message) => {
    const empty = join(box.work, "empty-store");
    const { status, stderr } = run(["--store", empty, ...flags]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(existsSync(empty)).toBe(false);
  });
  test("a seccomp profile with every problem at its place", () => {
    const profile = join(box.work, "bad.json");
    writeFileSync(
      profile,
      '{"defaultAction":"ALLOW",\n"syscalls":[{"names":["mount"],"action":"SCMP_ACT_KILL","errno":"E"}]}',
    );
    const empty = join(box.work, "empty-store");
    const { status, stderr } = run(["--store", empty, "--security-opt", `seccomp=${profile}`]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/bad\.json:1:2: \/defaultAction: found "ALLOW"/)]);
    const missing = run(["--store", empty, "--security-opt", "seccomp=/no/such"]);
    expect([missing.status, missing.stderr]).toEqual([1, expect.stringMatching(/cannot read \/no\/such.*ENOENT/)]);
    expect(existsSync(empty)).toBe(false);
  });
});

suite("the seccomp filter", () => {
  // Without a label of which a warning tells.
  let plain: string;
  beforeAll(() => {
    plain = layout([base], { Entrypoint: ["sh", "-c"] });
  });
  const profile = (name: string, content: object): string => {
    const file = join(box.work, name);
    writeFileSync(file, JSON.stringify(content).replace('"LARGE"', "18446744073709551615"));
    return file;
  };
  /** Of docker's form: everything but making directories, which is for containers with CAP_SYS_ADMIN. */
  const mkdirForAdmins = {
    defaultAction: "SCMP_ACT_ALLOW",
    archMap: [
      { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
      { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
    ],
    syscalls: [
      {
        names: ["mkdir", "mkdirat"],
        action: "SCMP_ACT_ERRNO",
        errno: "EXDEV",
        args: [],
        comment: "",
        includes: {},
        excludes: { caps: ["CAP_SYS_ADMIN"] },
      },
    ],
  };
  /** As on a host whose /etc/containers and /usr/share/containers hold these profiles, or none. */
  function onHost(
    profiles: { readonly etc?: object; readonly usr?: object },
    flags: readonly string[],
    script: string,
  ) {
    const [etc, usr] = [box.id(), box.id()].map((id) => join(box.work, id)) as [string, string];
    for (const [directory, content] of [
      [etc, profiles.etc],
      [usr, profiles.usr],
    ] as const) {
      mkdirSync(directory);
      if (content !== undefined) writeFileSync(join(directory, "seccomp.json"), JSON.stringify(content));
    }
    const place = ["--store", store, "--cgroup-parent", "tsrun-test", "--name", box.id()];
    const inside = `for each in etc usr/share; do mkdir -p /$each/containers 2>/dev/null; done
      mount --bind ${etc} /etc/containers && mount --bind ${usr} /usr/share/containers && "$@"`;
    const { status, stdout, stderr } = spawnSync(
      "unshare",
      [
        ...["-m", "sh", "-c", inside, "sh", RUNTIME, "--root", box.root, "run", "--image", plain],
        ...[...place, ...flags, "--", script],
      ],
      { encoding: "utf8" },
    );
    return { status, stdout, stderr };
  }
  const script = "mkdir /made && echo made";
  const made = { status: 0, stdout: "made\n", stderr: "" };

  test("of a file is the container's: of config.json's form, and of docker's by the container's capabilities", () => {
    const own = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" },
        // More than a JavaScript number holds.
        { names: ["lseek"], action: "SCMP_ACT_ERRNO", args: [{ index: 1, op: "SCMP_CMP_EQ", value: "LARGE" }] },
      ],
    };
    const flags = ["--security-opt"];
    expect(run([...flags, `seccomp=${profile("own.json", own)}`], [script], plain).stderr).toMatch(
      /Operation not permitted/,
    );
    const engines = `seccomp=${profile("engines.json", mkdirForAdmins)}`;
    expect(run([...flags, engines], [script], plain).stderr).toMatch(/Invalid cross-device link/);
    expect(run(["--cap-add", "SYS_ADMIN", ...flags, engines], [script], plain)).toMatchObject(made);
  });
  test("is the host's for containers if none is asked for: the administrator's before the distribution's", () => {
    const allows = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [] };
    expect(onHost({ usr: mkdirForAdmins }, [], script).stderr).toMatch(/Invalid cross-device link/);
    expect(onHost({ etc: mkdirForAdmins, usr: allows }, [], script).stderr).toMatch(/Invalid cross-device link/);
    expect(onHost({ etc: allows, usr: mkdirForAdmins }, [], script)).toEqual(made);
    expect(onHost({ usr: mkdirForAdmins }, ["--security-opt", "seccomp=unconfined"], script)).toEqual(made);
    const broken = onHost({ etc: { defaultAction: "SCMP_ACT_ALOW" } }, [], script);
    expect([broken.status, broken.stderr]).toEqual([
      1,
      expect.stringMatching(/\/etc\/containers\/seccomp\.json:1:2: \/defaultAction: .*did you mean "SCMP_ACT_ALLOW"/),
    ]);
  });
  test("is none with a warning where the host has no profile", () => {
    const { status, stdout, stderr } = onHost({}, [], script);
    expect([status, stdout]).toEqual([0, "made\n"]);
    expect(stderr).toMatch(/^tsrun: warning: the container has no seccomp filter: there is neither \/etc.*\n$/);
    expect(onHost({}, ["--security-opt", "seccomp=unconfined"], script)).toEqual(made);
  });
  test("of a bundle is in its config.json, which explain compares with the kernel's", () => {
    const bundle = join(box.work, "filtered");
    const option = ["--security-opt", `seccomp=${profile("engines.json", mkdirForAdmins)}`];
    const place = ["--store", store, "--cgroup-parent", "tsrun-test"];
    box.ok(["bundle", "create", plain, bundle, ...place, ...option, "--entrypoint", "", "--", "sleep", "100"]);
    const { seccomp } = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")).linux;
    expect(seccomp.syscalls).toEqual([{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 18 }]);
    expect(box.ok(["plan", bundle]).stdout).toMatch(/seccomp\.compile /);
    const id = box.id();
    box.ok(["run", "-d", "--bundle", bundle, id]);
    expect(box.ok(["explain", id]).stdout).toMatch(/seccomp/);
    box.ok(["delete", "--force", id]);
    box.ok(["bundle", "remove", bundle, "--store", store]);
  });
});
