/**
 * config.json of runtime-spec v1.3.0 for Linux: config.md and config-linux.md. Property names are the spec's. Unknown
 * properties are accepted and dropped, as config.md "Extensibility" says; so are the sections of other platforms. Rules
 * between fields are in src/bundle/rules.ts.
 */
import * as z from "zod/mini";

/** Text that goes to the kernel: a NUL would end it early. */
export const withoutNul = (value: string): boolean => !value.includes("\0");
const text = z.string().check(z.refine(withoutNul, "text without NUL"));
const texts = z.array(text);
const uint16 = z.int().check(z.gte(0), z.lte(65_535));
const uint32 = z.int().check(z.gte(0), z.lte(4_294_967_295));
const int32 = z.int().check(z.gte(-2_147_483_648), z.lte(2_147_483_647));
/**
 * 64-bit integers are numbers as long as they are exact (below 2^53) and bigints beyond: the loader keeps every digit of
 * RLIM_INFINITY (src/bundle/json.ts).
 */
const uint64 = z.union(
  [z.int().check(z.gte(0)), z.bigint().check(z.gte(0n), z.lte(18_446_744_073_709_551_615n))],
  "an integer from 0 to 2^64-1",
);
const int64 = z.union(
  [z.int(), z.bigint().check(z.gte(-9_223_372_036_854_775_808n), z.lte(9_223_372_036_854_775_807n))],
  "an integer of 64 bits",
);
const optional = z.optional;
const mapOfText = z.record(text, text);

const hook = z.object({
  path: text,
  args: optional(texts),
  env: optional(texts),
  timeout: optional(z.int().check(z.gte(1))),
});
const hooks = z.object({
  prestart: optional(z.array(hook)),
  createRuntime: optional(z.array(hook)),
  createContainer: optional(z.array(hook)),
  startContainer: optional(z.array(hook)),
  poststart: optional(z.array(hook)),
  poststop: optional(z.array(hook)),
});

const idMapping = z.object({ containerID: uint32, hostID: uint32, size: uint32 });

const mount = z.object({
  destination: text,
  source: optional(text),
  type: optional(text),
  options: optional(texts),
  uidMappings: optional(z.array(idMapping)),
  gidMappings: optional(z.array(idMapping)),
});

const user = z.object({
  uid: optional(uint32),
  gid: optional(uint32),
  umask: optional(uint32),
  additionalGids: optional(z.array(uint32)),
  username: optional(text),
});

const capabilities = z.object({
  bounding: optional(texts),
  permitted: optional(texts),
  effective: optional(texts),
  inheritable: optional(texts),
  ambient: optional(texts),
});

const cpuList = z.string().check(z.regex(/^[0-9, -]*$/, "a list of CPUs such as 0-3,7"));

const scheduler = z.object({
  policy: z.enum(["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"]),
  nice: optional(int32),
  priority: optional(int32),
  flags: optional(
    z.array(
      z.enum([
        "SCHED_FLAG_RESET_ON_FORK",
        "SCHED_FLAG_RECLAIM",
        "SCHED_FLAG_DL_OVERRUN",
        "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS",
        "SCHED_FLAG_UTIL_CLAMP_MIN",
        "SCHED_FLAG_UTIL_CLAMP_MAX",
      ]),
    ),
  ),
  runtime: optional(uint64),
  deadline: optional(uint64),
  period: optional(uint64),
});

