/** The message of a failed step, from the fixed record that the executor returns (docs/errors.md). */
import { errnoText, errnoWords } from "../core/errno.ts";
import { TsrunError } from "../core/errors.ts";
import { printable } from "../core/printable.ts";
import type { StepFailure } from "../native/native.ts";
import { renderFields } from "../plan/render.ts";
import type { Plan, Step } from "../plan/vocabulary.ts";

/** Throws the error of a failed plan. */
export function throwFailure(plan: Plan, failure: StepFailure): never {
  const advice = adviceOf(plan, failure);
  throw new TsrunError("step", failureText(plan, failure), {
    cause: failure,
    ...(advice !== undefined && { advice }),
  });
}

/**
 * `create web: step 14 mount.bind: open_tree /srv/data: ENOENT (no such file or directory)`. What the record names may come
 * from an image: it begins no line. A hook's output and CRIU's words have lines of their own.
 */
export function failureText(plan: Plan, found: StepFailure): string {
  const ownLines = found.kind === "hook.run" || found.op === "criu";
  const failure = { ...found, path: printable(found.path), text: ownLines ? found.text : printable(found.text) };
  const { side, index, kind, op } = failure;
  // The program's own faults in the words of runc, which podman, conmon and people look for.
  if (op === "lookup") return `${plan.title}: ${lookupText(failure)}`;
  if (kind === "process.exec" && op === "execve") {
    const interpreter = failure.text === "" ? "" : ` its interpreter ${failure.text}:`;
    return `${plan.title}: exec ${failure.path}:${interpreter} ${errnoWords(failure.errno)}`;
  }
  const step = stepOf(plan, failure);
  if (step?.kind === "hook.run") return `${plan.title}: ${hookText(step, failure)}`;
  const where = side === "host" ? "step" : "container step";
  if (kind === "") return `${plan.title}: the plan was refused: ${causeText(failure)}`;
  // Where the record names nothing, what the step was about.
  const fields = failure.path === "" && step?.kind === kind ? renderFields(step) : "";
  const what = `${where} ${index} ${kind}${fields === "" ? "" : ` (${fields})`}`;
  // A control file says little about what it does not like: show what it was given.
  const given = isControlFile(failure) ? { text: JSON.stringify(failure.text) } : {};
  return `${plan.title}: ${what}: ${causeText({ ...failure, ...given })}`;
}

function isControlFile({ kind, op }: Pick<StepFailure, "kind" | "op">): boolean {
  const writes = kind === "cgroup.write" || kind === "cgroup.writeFirst" || kind === "cgroup.update";
  return writes && (op === "write" || op === "openat2");
}

function stepOf(plan: Plan, { side, index }: StepFailure): Step | undefined {
  return side === "host" ? plan.host[index] : plan.container[index];
}

function lookupText({ path, errno, text }: StepFailure): string {
  const name = `exec: ${JSON.stringify(path)}`;
  const words = errnoWords(errno);
  if (words === "no such file or directory") {
    return path.includes("/") ? `${name}: stat ${path}: ${words}` : `${name}: executable file not found in $PATH`;
  }
  // Docker and podman turn "permission denied" into exit status 126.
  if (errnoText(errno).startsWith("EISDIR")) return `${name}: is a directory: permission denied`;
  return `${name}: ${text === "" ? "" : `${text}: `}${words}`;
}

function hookText(step: Extract<Step, { kind: "hook.run" }>, failure: StepFailure): string {
  const { op, durationMs, text } = failure;
  const cause = causeText({ ...failure, path: "", text: "" });
  // A timeout is a duration already; what could not be executed took none.
  const after = op === "exited" || op === "killed" ? ` after ${Math.round(durationMs)} ms` : "";
  const output = text.trim() === "" ? "" : `; its output: ${text.trim()}`;
  return `${step.hook} hook ${step.index} (${step.path}): ${cause}${after}${output}`;
}

function causeText({ op, errno, detail, path, text }: StepFailure): string {
  const about = path === "" ? "" : ` ${path}`;
  const said = text === "" ? "" : `: ${text}`;
  switch (op) {
    case "exited":
      return `${path === "" ? "" : `${path} `}exited with status ${detail}${said}`;
    case "killed":
      return `${path === "" ? "" : `${path} `}was killed by signal ${detail}${said}`;
    case "timeout":
      return `no end${about === "" ? "" : ` of${about}`} within ${detail} ms${said}`;
    case "peer":
      return `${path === "" ? "the other side" : path} ended without a word${said}`;
    case "verify":
      return `check of${about === "" ? " its inputs" : about} failed${said === "" ? `: ${errnoText(errno)}` : said}`;
    case "systemd":
      return `systemd${about}${said}`;
    case "criu":
      return `CRIU failed${errno === 0 ? "" : `: ${errnoText(errno)}`}${criuWords(text)}`;
    case "injected":
      return "a test asked for this failure";
    default:
      return `${op}${about}: ${errnoText(errno)}${said}`;
  }
}

