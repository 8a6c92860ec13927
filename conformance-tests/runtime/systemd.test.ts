/**
 * --systemd-cgroup on a host with systemd and cgroup v2: containers as scopes of the system's manager and of a user's. The
 * virtual machine `apparmor` is such a host (npm run test:vm -- --machine apparmor --only runtime/systemd).
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, isTsrun, type Result, RUNTIME, Sandbox, waitFor } from "../harness.ts";
import { findProgram } from "../runtimes.ts";

const booted = existsSync("/run/systemd/system") && existsSync("/sys/fs/cgroup/cgroup.controllers");
/** Elsewhere there is nobody to ask, which the last test is about. */
const onSystemd = booted ? describe : describe.skip;

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => {
  // A slice that was made for a unit stays without it.
  if (booted) spawnSync("systemctl", ["stop", `${slice}.slice`]);
  box.close();
});

const global = ["--systemd-cgroup"];
const slice = `tsruntest${process.pid}`;
const scopes = (): string =>
  spawnSync("systemctl", ["list-units", "--all", "--plain", "--no-legend", `${slice}-*.scope`], { encoding: "utf8" })
    .stdout;

/** A unit's properties, as systemd has them. */
function show(unit: string, ...names: string[]): Record<string, string> {
  const { stdout } = spawnSync("systemctl", ["show", unit, ...names.map((name) => `--property=${name}`)], {
    encoding: "utf8",
  });
  return Object.fromEntries(stdout.split("\n").flatMap((line) => (line === "" ? [] : [line.split(/=(.*)/s, 2)])));
}

interface Scope {
  readonly id: string;
  readonly unit: string;
  readonly bundle: string;
  readonly path: string;
  /** A file of its cgroup. */
  read(file: string): string;
}

/** A bundle whose container is a scope in a slice of this test's, in another slice. */
function scope(program: string, edit: (config: Config) => void = () => {}): Scope {
  const id = box.id();
  const bundle = box.bundle(program, (config) => {
    config.linux.cgroupsPath = `${slice}-a.slice:${slice}:${id}`;
    edit(config);
  });
  const unit = `${slice}-${id}.scope`;
  const path = `/${slice}.slice/${slice}-a.slice/${unit}`;
  return { id, unit, bundle, path, read: (file) => readFileSync(`/sys/fs/cgroup${path}/${file}`, "utf8").trim() };
}

const limits = (config: Config): void => {
  config.linux.resources = {
    ...config.linux.resources,
    memory: { limit: 67_108_864, reservation: 16_777_216, swap: 134_217_728 },
    cpu: { shares: 512, quota: 25_001, period: 100_000, cpus: "0" },
    pids: { limit: 32 },
    unified: { "memory.high": "50331648" },
  };
  config.annotations = { "org.systemd.property.TimeoutStopSec": "uint64 7" };
};