/** The `process` object; also what `exec --process FILE` reads. */
export const processSchema = z.object({
  cwd: text,
  args: optional(texts),
  commandLine: optional(z.string()),
  env: optional(texts),
  terminal: optional(z.boolean()),
  consoleSize: optional(z.object({ height: uint64, width: uint64 })),
  user: optional(user),
  capabilities: optional(capabilities),
  rlimits: optional(
    z.array(
      z.object({
        type: z.string().check(z.regex(/^RLIMIT_[A-Z]+$/, "a name such as RLIMIT_NOFILE")),
        soft: uint64,
        hard: uint64,
      }),
    ),
  ),
  noNewPrivileges: optional(z.boolean()),
  oomScoreAdj: optional(z.int()),
  apparmorProfile: optional(text),
  selinuxLabel: optional(text),
  scheduler: optional(scheduler),
  ioPriority: optional(
    z.object({ class: z.enum(["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]), priority: optional(int32) }),
  ),
  execCPUAffinity: optional(z.object({ initial: optional(cpuList), final: optional(cpuList) })),
});

const device = z.object({
  type: z.string().check(z.regex(/^[cbup]$/, "one of c, b, u, p")),
  path: text,
  major: optional(int64),
  minor: optional(int64),
  // A whole st_mode: podman and docker leave the type of the host's device in it.
  fileMode: optional(z.int().check(z.gte(0), z.lte(0o177777))),
  uid: optional(uint32),
  gid: optional(uint32),
});

const deviceRule = z.object({
  allow: z.boolean(),
  type: optional(text),
  major: optional(int64),
  minor: optional(int64),
  access: optional(text),
});

const throttle = z.array(z.object({ major: int64, minor: int64, rate: optional(uint64) }));

/** linux.resources; also what `update` takes. */
export const resourcesSchema = z.object({
  unified: optional(mapOfText),
  devices: optional(z.array(deviceRule)),
  pids: optional(z.object({ limit: optional(int64) })),
  memory: optional(
    z.object({
      limit: optional(int64),
      reservation: optional(int64),
      swap: optional(int64),
      kernel: optional(int64),
      kernelTCP: optional(int64),
      swappiness: optional(uint64),
      disableOOMKiller: optional(z.boolean()),
      useHierarchy: optional(z.boolean()),
      checkBeforeUpdate: optional(z.boolean()),
    }),
  ),
  cpu: optional(
    z.object({
      shares: optional(uint64),
      quota: optional(int64),
      burst: optional(uint64),
      period: optional(uint64),
      realtimeRuntime: optional(int64),
      realtimePeriod: optional(uint64),
      cpus: optional(text),
      mems: optional(text),
      idle: optional(int64),
    }),
  ),
  blockIO: optional(
    z.object({
      weight: optional(uint16),
      leafWeight: optional(uint16),
      weightDevice: optional(
        z.array(z.object({ major: int64, minor: int64, weight: optional(uint16), leafWeight: optional(uint16) })),
      ),
      throttleReadBpsDevice: optional(throttle),
      throttleWriteBpsDevice: optional(throttle),
      throttleReadIOPSDevice: optional(throttle),
      throttleWriteIOPSDevice: optional(throttle),
    }),
  ),
  hugepageLimits: optional(
    z.array(
      z.object({ pageSize: z.string().check(z.regex(/^[1-9][0-9]*[KMG]B$/, "a size such as 2MB")), limit: uint64 }),
    ),
  ),
  network: optional(
    z.object({ classID: optional(uint32), priorities: optional(z.array(z.object({ name: text, priority: uint32 }))) }),
  ),
  rdma: optional(z.record(text, z.object({ hcaHandles: optional(uint32), hcaObjects: optional(uint32) }))),
});

export const seccompActions = [
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
] as const;
export const seccompOperators = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] as const;
export const seccompFlags = [
  "SECCOMP_FILTER_FLAG_TSYNC",
  "SECCOMP_FILTER_FLAG_LOG",
  "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
  "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
] as const;
export const seccompArchitectures = [
  "SCMP_ARCH_X86",
  "SCMP_ARCH_X86_64",
  "SCMP_ARCH_X32",
  "SCMP_ARCH_ARM",
  "SCMP_ARCH_AARCH64",
  "SCMP_ARCH_LOONGARCH64",
  "SCMP_ARCH_M68K",
  "SCMP_ARCH_MIPS",
  "SCMP_ARCH_MIPS64",
  "SCMP_ARCH_MIPS64N32",
  "SCMP_ARCH_MIPSEL",
  "SCMP_ARCH_MIPSEL64",
  "SCMP_ARCH_MIPSEL64N32",
  "SCMP_ARCH_PPC",
  "SCMP_ARCH_PPC64",
  "SCMP_ARCH_PPC64LE",
  "SCMP_ARCH_S390",
  "SCMP_ARCH_S390X",
  "SCMP_ARCH_SH",
  "SCMP_ARCH_SHEB",
  "SCMP_ARCH_PARISC",
  "SCMP_ARCH_PARISC64",
  "SCMP_ARCH_RISCV64",
] as const;
const action = z.enum(seccompActions);
export const seccompArgument = z.object({
  index: uint32,
  value: uint64,
  valueTwo: optional(uint64),
  op: z.enum(seccompOperators),
});

const seccomp = z.object({
  defaultAction: action,
  defaultErrnoRet: optional(uint32),
  architectures: optional(z.array(z.enum(seccompArchitectures))),
  flags: optional(z.array(z.enum(seccompFlags))),
  listenerPath: optional(text),
  listenerMetadata: optional(z.string()),
  syscalls: optional(
    z.array(
      z.object({
        names: z.array(text).check(z.minLength(1)),
        action,
        errnoRet: optional(uint32),
        args: optional(z.array(seccompArgument)),
      }),
    ),
  ),
});

export const namespaceTypes = ["mount", "pid", "network", "uts", "ipc", "user", "cgroup", "time"] as const;
const timeOffset = z.object({ secs: optional(int64), nanosecs: optional(uint32) });

const linux = z.object({
  namespaces: optional(z.array(z.object({ type: z.enum(namespaceTypes), path: optional(text) }))),
  uidMappings: optional(z.array(idMapping)),
  gidMappings: optional(z.array(idMapping)),
  timeOffsets: optional(z.object({ monotonic: optional(timeOffset), boottime: optional(timeOffset) })),
  devices: optional(z.array(device)),
  netDevices: optional(z.record(text, z.object({ name: optional(text) }))),
  cgroupsPath: optional(text),
  resources: optional(resourcesSchema),
  // The forms with r are not the spec's; containerd writes them, and runc takes them.
  rootfsPropagation: optional(
    z.enum(["private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"]),
  ),
  seccomp: optional(seccomp),
  sysctl: optional(mapOfText),
  maskedPaths: optional(texts),
  readonlyPaths: optional(texts),
  mountLabel: optional(text),
  intelRdt: optional(
    z.object({
      closID: optional(text),
      schemata: optional(texts),
      l3CacheSchema: optional(text),
      memBwSchema: optional(z.string().check(z.regex(/^MB:[^\n]*$/, "a line that begins with MB:"))),
      enableMonitoring: optional(z.boolean()),
    }),
  ),
  memoryPolicy: optional(
    z.object({
      mode: optional(
        z.enum([
          "MPOL_DEFAULT",
          "MPOL_BIND",
          "MPOL_INTERLEAVE",
          "MPOL_WEIGHTED_INTERLEAVE",
          "MPOL_PREFERRED",
          "MPOL_PREFERRED_MANY",
          "MPOL_LOCAL",
        ]),
      ),
      nodes: optional(text),
      flags: optional(z.array(z.enum(["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"]))),
    }),
  ),
  personality: optional(z.object({ domain: optional(z.enum(["LINUX", "LINUX32"])), flags: optional(texts) })),
});

/** The whole of config.json. */
export const configSchema = z.object({
  ociVersion: z.string(),
  root: optional(z.object({ path: text, readonly: optional(z.boolean()) })),
  mounts: optional(z.array(mount)),
  process: optional(processSchema),
  hostname: optional(text),
  domainname: optional(text),
  hooks: optional(hooks),
  annotations: optional(mapOfText),
  linux: optional(linux),
  vm: optional(z.unknown()),
});

export type Config = z.infer<typeof configSchema>;
export type Process = z.infer<typeof processSchema>;
export type Hook = z.infer<typeof hook>;
export type Hooks = z.infer<typeof hooks>;
export type Mount = z.infer<typeof mount>;
export type IdMapping = z.infer<typeof idMapping>;
export type User = z.infer<typeof user>;
export type Capabilities = z.infer<typeof capabilities>;
export type Linux = z.infer<typeof linux>;
export type DeviceRule = z.infer<typeof deviceRule>;
export type Resources = z.infer<typeof resourcesSchema>;
export type Seccomp = z.infer<typeof seccomp>;
export type Rlimit = NonNullable<Process["rlimits"]>[number];
export type NamespaceType = (typeof namespaceTypes)[number];
