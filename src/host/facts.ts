import type { AbsPath } from "../core/brands.ts";

/** One mounted cgroup hierarchy. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** Where it is mounted, such as /sys/fs/cgroup/memory or /sys/fs/cgroup/unified. */
  readonly mountPoint: AbsPath;
  /** v1: its controllers or `name=systemd`; v2: what cgroup.controllers of the mount's root lists. */
  readonly controllers: readonly string[];
  /** This process's cgroup in it, relative to the mount point, with a leading slash. */
  readonly own: string;
  /**
   * Whether tsrun may make cgroups where containers go by default: below `own` (v1), beside it (v2). Without root it may
   * not, unless that place was delegated to its user.
   */
  readonly writable: boolean;
}

export interface CgroupFacts {
  /** `v2`: /sys/fs/cgroup is cgroup2; `hybrid`: v1 hierarchies and a cgroup2 beside them; `none`: nothing mounted. */
  readonly mode: "v1" | "hybrid" | "v2" | "none";
  readonly hierarchies: readonly Hierarchy[];
}

/** What the caller's process was like before Node changed it (bin/tsrun records it). */
export interface LaunchState {
  readonly nofile: { readonly soft: bigint; readonly hard: bigint };
  /** Bit n-1 is signal n. */
  readonly ignoredSignals: bigint;
  /** Descriptors that were open, or undefined when nobody recorded them. */
  readonly validFds: readonly number[] | undefined;
}

/** A systemd that manages units: the system's, or a user's. */
export interface SystemdManager {
  readonly user: boolean;
  /** Unix sockets of the manager itself, to be tried in this order. */
  readonly managers: readonly string[];
  /** Of message buses on which it is, to be tried after them. */
  readonly buses: readonly string[];
  /** The cgroup that holds its units' cgroups, relative to the mount point; "" for the root. */
  readonly cgroup: string;
}

/**
 * All that the compiler may know of the host. Plain data: `tsrun plan --host-facts FILE` reads it from JSON (bigints as
 * decimal strings), golden tests write it down.
 */
export interface HostFacts {
  readonly kernel: { readonly release: string; readonly major: number; readonly minor: number };
  /** Effective uid of tsrun. */
  readonly uid: number;
  /** tsrun runs in a user namespace other than the initial one: uid 0 is not the host's root then. */
  readonly inUserNamespace: boolean;
  /** Highest capability number the kernel knows (/proc/sys/kernel/cap_last_cap). */
  readonly lastCapability: number;
  /** tsrun's own permitted capabilities: none beyond them can be granted. */
  readonly permittedCapabilities: bigint;
  readonly cgroup: CgroupFacts;
  /** Where resctrl is mounted; undefined where it is not, or nobody asked. */
  readonly resctrl?: AbsPath | undefined;
  /** Undefined where systemd does not run, or nobody asked. */
  readonly systemd?: SystemdManager | undefined;
  readonly lsm: { readonly apparmor: boolean; readonly selinux: boolean };
  readonly launch: LaunchState;
}

/** One cgroup of a container. */
export interface CgroupPlace {
  /** Where the hierarchy is mounted. */
  readonly hierarchy: string;
  /** Relative to it, with a leading slash. */
  readonly path: string;
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  /** tsrun made it, so delete removes it. */
  readonly created: boolean;
}

/** What a running container's cgroups say, as far as the order or the meaning of an update's writes depends on it. */
export interface PresentLimits {
  /** v1, memory.limit_in_bytes: bytes. */
  readonly memoryLimit?: bigint | undefined;
  /** memory.usage_in_bytes or memory.current: bytes. */
  readonly memoryUsage?: bigint | undefined;
  /** v1, memory.memsw.usage_in_bytes: bytes of memory and swap together. */
  readonly memorySwapUsage?: bigint | undefined;
  /** v2, cpu.max: microseconds, or "max". */
  readonly cpuQuota?: string | undefined;
  /** v1, cpu.rt_runtime_us: microseconds. */
  readonly realtimeRuntime?: bigint | undefined;
}

/** What confines a process. */
export interface ProcessConfinement {
  readonly pid: number;
  /** By the spec's types: what names the namespace, such as `net:[4026531840]`. */
  readonly namespaces: Readonly<Record<string, string>>;
  /** All that is in any of its sets; bit n is capability n. */
  readonly capabilities: bigint;
  readonly noNewPrivileges: boolean;
  readonly seccompFilter: boolean;
  /** Lines of three numbers with one blank between them. */
  readonly uidMap: string;
  readonly gidMap: string;
  /** Of AppArmor (`profile (mode)`) or SELinux; "" without either. */
  readonly label: string;
  readonly cgroups: readonly { readonly hierarchy: string; readonly path: string }[];
}