onSystemd("a container as a scope", () => {
  test("in its slice, with its limits as properties and, exactly, in its files", () => {
    const { id, unit, bundle, path, read } = scope("cat /proc/self/cgroup; sleep 1000", limits);
    box.ok(["create", "--bundle", bundle, id], { global });
    expect(readFileSync(`/proc/${box.state(id).pid}/cgroup`, "utf8")).toBe(`0::${path}\n`);
    const wanted = {
      ControlGroup: path,
      Slice: `${slice}-a.slice`,
      ActiveState: "active",
      Delegate: "yes",
      DefaultDependencies: "no",
      Description: `container ${id}`,
      MemoryMax: "67108864",
      MemoryHigh: "50331648",
      MemoryLow: "16777216",
      MemorySwapMax: "67108864",
      CPUWeight: "59",
      CPUQuotaPerSecUSec: "260ms",
      CPUQuotaPeriodUSec: "100ms",
      AllowedCPUs: "0",
      TasksMax: "32",
      TimeoutStopUSec: "7s",
    };
    expect(show(unit, ...Object.keys(wanted))).toEqual(wanted);
    expect(read("cpu.max")).toBe("25001 100000");
    expect(read("memory.max")).toBe("67108864");
    expect(read("memory.high")).toBe("50331648");
    expect(read("pids.max")).toBe("32");
    expect(read("cpuset.cpus")).toBe("0");
    box.ok(["start", id]);
    expect(box.state(id).status).toBe("running");
    box.ok(["delete", "--force", id]);
    expect(scopes()).toBe("");
    expect(existsSync(`/sys/fs/cgroup${path}`)).toBe(false);
    expect(box.leftovers()).toEqual([]);
  });

  test("its limits hold, also after systemd has read its configuration again", () => {
    const { id, bundle, read } = scope("sleep 1000", limits);
    box.ok(["run", "--detach", "--bundle", bundle, id], { global });
    const exec = (script: string): Result => box.run(["exec", id, "sh", "-c", script]);
    expect(exec("cat /sys/fs/cgroup/pids.max").stdout).toBe("32\n");
    // No device beyond the default ones: its program is ours, and systemd leaves it.
    const mknod = "mknod /dev/kmsg-test c 1 11 2>/dev/null; cat /dev/kmsg-test";
    expect(exec(mknod).status).not.toBe(0);
    expect(spawnSync("systemctl", ["daemon-reload"]).status).toBe(0);
    expect(read("memory.max")).toBe("67108864");
    expect(read("pids.max")).toBe("32");
    expect(exec(mknod).status).not.toBe(0);
    expect(exec("for i in $(seq 60); do sleep 10 & done").status).not.toBe(0);
    expect(Number(/^max (\d+)/m.exec(read("pids.events"))?.[1])).toBeGreaterThan(0);
    box.ok(["delete", "--force", id]);
  });

  test("update tells systemd; one that fails changes nothing", () => {
    const { id, unit, bundle, read } = scope("sleep 1000", limits);
    box.ok(["run", "--detach", "--bundle", bundle, id], { global });
    box.ok([
      "update",
      "--memory",
      "100663296",
      "--memory-swap",
      "134217728",
      "--cpu-quota",
      "30001",
      "--pids-limit",
      "-1",
      id,
    ]);
    const names = ["MemoryMax", "MemorySwapMax", "CPUQuotaPerSecUSec", "TasksMax", "AllowedCPUs"];
    const updated = {
      MemoryMax: "100663296",
      MemorySwapMax: "33554432",
      CPUQuotaPerSecUSec: "310ms",
      TasksMax: "infinity",
      AllowedCPUs: "0",
    };
    expect(show(unit, ...names)).toEqual(updated);
    const files = (): string[] => ["memory.max", "memory.swap.max", "cpu.max", "pids.max", "cpuset.cpus"].map(read);
    const values = ["100663296", "33554432", "30001 100000", "max", "0"];
    expect(files()).toEqual(values);

    // At each step: what the kernel refuses, what systemd does not, and what comes after it.
    for (let step = 0; ; step++) {
      const result = box.run([
        "update",
        "--test-fault",
        `update:host:${step}:fail`,
        "--memory",
        "90000000",
        "--cpu-quota",
        "20001",
        id,
      ]);
      if (result.status === 0) {
        expect(step).toBeGreaterThan(3);
        break;
      }
      expect(files()).toEqual(values);
      expect(show(unit, ...names)).toEqual(updated);
    }
    expect(read("cpu.max")).toBe("20001 100000");
    box.ok(["delete", "--force", id]);
  });

  test("exec, pause, resume, ps, events, kill, list", () => {
    const { id, bundle, path } = scope("sleep 1000");
    box.ok(["run", "--detach", "--bundle", bundle, id], { global });
    const pidFile = join(box.work, "exec-pid");
    box.ok(["exec", "--detach", "--pid-file", pidFile, id, "sleep", "1000"]);
    expect(readFileSync(`/proc/${readFileSync(pidFile, "utf8")}/cgroup`, "utf8")).toBe(`0::${path}\n`);
    expect((JSON.parse(box.ok(["ps", "-f", "json", id]).stdout) as number[]).length).toBe(2);
    box.ok(["pause", id]);
    expect(box.state(id).status).toBe("paused");
    box.ok(["resume", id]);
    expect(JSON.parse(box.ok(["events", "--stats", id]).stdout)).toMatchObject({ type: "stats", id });
    expect(box.ok(["list"]).stdout).toContain(id);
    box.ok(["kill", "--all", id, "KILL"]);
    waitFor("its end", () => box.state(id).status === "stopped");
    box.ok(["delete", id]);
    expect(scopes()).toBe("");
  });

  test("with cgroups below the scope, the inner one its own", () => {
    const { id, bundle, path, read } = scope("cat /proc/self/cgroup; sleep 1000", (config) => {
      limits(config);
      config.linux.namespaces.push(
        ...(config.linux.namespaces.some(({ type }: Config) => type === "cgroup") ? [] : [{ type: "cgroup" }]),
      );
      config.annotations = { "run.oci.systemd.subgroup": "container", "run.oci.delegate-cgroup": "payload" };
    });
    box.ok(["run", "--detach", "--bundle", bundle, id], { global });
    expect(readFileSync(`/proc/${box.state(id).pid}/cgroup`, "utf8")).toBe(`0::${path}/container/payload\n`);
    expect(read("container/memory.max")).toBe("67108864");
    // To give it controllers is the container's own affair.
    expect(read("container/cgroup.subtree_control")).toBe("");
    expect(read("cgroup.subtree_control").split(" ").sort()).toEqual(["cpu", "cpuset", "io", "memory", "pids"]);
    // Its cgroup namespace begins at the cgroup with the limits.
    expect(box.ok(["exec", id, "sh", "-c", "cat /proc/1/cgroup"]).stdout).toBe("0::/payload\n");
    box.ok(["delete", "--force", id]);
    expect(existsSync(`/sys/fs/cgroup${path}`)).toBe(false);
    expect(scopes()).toBe("");
  });

  test("a name that is taken is refused, and what has it stays", () => {
    const first = scope("sleep 1000");
    box.ok(["run", "--detach", "--bundle", first.bundle, first.id], { global });
    const root = join(box.work, "other-state");
    mkdirSync(root);
    const again = spawnSync(RUNTIME, ["--root", root, ...global, "create", "--bundle", first.bundle, first.id], {
      encoding: "utf8",
    });
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(/systemd\.startUnit: systemd .*\.scope: .*(already|UnitExists)/);
    spawnSync(RUNTIME, ["--root", root, "gc"]);
    expect(box.state(first.id).status).toBe("running");
    expect(show(first.unit, "ActiveState")).toEqual({ ActiveState: "active" });
    box.ok(["delete", "--force", first.id]);
    rmSync(root, { recursive: true });
  });

  test("what systemd does not know is refused in its words, and nothing is left", () => {
    const { id, bundle, path } = scope("true", (config) => {
      config.annotations = { "org.systemd.property.NoSuchThing": "true" };
    });
    expect(box.run(["create", "--bundle", bundle, id], { global })).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/systemd\.startUnit: systemd .*NoSuchThing/),
    });
    expect(existsSync(`/sys/fs/cgroup${path}`)).toBe(false);
    expect(box.leftovers()).toEqual([]);
    expect(scopes()).toBe("");
  });

  test.each(["fail", "kill"])(
    "create that ends at any step (%s) leaves nothing after gc or delete",
    (how) => {
      const { bundle } = scope("sleep 1000", (config) => {
        config.annotations = { "run.oci.systemd.subgroup": "c" };
      });
      const plan = JSON.parse(box.ok(["plan", "--json", bundle], { global }).stdout) as { host: { kind: string }[] };
      const first = plan.host.findIndex(({ kind }) => kind === "systemd.startUnit");
      expect(first).toBeGreaterThan(0);
      // One of each kind: the virtual machine is slow.
      const kinds = plan.host.map(({ kind }) => kind);
      const steps = kinds.flatMap((kind, i) => (i >= first && kinds.indexOf(kind, first) === i ? [i] : []));
      for (const [i, step] of steps.entries()) {
        const id = box.id();
        // The unit's name is of the bundle, so each must have gone before the next.
        const result = box.run(["create", "--test-fault", `create:host:${step}:${how}`, "--bundle", bundle, id], {
          global,
        });
        expect(result.status).toBe(how === "kill" ? null : 1);
        if (how === "kill") box.ok(i % 2 === 0 ? ["gc"] : ["delete", "--force", id]);
        waitFor(`nothing to be left after step ${step}`, () => scopes() === "" && box.leftovers().length === 0);
      }
    },
    300_000,
  );

  test("delete that is killed at any step is finished by the next one", () => {
    for (let step = 0; step < 5; step++) {
      const { id, bundle, path } = scope("sleep 1000");
      box.ok(["run", "--detach", "--bundle", bundle, id], { global });
      expect(box.run(["delete", "--test-fault", `delete:host:${step}:kill`, "--force", id]).status).toBeNull();
      box.ok(["delete", "--force", id]);
      expect(scopes()).toBe("");
      expect(existsSync(`/sys/fs/cgroup${path}`)).toBe(false);
    }
  }, 120_000);

  const runc = findProgram("runc-newer");
  (runc === undefined ? test.skip : test)("systemd is told what runc tells it", () => {
    const names = [
      ...["Slice", "Delegate", "DefaultDependencies", "MemoryMax", "MemoryHigh", "MemoryLow", "MemorySwapMax"],
      ...["CPUWeight", "CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec", "AllowedCPUs", "TasksMax", "TimeoutStopUSec"],
      ...["CPUAccounting", "MemoryAccounting", "IOAccounting", "TasksAccounting"],
    ];
    const { id, unit, bundle } = scope("sleep 1000", limits);
    const told = [RUNTIME, runc as string].map((runtime) => {
      const root = ["--root", join(box.work, "peer")];
      const run = (...args: string[]) => spawnSync(runtime, [...root, ...args], { encoding: "utf8", stdio: "ignore" });
      expect(run(...global, "run", "--detach", "--bundle", bundle, id).status).toBe(0);
      const properties = show(unit, ...names);
      expect(run("delete", "--force", id).status).toBe(0);
      waitFor("the scope's end", () => scopes() === "");
      return properties;
    });
    expect(told[0]).toEqual(told[1]);
    rmSync(join(box.work, "peer"), { recursive: true, force: true });
  });

  const podman = findProgram("podman");
  (podman === undefined ? test.skip : test)(
    "podman's default",
    () => {
      const storage = join(box.work, "podman");
      const rootfs = join(scope("true").bundle, "rootfs");
      const run = (...args: string[]): Result =>
        spawnSync(
          podman as string,
          [
            ...["--root", join(storage, "root"), "--runroot", join(storage, "run"), "--storage-driver", "vfs"],
            ...["--runtime", RUNTIME, "--cgroup-manager", "systemd", ...args],
          ],
          { encoding: "utf8" },
        );
      const made = run(
        "run",
        "--detach",
        "--name",
        "web",
        "--network",
        "none",
        "--memory",
        "64m",
        "--rootfs",
        rootfs,
        "sleep",
        "1000",
      );
      expect(made).toMatchObject({ status: 0 });
      const unit = `libpod-${made.stdout.trim()}.scope`;
      expect(show(unit, "ActiveState", "MemoryMax", "Slice")).toEqual({
        ActiveState: "active",
        MemoryMax: "67108864",
        Slice: "machine.slice",
      });
      expect(run("exec", "web", "cat", "/proc/1/comm").stdout).toBe("sleep\n");
      expect(run("update", "--memory", "80m", "web")).toMatchObject({ status: 0 });
      expect(show(unit, "MemoryMax")).toEqual({ MemoryMax: "83886080" });
      expect(run("pause", "web")).toMatchObject({ status: 0 });
      expect(run("unpause", "web")).toMatchObject({ status: 0 });
      expect(run("rm", "--force", "--time", "0", "web")).toMatchObject({ status: 0 });
      expect(show(unit, "ActiveState")).toEqual({ ActiveState: "inactive" });
      spawnSync("rm", ["-rf", "--one-file-system", storage]);
    },
    120_000,
  );
});

