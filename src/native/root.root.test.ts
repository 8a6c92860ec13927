/** Entering the root: what is left of the host, propagation, --no-pivot, and a container without a mount namespace. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { namespaceFlags } from "../compile/namespaces.ts";
import { encodePlan } from "../plan/encode.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import {
  ContainerFixture,
  type ContainerRequest,
  defaultNamespaces,
  hostMounts,
  type Mounts,
  mountAt,
  parseMounts,
  userMappings,
} from "./container.fixture.ts";
import { openSession } from "./native.ts";

let fixture: ContainerFixture;
let before: string;
beforeAll(() => {
  fixture = new ContainerFixture();
});
afterAll(() => fixture.close());
beforeEach(() => {
  fixture.newRootfs();
  before = hostMounts();
});
afterEach(() => expect(hostMounts()).toBe(before));

const proc: Mounts[number] = { destination: "/proc", type: "proc", source: "proc" };

describe("pivot_root", () => {
  test("leaves nothing of the host: mounts, working directory, descriptors", () => {
    const { output, failure } = fixture.run({
      script:
        "cat /proc/self/mountinfo; echo cwd $(readlink /proc/self/cwd) root $(readlink /proc/self/root); for f in /proc/self/fd/*; do readlink $f; done; ls /..",
      atEnd: [{ kind: "fds.closeOnExec", first: 3 }],
    });
    expect(failure).toBeUndefined();
    const points = parseMounts(output).map(({ point }) => point);
    expect(new Set(points)).toEqual(
      new Set(["/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/host/output"]),
    );
    expect(output).toContain("cwd / root /\n");
    expect(output).not.toContain(fixture.outside("rootfs\n"));
  });

  test("a read-only root is one, and what is mounted in it is not", () => {
    const { output } = fixture.run({ readonlyRoot: true, script: "touch /x; touch /dev/x && echo made" });
    expect(output).toBe("touch: /x: Read-only file system\nmade\n");
  });

  test("a root that is no directory is an error that names it", () => {
    const input = { ...fixture.input({ script: "" }), rootfs: "/etc/passwd" as never };
    const plan = { ...fixture.plan({ script: "" }, "/etc/passwd") };
    const container = plan.container.map((step) =>
      step.kind === "root.bind" ? { ...step, path: input.rootfs } : step,
    );
    expect(fixture.execute({ ...plan, container }, "/etc/passwd").failure).toMatchObject({
      kind: "root.bind",
      op: "open",
      errno: 20,
      path: "/etc/passwd",
    });
  });
});

/**
 * A mount namespace whose mounts are all shared, as on a host with systemd; containers are made below it. `volume` is a
 * mount of its own: the one that holds the rootfs is cut off from the host (root.bind), with all directories in it.
 */
class SharedHost {
  static #count = 0;
  readonly #process: ChildProcess;