/** CRIU's own lines, without the places in its source. */
function criuWords(text: string): string {
  const lines = text.split("\n").map((line) => line.replace(/^.*?Error \([^)]*\): /, "").trim());
  return lines
    .filter((line) => line !== "")
    .map((line) => `: ${line}`)
    .join("");
}

const SIGKILL = 9;
const isFilter = ({ kind }: Step): boolean => kind === "seccomp.load";

/** One line on what to do, where we know one. */
function adviceOf(plan: Plan, failure: StepFailure): string | undefined {
  const { kind, op, errno, path, detail } = failure;
  const name = errnoText(errno).split(" ", 1)[0] ?? "";
  const step = stepOf(plan, failure);
  if (kind === "process.exec" && op === "execve" && failure.text === "") {
    if (name === "ENOENT") return "the file is there, so its interpreter (#! line or dynamic loader) is missing";
    if (name === "ENOEXEC") return "it is built for another architecture, or a script without a #! line";
    if (name === "EACCES") return "its interpreter is not executable, or a security module forbids it";
  }
  if (op === "lookup" && name === "ENOENT" && step?.kind === "process.lookup" && !step.program.includes("/")) {
    return `searched in the container: ${step.path}`;
  }
  if (kind === "mount.overlay" && op === "mount") {
    return "overlayfs takes no layers on another overlay or without extended attributes; dmesg says what it does not like";
  }
  if (kind === "mount.overlay" && op === "mount_setattr" && name === "EINVAL") {
    return "the file system of the layers cannot map ids, or they are mapped already";
  }
  if (op === "memfd_create" && name === "EACCES") return "vm.memfd_noexec forbids executable memfds";
  if (kind === "process.spawn" && op === "clone3") {
    if (name === "EPERM") return "making namespaces needs root, or a user namespace in the configuration";
    if (name === "ENOSPC" || name === "EUSERS") return "a limit of /proc/sys/user is reached";
    if (name === "EAGAIN") return "a limit of processes is reached: ulimit -u, or pids.max of a parent cgroup";
    // ENOBUFS: what a network namespace starts with found no room.
    if (name === "ENOMEM" || name === "ENOBUFS") return "is /linux/resources/memory/limit enough for a process?";
    if (name === "EBUSY") return "a v2 cgroup that gives its children controllers takes no processes";
  }
  if (op === "killed" && path === "tsrun-init" && detail === SIGKILL) {
    return "is /linux/resources/memory/limit enough? The kernel's log says whether it ran out of memory";
  }
  if ((kind === "ns.unshare" || kind === "userns.open") && (name === "ENOSPC" || name === "EUSERS")) {
    return "a limit of /proc/sys/user is reached";
  }
  if (kind === "mount.filesystem" && name === "ENODEV") return "the kernel does not know this file system";
  if (kind === "mount.bind" && op === "open_tree" && name === "ENOENT") return "the source is not there: make it first";
  // Before Linux 5.12 by mount(2).
  if (kind === "mount.bind" && (op === "mount_setattr" || op === "mount") && name === "EPERM") {
    return "what the source's mount has is locked in a user namespace: leave out suid, dev, exec, rw and atime options";
  }
  if (kind === "mount.idmap") {
    if (name === "EINVAL") {
      return "the file system of the source must support id-mapped mounts: ext4, xfs and FAT since Linux 5.12, btrfs 5.15, tmpfs 6.3; and be mapped only once";
    }
    if (name === "EPERM") return "it needs CAP_SYS_ADMIN in the user namespace in which the source was mounted";
  }
  if (kind === "resctrl.create") {
    if (name === "ENOSPC")
      return "the processor has no class or monitor left: remove directories of resctrl, or share one with closID";
    if (name === "ENOENT")
      return "a closID without schemata names a class that is there; the kernel makes mon_groups only where it can monitor";
    if (name === "EEXIST") return "a monitoring group of this id is there already";
  }
  if (kind === "net.moveDevice") {
    if (name === "ENODEV") return "ip link shows the devices that there are";
    if (name === "EEXIST") return 'give it another name, or a template such as "eth%d"';
    if (name === "EINVAL") return "devices such as lo, bridges and tunnels cannot leave their network namespace";
  }
  if (kind === "console.connect" && (name === "ECONNREFUSED" || name === "ENOENT")) {
    return `nobody listens on ${path}: start the receiver of the terminal first`;
  }
  if (kind === "cgroup.create" && (name === "EROFS" || name === "EACCES")) {
    return "the cgroup file system is not writable for this user";
  }
  if (step?.kind === "systemd.startUnit" || step?.kind === "systemd.setProperties") {
    if (op === "connect") return `nobody answers at ${[...step.managers, ...step.buses].join(", ")}: is systemd well?`;
    if (failure.text.includes(".UnitExists:"))
      return "give the container another id or /linux/cgroupsPath, or delete the other one";
    if (failure.text.includes(".PropertyReadOnly:") || failure.text.includes(".InvalidArgs:")) {
      return "are all annotations org.systemd.property.NAME right? systemd.scope(5), org.freedesktop.systemd1(5)";
    }
  }
  if (kind === "cgroup.create" && name === "EBUSY") return "give the container another /linux/cgroupsPath";
  if (isControlFile({ kind, op }) && op === "openat2" && name === "ENOENT") {
    return /swap|memsw/.test(path)
      ? "this kernel does not count swap: boot it with swapaccount=1"
      : "this kernel has no such control";
  }
  // v1: the kernel takes memory back as far as it can before it says so.
  if (isControlFile({ kind, op }) && name === "EBUSY" && /\/memory\.(memsw\.)?limit_in_bytes$/.test(path)) {
    return "the container uses more than that, and the kernel cannot take it back";
  }
  if (isControlFile({ kind, op }) && name === "EINVAL" && /\/cpu\.(?:cfs_(?:quota|period)_us|max)$/.test(path)) {
    return "a quota is at least 1000 (1 ms), a period 1000 to 1000000 (1 s), and with cgroup v1 no cgroup gets more than the one above";
  }
  // v1 says EACCES for what the cgroup above has not.
  const unknownNumber = name === "ERANGE" || name === "EINVAL" || name === "EACCES";
  if (isControlFile({ kind, op }) && op === "write" && unknownNumber && /\/cpuset\.(?:cpus|mems)$/.test(path)) {
    return "not all of these are there, or in the cpuset of the cgroup above: /sys/devices/system/cpu/online, …/node/online";
  }
  if (kind === "process.rlimit" && name === "EPERM") return "raising a hard limit needs CAP_SYS_RESOURCE";
  // Below a filter it may be unable even to say why it ends.
  if (path === "tsrun-init" && (op === "exited" || op === "killed") && plan.container.some(isFilter)) {
    return "the seccomp profile may forbid what tsrun-init still has to do: allow sendto, recvfrom, accept4 and execve, and set noNewPrivileges, without which it needs more";
  }
  if (kind === "seccomp.load" && name === "EACCES") return "without noNewPrivileges it needs CAP_SYS_ADMIN";
  return adviceOnScheduling(failure, name) ?? adviceOnSecurity(failure, name, step);
}