/** What runs a program as a normal user with a session of its own: the virtual machine has it. */
const asUser = findProgram("as-user");
(booted && asUser !== undefined && isTsrun ? describe : describe.skip)(
  "a user's container as a scope of the user's manager",
  () => {
    const user = (...command: string[]): Result =>
      spawnSync(asUser as string, command, { encoding: "utf8", timeout: 120_000 });

    test("as far as the manager has controllers; by whichever socket it is found", () => {
      const work = user("mktemp", "--directory", "/tmp/tsrun-user-XXXXXX").stdout.trim();
      expect(work).not.toBe("");
      const script = join(box.work, "user-test");
      writeFileSync(
        script,
        `set -e
cd ${work}; mkdir -p rootfs/bin rootfs/proc rootfs/dev rootfs/sys; cp /bin/busybox rootfs/bin/; ln -s busybox rootfs/bin/sleep
${RUNTIME} spec --rootless
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"sleep", "1000"/; s/"linux": {/"linux": {"resources": {"memory": {"limit": 67108864}, "pids": {"limit": 9}},/' config.json
run() { ${RUNTIME} --root ${work}/state "$@"; }
# A container that is left would hold our streams.
trap 'run delete --force web' EXIT
mkdir state
run --systemd-cgroup run --detach web >/dev/null
cat /proc/$(run state web | sed -n 's/.*"pid": \\([0-9]*\\).*/\\1/p')/cgroup
systemctl --user show --property=MemoryMax --property=TasksMax --property=ActiveState tsrun-web.scope
run update --memory 50331648 web
cat /sys/fs/cgroup$(systemctl --user show --value --property=ControlGroup tsrun-web.scope)/memory.max
run delete --force web
systemctl --user show --property=ActiveState tsrun-web.scope
# Only the message bus.
env --unset=XDG_RUNTIME_DIR ${RUNTIME} --root ${work}/state --systemd-cgroup run --detach web >/dev/null
env --unset=XDG_RUNTIME_DIR --unset=DBUS_SESSION_BUS_ADDRESS ${RUNTIME} --root ${work}/state delete --force web
systemctl --user show --property=ActiveState tsrun-web.scope
`,
      );
      const { status, stdout, stderr } = user("bash", script);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout.trim().split("\n")).toEqual([
        expect.stringMatching(/^0::\/user\.slice\/user-\d+\.slice\/user@\d+\.service\/user\.slice\/tsrun-web\.scope$/),
        "MemoryMax=67108864",
        "TasksMax=9",
        "ActiveState=active",
        "50331648",
        "ActiveState=inactive",
        "ActiveState=inactive",
      ]);
      user("rm", "-rf", work);
    });

    test("without a session it says what is missing", () => {
      const without = ["env", "--unset=XDG_RUNTIME_DIR", "--unset=DBUS_SESSION_BUS_ADDRESS"];
      const from = scope("true").bundle;
      expect(user(...without, RUNTIME, "--root", "/tmp", ...global, "plan", from)).toMatchObject({
        status: 1,
        stderr: expect.stringContaining("XDG_RUNTIME_DIR"),
      });
    });
  },
);

(!booted && isTsrun ? test : test.skip)(
  "where systemd does not run, --systemd-cgroup says so and makes nothing",
  () => {
    for (const option of [["--systemd-cgroup"], ["--cgroup-manager", "systemd"]]) {
      const result = box.run(["create", "--bundle", box.bundle("true"), box.id()], { global: option });
      expect(result).toMatchObject({ status: 1, stderr: expect.stringContaining("systemd does not run here") });
    }
    expect(box.leftovers()).toEqual([]);
  },
);