  constructor(directory: string, volume: string) {
    const ready = join(directory, `shared-host-${SharedHost.#count++}`);
    const script = `mount -t tmpfs volume ${volume} && mount --make-rshared / && : >${ready} && exec sleep 600`;
    this.#process = spawn("unshare", ["--mount", "--propagation", "private", "sh", "-c", script], { stdio: "ignore" });
    while (!existsSync(ready)) {
      if (this.#process.exitCode !== null) throw new Error("unshare failed");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  /** Enters the namespace and leaves it again for a copy of it, whose mounts are peers of the original's. */
  request(request: ContainerRequest): ContainerRequest {
    return {
      ...request,
      hostFirst: [
        {
          kind: "ns.open",
          path: `/proc/${this.pid}/ns/mnt`,
          type: namespaceFlags.mount,
          foreign: true,
          slot: "host",
        },
      ],
      first: [
        { kind: "ns.join", slot: "host", types: namespaceFlags.mount },
        { kind: "ns.unshare", types: namespaceFlags.mount },
        ...(request.first ?? []),
      ],
    };
  }

  mounts(): string {
    return readFileSync(`/proc/${this.pid}/mountinfo`, "utf8");
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }
}

describe("propagation on a host with shared mounts", () => {
  let host: SharedHost;
  beforeAll(() => {
    host = new SharedHost(fixture.directory, fixture.makeDirectory("volume"));
  });
  afterAll(() => host.close());

  const run = (rootfsPropagation: string | undefined, request: Omit<ContainerRequest, "linux">, on = host) => {
    const hostBefore = on.mounts();
    const result = fixture.run(
      on.request({
        ...request,
        linux: {
          namespaces: defaultNamespaces,
          ...(rootfsPropagation !== undefined && { rootfsPropagation: rootfsPropagation as "shared" }),
        },
      }),
    );
    return { ...result, leaked: on.mounts() !== hostBefore };
  };

  test.each([undefined, "private", "slave", "shared", "unbindable", "rprivate", "rslave", "rshared"])(
    "rootfsPropagation %s: nothing reaches the host, and the root is what was asked for",
    (propagation) => {
      const { output, failure, leaked } = run(propagation, {
        mounts: [proc, { destination: "/t", type: "tmpfs", source: "tmpfs" }],
        script: "mkdir /m; mount -t tmpfs inside /m; cat /proc/self/mountinfo",
      });
      expect(failure).toBeUndefined();
      expect(leaked).toBe(false);
      const root = mountAt(output, "/")?.propagation.map((field) => field.split(":")[0]);
      const wanted: Record<string, string[]> = {
        private: [],
        rprivate: [],
        shared: ["master", "shared"],
        rshared: ["master", "shared"],
        unbindable: ["unbindable"],
      };
      expect(root?.toSorted()).toEqual(wanted[propagation ?? ""] ?? ["master"]);
      // What the container mounts on a shared root is shared as well; no other is.
      const inside = mountAt(output, "/m")?.propagation ?? [];
      expect(inside.some((field) => field.startsWith("shared:"))).toBe(propagation?.endsWith("shared") === true);
    },
  );

  const volume = (options: string[]): Mounts[number] => ({
    destination: "/volume",
    type: "bind",
    source: fixture.outside("volume"),
    options: ["rbind", ...options],
  });

  test("a shared volume of a container with a shared root passes mounts on to the host, as kubelets need it", () => {
    const { output, failure, leaked } = run("rshared", {
      mounts: [proc, volume(["rshared"])],
      script: "mount -t tmpfs from-inside /volume; cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(output).toContain("from-inside");
    expect(leaked).toBe(true);
    const seen = parseMounts(host.mounts()).filter(({ source }) => source === "from-inside");
    expect(seen.map(({ point }) => point)).toEqual([fixture.outside("volume")]);
  });

  test("without a shared root, or as a slave, it does not", () => {
    for (const [propagation, option] of [
      [undefined, "rshared"],
      ["rshared", "rslave"],
      ["rshared", "rprivate"],
    ] as const) {
      const { failure, leaked } = run(propagation, {
        mounts: [proc, volume([option])],
        script: "mount -t tmpfs from-inside /volume",
      });
      expect(failure).toBeUndefined();
      expect(leaked).toBe(false);
    }
  });

  test("a mount of the host inside the rootfs does not pass mounts on, shared or not", async () => {
    const inside = join(fixture.rootfs, "inside");
    mkdirSync(inside);
    const other = new SharedHost(fixture.directory, inside);
    try {
      const { output, failure, leaked } = run(
        "shared",
        {
          mounts: [proc, { destination: "/inside/made", type: "tmpfs", source: "tmpfs" }],
          script: "mount -t tmpfs from-inside /inside; cat /proc/self/mountinfo",
        },
        other,
      );
      expect(failure).toBeUndefined();
      expect(mountAt(output, "/inside/made")?.type).toBe("tmpfs");
      expect(leaked).toBe(false);
    } finally {
      await other.close();
    }
  });

  test("a source that the host opens for a user namespace passes nothing on either", () => {
    const source = fixture.makeDirectory("opened");
    fixture.giveToMappedRoot();
    execFileSync("mount", ["-t", "tmpfs", "-o", "mode=777", "opened", source]);
    try {
      execFileSync("mount", ["--make-shared", source]);
      const withVolume = hostMounts();
      const { output, failure } = fixture.run({
        linux: { namespaces: [...defaultNamespaces, { type: "user" }], ...userMappings, rootfsPropagation: "shared" },
        mounts: [proc, { destination: "/volume", type: "bind", source, options: ["rbind", "rshared"] }],
        script: "mkdir /volume/m; mount -t tmpfs from-inside /volume/m; cat /proc/self/mountinfo",
      });
      expect(failure).toBeUndefined();
      expect(mountAt(output, "/volume/m")?.source).toBe("from-inside");
      expect(hostMounts()).toBe(withVolume);
    } finally {
      execFileSync("umount", ["-R", source]);
    }
  });

  test("a slave volume sees what the host mounts", () => {
    const { output, failure } = run(undefined, {
      mounts: [proc, volume(["rslave"])],
      script: "cat /proc/self/mountinfo",
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, "/volume")?.propagation).toEqual([expect.stringMatching(/^master:/)]);
  });
});

describe("without pivot_root", () => {
  test("the root is entered all the same, and the host's procfs and sysfs are gone before", () => {
    const result = join(fixture.rootfs, "tmp/result");
    // A process of a hook keeps the host's root, in the container's mount namespace.
    const watcher = `(while [ ! -e ${fixture.rootfs}/tmp/go ]; do sleep 0.01; done; ls /proc /sys >${result}.new 2>&1; cat /dev/null; mv ${result}.new ${result}) >/dev/null 2>&1 </dev/null &`;
    const hook: ContainerStep = {
      kind: "hook.run",
      hook: "createContainer",
      index: 0,
      path: "/bin/sh",
      args: ["sh", "-c", watcher],
      env: ["PATH=/usr/bin:/bin"],
      directory: "/",
      timeoutMs: 0,
      stateBefore: "{}",
      stateAfter: "",
      out: null,
      err: null,
    };
    const { output, failure } = fixture.run({
      noPivot: true,
      beforePivot: [hook],
      script:
        "cat /proc/self/mountinfo; touch /tmp/go; while [ ! -e /tmp/result ]; do sleep 0.01; done; readlink /proc/self/cwd; ls /..",
    });
    expect(failure).toBeUndefined();
    expect(mountAt(output, "/proc")?.type).toBe("proc");
    expect(output).toMatch(/^\/\nbin\n/m);
    // Empty directories, whatever was listed: no process, no class.
    expect(readFileSync(result, "utf8")).not.toMatch(/^(1|self|class|kernel)$/m);
  });

  test("a private root is refused", () => {
    expect(() =>
      fixture.run({
        noPivot: true,
        linux: { namespaces: defaultNamespaces, rootfsPropagation: "private" },
        script: "true",
      }),
    ).toThrow("not safe without pivot_root");
  });
});

describe("without a mount namespace", () => {
  const namespaces = defaultNamespaces.filter(({ type }) => type !== "mount");
  const run = (mounts: Mounts, script: string, atEnd: ContainerStep[] = []) => {
    mkdirSync(join(fixture.rootfs, "host"), { recursive: true });
    writeFileSync(join(fixture.rootfs, "host/output"), "");
    const request = { mounts, linux: { namespaces }, script, atEnd };
    return fixture.execute(fixture.plan(request, ""), join(fixture.rootfs, "host/output"));
  };
  const detach: HostStep = { kind: "root.detach", path: "", now: true };
  const remove = (): void => {
    const session = openSession();
    const { failure } = session.execute(
      encodePlan({ title: "test", host: [{ ...detach, path: fixture.rootfs }], container: [] }),
    );
    session.close();
    expect(failure).toBeUndefined();
  };

  test("the program is confined to the root, and nothing is mounted if nothing is asked for", () => {
    const { output, failure } = run([], "pwd; ls /..; echo >/dev/null && echo null");
    expect(failure).toBeUndefined();
    expect(output).toBe("/\nbin\ndev\netc\nhost\ntmp\nnull\n");
  });

  test("mounts are the host's, all below one, which delete detaches", () => {
    const { output, failure } = run(
      [proc, { destination: "/t", type: "tmpfs", source: "left" }],
      "grep -c left /proc/self/mountinfo",
    );
    expect(failure).toBeUndefined();
    expect(output).toBe("1\n");
    expect(mountAt(hostMounts(), join(fixture.rootfs, "t"))?.source).toBe("left");
    remove();
    expect(hostMounts()).toBe(before);
    // Again, and nothing more is taken away.
    remove();
  });

  test("a create that fails takes them away by itself", () => {
    const { failure } = run([proc, { destination: "/t", type: "tmpfs", source: "left" }], "true", [
      { kind: "process.cwd", path: "/missing", asUser: false },
    ]);
    expect(failure).toMatchObject({ kind: "process.cwd" });
  });
});