function adviceOnScheduling({ kind, op }: StepFailure, name: string): string | undefined {
  if (kind === "process.scheduler" && name === "EPERM") {
    return "real-time policies and a lower nice value need CAP_SYS_NICE on the host; SCHED_DEADLINE needs every CPU (no cpuset); with cgroup v1 the container needs real-time (/linux/resources/cpu/realtimeRuntime)";
  }
  if (kind === "process.scheduler" && name === "EBUSY") return "the CPUs have not that much real-time left";
  if (kind === "process.ioPriority" && name === "EPERM") return "IOPRIO_CLASS_RT needs CAP_SYS_NICE on the host";
  if (op === "sched_setaffinity" && name === "EINVAL") {
    return "none of these CPUs is online and in the container's cpuset";
  }
  if (kind === "process.memoryPolicy" && name === "EINVAL") {
    return "a node is not there or not in the container's cpuset, or the kernel does not know this mode or flag";
  }
  return undefined;
}

function adviceOnSecurity({ kind, op }: StepFailure, name: string, step: Step | undefined): string | undefined {
  if (step?.kind === "lsm.attribute" && step.name === "exec") {
    if (step.lsm === "apparmor" && name === "ENOENT") return "the profile is not loaded: apparmor_parser -r FILE";
    if (name === "EINVAL") return "the security module's policy does not know this label";
  }
  if (kind === "seccomp.listener") {
    if (op === "connect" || op === "sendmsg") return "the seccomp agent does not listen there: start it first";
    if (op === "pidfd_getfd" && name === "EPERM") return "does kernel.yama.ptrace_scope forbid it?";
  }
  if (kind === "seccomp.load" && name === "EBUSY") return "tsrun runs below a filter that has a listener already";
  return undefined;
}
