/**
 * What each program of the validation suite is expected to give, with the reason for each that cannot pass. The suite was
 * written against runtime-spec 1.0.2, and some of its programs are wrong.
 */
import { host } from "../host.ts";
import type { Runtime } from "../outcome.ts";

type Impossible = (runtime: Runtime) => string | undefined;

export interface Expectation {
  /** Why tsrun cannot pass on this host; undefined when it must pass. */
  readonly impossible: Impossible;
  /** What the peers gave where this was written: runc 1.1.5 and crun 1.8.1 of Debian 12 on Linux 6.18, cgroup v1. */
  readonly runc: "passed" | "failed";
  readonly crun: "passed" | "failed";
}

/**
 * Programs that race with the container. A right runtime mostly passes them in one of a few attempts, and the faster it is
 * the less: a failure of just this kind counts as skipped. runtime/ has tests of ours for the same that wait.
 */
export const racing: Readonly<Record<string, { readonly reason: string; readonly detail: RegExp }>> = {
  killsig: { reason: "sends the signal without waiting for the trap", detail: /signal|kill/i },
  poststart: {
    reason: "wants the program to have written before the hook does, which nothing orders",
    detail: /MUST be called after the user-specified process is executed/,
  },
};

const CAP_SYS_RESOURCE = 24;

function row(
  runc: "passed" | "failed",
  crun: "passed" | "failed",
  impossible: string | Impossible = () => undefined,
): Expectation {
  return { runc, crun, impossible: typeof impossible === "string" ? () => impossible : impossible };
}
function needsV1(controller: string, further: Impossible = () => undefined): Impossible {
  return (runtime) =>
    runtime.cgroups !== "v2" && host.v1Controller(controller)
      ? further(runtime)
      : `the program reads a v1 ${controller} hierarchy, which is not there`;
}
function needsModule(name: "apparmor" | "selinux", further: Impossible = () => undefined): Impossible {
  return (runtime) =>
    host.securityModule(name)
      ? further(runtime)
      : `this kernel runs without ${name}: a protection that was asked for and cannot be had is an error here (docs/decisions/0004)`;
}
const leafWeight = "the program sets blkio.leaf_weight, which Linux 5.0 removed with CFQ";
const kmem = (): string | undefined =>
  host.kernelAtLeast(5, 16)
    ? "the program reads back a limit of kernel memory, which Linux 5.16 stopped keeping"
    : undefined;

export const expectations: Readonly<Record<string, Expectation>> = {
  config_updates_without_affect: row("passed", "passed"),
  create: row("passed", "passed"),
  default: row("passed", "passed"),
  delete: row(
    "failed",
    "failed",
    "wants an error for deleting a created container; runc's and crun's callers rely on that it works (docs/decisions/0003)",
  ),
  delete_only_create_resources: row("passed", "passed", needsV1("pids")),
  delete_resources: row("passed", "passed", needsV1("pids")),
  hooks: row("failed", "failed", "the program is wrong: it compares with text that its hooks do not write"),
  hooks_stdin: row("failed", "passed"),
  hostname: row("passed", "passed"),
  kill: row("passed", "passed"),
  kill_no_effect: row("passed", "passed"),
  killsig: row("passed", "passed"),
  linux_cgroups_blkio: row(
    "failed",
    "failed",
    needsV1("blkio", () => leafWeight),
  ),
  linux_cgroups_cpus: row("passed", "passed", needsV1("cpu")),
  linux_cgroups_devices: row("failed", "passed", needsV1("devices")),
  linux_cgroups_hugetlb: row("failed", "failed", needsV1("hugetlb")),
  linux_cgroups_memory: row("failed", "failed", needsV1("memory", kmem)),
  linux_cgroups_network: row("failed", "failed", needsV1("net_cls")),
  linux_cgroups_pids: row("passed", "passed", needsV1("pids")),
  linux_cgroups_relative_blkio: row(
    "failed",
    "failed",
    needsV1("blkio", () => leafWeight),
  ),
  linux_cgroups_relative_cpus: row("passed", "passed", needsV1("cpu")),
  linux_cgroups_relative_devices: row("failed", "passed", needsV1("devices")),
  linux_cgroups_relative_hugetlb: row("failed", "failed", needsV1("hugetlb")),
  linux_cgroups_relative_memory: row("failed", "failed", needsV1("memory", kmem)),
  linux_cgroups_relative_network: row("failed", "failed", needsV1("net_cls")),
  linux_cgroups_relative_pids: row("passed", "passed", needsV1("pids")),
  linux_devices: row("passed", "passed"),
  linux_masked_paths: row("passed", "passed"),
  linux_mount_label: row(
    "failed",
    "passed",
    needsModule("selinux", () =>
      host.selinuxKnows("system_u:object_r:svirt_sandbox_file_t:s0")
        ? undefined
        : "the program's label, of type svirt_sandbox_file_t, is not in this host's SELinux policy",
    ),
  ),
  linux_ns_itype: row("passed", "passed"),
  linux_ns_nopath: row("passed", "passed"),
  linux_ns_path: row("passed", "passed"),
  linux_ns_path_type: row("passed", "passed"),
  linux_process_apparmor_profile: row(
    "failed",
    "failed",
    needsModule("apparmor", () =>
      host.apparmorKnows("acme_secure_profile")
        ? undefined
        : "the program's profile, acme_secure_profile, is not loaded on this host",
    ),
  ),
  linux_readonly_paths: row("passed", "passed"),
  linux_rootfs_propagation: row("failed", "passed"),
  linux_seccomp: row("failed", "passed"),
  linux_sysctl: row("passed", "passed"),
  linux_uid_mappings: row("passed", "passed"),
  misc_props: row(
    "failed",
    "failed",
    "the program is wrong: it runs /runtimetest, which it never copies into the root file system",
  ),
  mounts: row("passed", "passed"),
  pidfile: row(
    "failed",
    "failed",
    "the program is wrong: it kills a container whose process has exited, and wants success",
  ),
  poststart: row("failed", "passed"),
  poststart_fail: row(
    "failed",
    "failed",
    "wants a failing poststart hook to be a warning; in runtime-spec 1.3 it is an error and the container is stopped",
  ),
  poststop: row("passed", "passed"),
  poststop_fail: row("failed", "failed"),
  prestart: row("failed", "failed", "wants prestart hooks to run in start; since runtime-spec 1.1 they run in create"),
  prestart_fail: row("passed", "passed"),
  process: row("passed", "passed"),
  process_capabilities: row("failed", "failed", () =>
    host.capability(CAP_SYS_RESOURCE)
      ? undefined
      : "the program asks for CAP_SYS_RESOURCE, which root has not on this host",
  ),
  process_capabilities_fail: row(
    "failed",
    "failed",
    "wants an error for an unknown capability; since runtime-spec 1.1 it is a warning",
  ),
  process_oom_score_adj: row("passed", "passed"),
  process_rlimits: row(
    "failed",
    "failed",
    "the probe is wrong: Go raises its own soft limit of open files before it looks",
  ),
  process_rlimits_fail: row("passed", "passed"),
  process_user: row("passed", "passed"),
  root_readonly_true: row("passed", "passed"),
  start: row("failed", "failed", "the program is wrong: its last condition is negated"),
  state: row("passed", "passed"),
};
