/** The config.json that `tsrun spec` writes: what `runc spec` gives, in runc's order, so that callers can edit it alike. */
import type { Config } from "../../spec-schemas/config.ts";
import { specVersion } from "../core/version.ts";
import { readHostFacts } from "../host/read.ts";

export interface TemplateOptions {
  /** For a caller without privileges: a user namespace in which its own uid and gid are 0. */
  readonly rootless: boolean;
  /** Only cgroup v2 is mounted: the container gets a cgroup namespace, as with runc. Unless given, as the host is. */
  readonly unifiedCgroups?: boolean | undefined;
}

/** Plain data without undefined, ready for JSON.stringify. */
export function defaultConfig(options: TemplateOptions): Config {
  const capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
  const { rootless, unifiedCgroups = readHostFacts().cgroup.mode === "v2" } = options;
  return {
    ociVersion: specVersion,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      // No ambient set: without an inheritable one the kernel grants none of it.
      capabilities: { bounding: [...capabilities], effective: [...capabilities], permitted: [...capabilities] },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "tsrun",
    mounts: [
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
        // gid 5 (tty) is not mapped in a user namespace of one id.
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", ...(rootless ? [] : ["gid=5"])],
      },
      {
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
      },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
      // A new sysfs needs a network namespace that belongs to the user namespace; rootless keeps the host's network.
      rootless
        ? { destination: "/sys", type: "none", source: "/sys", options: ["rbind", "nosuid", "noexec", "nodev", "ro"] }
        : { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
      {
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
      },
    ],
    linux: {
      // Limits need a cgroup, which an unprivileged caller may not make.
      ...(rootless ? ownIds() : { resources: { devices: [{ allow: false, access: "rwm" }] } }),
      namespaces: [
        { type: "pid" },
        ...(rootless ? [] : [{ type: "network" as const }]),
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        ...(unifiedCgroups ? [{ type: "cgroup" as const }] : []),
        ...(rootless ? [{ type: "user" as const }] : []),
      ],
      maskedPaths: [
        "/proc/acpi",
        "/proc/asound",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/sys/firmware",
        "/proc/scsi",
        "/sys/devices/virtual/tpm",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}

/** The caller's ids as 0: the one mapping that needs no privilege (user_namespaces(7)). */
function ownIds(): Pick<NonNullable<Config["linux"]>, "uidMappings" | "gidMappings"> {
  return {
    uidMappings: [{ containerID: 0, hostID: process.geteuid?.() ?? 0, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: process.getegid?.() ?? 0, size: 1 }],
  };
}
