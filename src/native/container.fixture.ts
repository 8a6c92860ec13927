/** For tests: containers made of the compiler's pieces, with a root file system of busybox in a temporary directory. */

import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../../spec-schemas/config.ts";
import { deviceSteps } from "../compile/devices.ts";
import type { CompileInput } from "../compile/input.ts";
import type { Place } from "../compile/kill.ts";
import { mountHostSteps, mountSteps } from "../compile/mounts.ts";
import {
  enterCgroupNamespace,
  enterNamespaces,
  openNamespaces,
  processShape,
  serveNamespaces,
} from "../compile/namespaces.ts";
import { announceNetwork, moveNetDevices } from "../compile/net-devices.ts";
import { pathSteps } from "../compile/paths.ts";
import { pivotSteps, rootFinishSteps, rootHostSteps, rootSteps } from "../compile/root.ts";
import type { AbsPath, ContainerId } from "../core/brands.ts";
import type { HostFacts } from "../host/facts.ts";
import { type MountInfo, parseMountinfo } from "../host/mountinfo.ts";
import { kernelVersion } from "../host/read.ts";
import { encodePlan, point } from "../plan/encode.ts";
import type { ContainerStep, HostStep, Plan } from "../plan/vocabulary.ts";
import { openSession, type StepFailure } from "./native.ts";

export type Mounts = NonNullable<Config["mounts"]>;
type Linux = NonNullable<Config["linux"]>;

const kernelOf = ([major, minor]: readonly [major: number, minor: number]): HostFacts["kernel"] => ({
  release: `${major}.${minor}`,
  major,
  minor,
});

/** Whether the kernel that runs the test has what came with this version. */
export function kernelAtLeast(major: number, minor: number): boolean {
  const own = kernelVersion();
  return own.major > major || (own.major === major && own.minor >= minor);
}

/** What `spec` writes. */
export const defaultMounts: Mounts = [
  { destination: "/proc", type: "proc", source: "proc" },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
  },
  { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
];

export const defaultNamespaces: NonNullable<Linux["namespaces"]> = [
  { type: "mount" },
  { type: "pid" },
  { type: "network" },
  { type: "ipc" },
  { type: "uts" },
];

export const userMappings = {
  uidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
  gidMappings: [{ containerID: 0, hostID: 100_000, size: 65_536 }],
};

export interface ContainerRequest {
  readonly mounts?: Mounts;
  readonly linux?: Linux;
  readonly readonlyRoot?: boolean;
  readonly noPivot?: boolean;
  readonly places?: readonly Place[];
  readonly cgroup?: HostFacts["cgroup"];
  /** The version to compile for; this kernel's if not given. */
  readonly kernel?: readonly [major: number, minor: number];
  /** Host steps before the spawn. */
  readonly hostFirst?: readonly HostStep[];
  /** Right after the namespaces: what stands for the host's mounts, in the container's own namespace. */
  readonly first?: readonly ContainerStep[];
  /** Between the devices and pivot_root. */
  readonly beforePivot?: readonly ContainerStep[];
  /** After everything else. */
  readonly atEnd?: readonly ContainerStep[];
  readonly script: string;
}

export interface ContainerResult {
  /** Standard output and error of the script. */
  readonly output: string;
  readonly failure?: StepFailure;
  /** Exit status of the script. */
  readonly value?: number;
}

/** A temporary directory with `rootfs` in it; everything is gone after `close`. */
export class ContainerFixture {
  readonly directory: string;
  readonly rootfs: string;
  #count = 0;

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), "tsrun-mounts-"));
    // For users of a user namespace.
    chmodSync(this.directory, 0o755);
    this.rootfs = join(this.directory, "rootfs");
    this.newRootfs();
  }

  close(): void {
    rmSync(this.directory, { recursive: true });
  }

  /** Starts from an empty root file system again. */
  newRootfs(): void {
    rmSync(this.rootfs, { recursive: true, force: true });
    for (const name of ["bin", "etc", "tmp", "host"]) mkdirSync(join(this.rootfs, name), { recursive: true });
    this.#installBusybox();
  }

  #installBusybox(): void {
    const first = join(this.rootfs, "bin/busybox");
    execFileSync("cp", ["/bin/busybox", first]);
    const applets =
      "sh cat ls stat mkdir touch rm mount umount readlink test id sleep grep echo ln find mountpoint mv chmod true ip";
    for (const applet of applets.split(" ")) linkSync(first, join(this.rootfs, "bin", applet));
  }

  /** A path below the fixture's directory, outside the root file system. */
  outside(name: string): string {
    return join(this.directory, name);
  }

  makeDirectory(name: string): string {
    const path = this.outside(name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Gives the root file system to the root of `userMappings`. */
  giveToMappedRoot(): void {
    execFileSync("chown", ["-R", "100000:100000", this.rootfs]);
  }

  /** Puts a symbolic link into the root file system in place of whatever is there. */
  link(path: string, target: string): void {
    rmSync(join(this.rootfs, path), { recursive: true, force: true });
    symlinkSync(target, join(this.rootfs, path));
  }

  input(request: ContainerRequest): CompileInput {
    const config = {
      ociVersion: "1.3.0",
      root: { path: "rootfs", readonly: request.readonlyRoot ?? false },
      mounts: request.mounts ?? defaultMounts,
      linux: { namespaces: defaultNamespaces, ...request.linux },
    } as Config;
    const facts = {
      kernel: request.kernel === undefined ? kernelVersion() : kernelOf(request.kernel),
      uid: 0,
      cgroup: request.cgroup ?? { mode: "none", hierarchies: [] },
      lsm: { apparmor: false, selinux: false },
    } as unknown as HostFacts;
    return {
      id: "test" as ContainerId,
      bundle: this.directory as AbsPath,
      rootfs: this.rootfs as AbsPath,
      config,
      facts,
      options: { noPivot: request.noPivot ?? false } as CompileInput["options"],
    };
  }

  /** The plan of a container that runs the script and writes what it says to `output`, or to a file of its own root. */
  plan(request: ContainerRequest, output: string): Plan {
    const base = this.input(request);
    const mounts: Mounts = [
      ...(base.config.mounts ?? []),
      { destination: "/host/output", type: "bind", source: output, options: ["bind"] },
    ];
    const hasMountNamespace = base.config.linux?.namespaces?.some(({ type }) => type === "mount") ?? false;
    const input: CompileInput = {
      ...base,
      config: { ...base.config, mounts: hasMountNamespace ? mounts : base.config.mounts },
    };
    const shape = processShape(input.config);
    const waits = input.config.linux?.netDevices !== undefined;
    const host: HostStep[] = [
      ...(request.hostFirst ?? []),
      ...openNamespaces(shape, input.config),
      ...mountHostSteps(input),
      ...rootHostSteps(input),
      { kind: "process.spawn", cloneFlags: shape.spawnFlags, cgroup: null, keepFds: 0 },
      ...serveNamespaces(shape, input),
      ...moveNetDevices(input, shape),
      ...(waits ? [{ kind: "sync.signal", point: point("host-ready") } as const] : []),
      { kind: "process.waitExec" },
    ];
    const container: ContainerStep[] = [
      ...enterNamespaces(shape, input),
      ...(request.first ?? []),
      ...rootSteps(input),
      ...announceNetwork(input),
      ...(waits ? [{ kind: "sync.wait", point: point("host-ready") } as const] : []),
      ...enterCgroupNamespace(shape),
      ...mountSteps(input, request.places ?? []),
      ...deviceSteps(input),
      ...(request.beforePivot ?? []),
      ...pivotSteps(input),
      ...rootFinishSteps(input),
      ...pathSteps(input),
      ...(request.atEnd ?? []),
      {
        kind: "process.exec",
        program: "/bin/sh",
        path: "/bin",
        args: ["sh", "-c", `exec >/host/output 2>&1; ${request.script}`],
        env: ["PATH=/bin"],
        home: false,
      },
    ];
    return { title: "test", host, container };
  }

  run(request: ContainerRequest): ContainerResult {
    const output = this.outside(`output-${this.#count++}`);
    writeFileSync(output, "", { mode: 0o666 });
    chmodSync(output, 0o666);
    return this.execute(this.plan(request, output), output);
  }

  execute(plan: Plan, output: string): ContainerResult {
    const session = openSession();
    try {
      const { failure } = session.execute(encodePlan(plan));
      if (failure !== undefined) return { output: "", failure };
      session.commit();
      const { value } = session.attach();
      return { output: readFileSync(output, "utf8"), value };
    } finally {
      session.close();
    }
  }
}

/** The mounts of this process, for a comparison of before and after. */
export const hostMounts = (): string => readFileSync("/proc/self/mountinfo", "utf8");

/** The mounts that a container's `cat /proc/self/mountinfo` shows, whatever it prints beside them. */
export const parseMounts = (output: string): MountInfo[] =>
  parseMountinfo(
    output
      .split("\n")
      .filter((line) => / - /.test(line))
      .join("\n"),
  );

/** The topmost mount at a path. */
export function mountAt(mountinfo: string, point: string): MountInfo | undefined {
  return parseMounts(mountinfo).findLast((mount) => mount.point === point);
}
