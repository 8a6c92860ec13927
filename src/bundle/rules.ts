/**
 * Rules between fields of config.json that the schema cannot say. Each names its source: a section of runtime-spec, or runc's
 * validator (libcontainer/configs/validate), which callers are used to.
 */
import type { Config, Hooks, Linux, NamespaceType, Process, Resources } from "../../spec-schemas/config.ts";
import { MAX_CPU, MAX_NODE, numberSet } from "../core/number-set.ts";
import { isSysctlKey, sysctlKey, sysctlNamespace } from "../core/sysctl.ts";
import { type Problem, show } from "./problems.ts";

type MemoryPolicy = NonNullable<Linux["memoryPolicy"]>;
type Scheduler = NonNullable<Process["scheduler"]>;

class Problems {
  readonly list: Problem[] = [];
  error(pointer: string, found: unknown, wanted: string): void {
    this.list.push({ pointer, found: show(found), wanted, severity: "error" });
  }
  warning(pointer: string, found: unknown, wanted: string): void {
    this.list.push({ pointer, found: show(found), wanted, severity: "warning" });
  }
}

const escapeSegment = (segment: string): string => segment.replaceAll("~", "~0").replaceAll("/", "~1");

/** All problems of a configuration that fits the schema. */
export function checkRules(config: Config): Problem[] {
  const problems = new Problems();
  // config.md "Specification version": a runtime may refuse a major version it does not know.
  if (!/^1\.\d+\.\d+(-[0-9A-Za-z.+-]+)?(\+[0-9A-Za-z.-]+)?$/.test(config.ociVersion))
    problems.error("/ociVersion", config.ociVersion, "a version 1.x.y of the runtime specification, such as 1.3.0");
  // config.md "Root": required on Linux.
  if (config.root === undefined) problems.error("/root", undefined, "an object with the path of the root file system");
  else if (config.root.path === "") problems.error("/root/path", "", "a path");
  const linux = config.linux ?? {};
  const has = (type: NamespaceType): boolean => linux.namespaces?.some((namespace) => namespace.type === type) ?? false;
  checkNamespaces(problems, linux, has);
  checkNames(problems, config, has);
  checkMounts(problems, config);
  checkDevices(problems, linux);
  checkSysctl(problems, linux, has);
  checkResources(problems, linux);
  checkSeccomp(problems, config, linux);
  if (linux.memoryPolicy !== undefined) checkMemoryPolicy(problems, linux.memoryPolicy);
  // config-linux.md "Personality": required.
  if (linux.personality !== undefined && linux.personality.domain === undefined)
    problems.error("/linux/personality/domain", undefined, "LINUX or LINUX32");
  if (config.hooks !== undefined) checkHooks(problems, config.hooks);
  if (config.process?.scheduler !== undefined) checkForkingHooks(problems, config.process.scheduler, config.hooks);
  if (config.process !== undefined) checkProcess(problems, config.process, "/process");
  return problems.list;
}

/** The rules of `process` alone, for `exec --process FILE`. */
export function checkProcessRules(process: Process): Problem[] {
  const problems = new Problems();
  checkProcess(problems, process, "");
  return problems.list;
}

/** The rules of `linux.resources` alone, for `update`. */
export function checkResourceRules(resources: Resources): Problem[] {
  const problems = new Problems();
  checkResources(problems, { resources });
  return problems.list.map((problem) => ({ ...problem, pointer: problem.pointer.slice("/linux/resources".length) }));
}

/** The rules of `linux.seccomp` alone, for a profile of its own. */
export function checkSeccompRules(seccomp: NonNullable<Linux["seccomp"]>): Problem[] {
  const problems = new Problems();
  checkSeccomp(problems, {}, { seccomp });
  return problems.list.map((problem) => ({ ...problem, pointer: problem.pointer.slice("/linux/seccomp".length) }));
}

function checkNamespaces(problems: Problems, linux: Linux, has: (type: NamespaceType) => boolean): void {
  const seen = new Set<string>();
  for (const [i, namespace] of (linux.namespaces ?? []).entries()) {
    // config-linux.md "Namespaces": a type must not be listed twice.
    if (seen.has(namespace.type))
      problems.error(`/linux/namespaces/${i}/type`, namespace.type, "each type at most once");
    seen.add(namespace.type);
    // config-linux.md "Namespaces": path must be absolute in the runtime mount namespace.
    if (namespace.path !== undefined && namespace.path !== "" && !namespace.path.startsWith("/"))
      problems.error(`/linux/namespaces/${i}/path`, namespace.path, "an absolute path");
  }
  const user = linux.namespaces?.find((namespace) => namespace.type === "user");
  const mappings = (linux.uidMappings?.length ?? 0) + (linux.gidMappings?.length ?? 0);
  // runc: mappings only with a user namespace, and a new user namespace only with both.
  if (user === undefined && mappings > 0)
    problems.error(
      "/linux/uidMappings",
      linux.uidMappings ?? linux.gidMappings,
      "no mappings without a user namespace",
    );
  if (user !== undefined && (user.path ?? "") === "") {
    if ((linux.uidMappings?.length ?? 0) === 0)
      problems.error("/linux/uidMappings", linux.uidMappings, "at least one mapping for the new user namespace");
    if ((linux.gidMappings?.length ?? 0) === 0)
      problems.error("/linux/gidMappings", linux.gidMappings, "at least one mapping for the new user namespace");
  }
  checkMappings(problems, "/linux", linux);
  // config-linux.md "Offset for Time Namespace".
  if (linux.timeOffsets !== undefined && !has("time"))
    problems.error("/linux/timeOffsets", linux.timeOffsets, "no offsets without a new time namespace");
  // runc: both need a mount namespace, otherwise the host's own /proc would be covered.
  for (const name of ["maskedPaths", "readonlyPaths"] as const) {
    if ((linux[name]?.length ?? 0) > 0 && !has("mount"))
      problems.error(`/linux/${name}`, linux[name], "a new mount namespace to hide paths in");
    for (const [i, path] of (linux[name] ?? []).entries()) {
      if (!path.startsWith("/")) problems.error(`/linux/${name}/${i}`, path, "an absolute path");
    }
  }
  checkNetDevices(problems, linux, has);
}

/** config-linux.md "Network Devices". */
function checkNetDevices(problems: Problems, linux: Linux, has: (type: NamespaceType) => boolean): void {
  // dev_valid_name in the kernel: 1 to 15 bytes, no slash, colon or space.
  const valid = (name: string): boolean =>
    Buffer.byteLength(name) <= 15 && /^[^/:\s]+$/.test(name) && name !== "." && name !== "..";
  const names = new Set<string>();
  for (const [device, { name = "" }] of Object.entries(linux.netDevices ?? {})) {
    const pointer = `/linux/netDevices/${escapeSegment(device)}`;
    if (!has("network")) problems.error(pointer, device, "a network namespace to move it to");
    if (!valid(device)) problems.error(pointer, device, "a device name of 1 to 15 bytes");
    if (name === "") continue;
    if (!valid(name)) problems.error(`${pointer}/name`, name, "a device name of 1 to 15 bytes");
    // dev_alloc_name: at most one number.
    else if (name.includes("%") && !/^[^%]*%d[^%]*$/.test(name))
      problems.error(`${pointer}/name`, name, 'a name, or a template with one "%d"');
  }
  for (const [device, { name = "" }] of Object.entries(linux.netDevices ?? {})) {
    const inside = name === "" ? device : name;
    if (names.has(inside) && !inside.includes("%"))
      problems.error(`/linux/netDevices/${escapeSegment(device)}`, inside, "a name in the container of its own");
    names.add(inside);
  }
}

function checkMappings(problems: Problems, at: string, mappings: Pick<Linux, "uidMappings" | "gidMappings">): void {
  for (const name of ["uidMappings", "gidMappings"] as const) {
    for (const [i, mapping] of (mappings[name] ?? []).entries()) {
      if (mapping.size === 0) problems.error(`${at}/${name}/${i}/size`, 0, "a size above 0");
      for (const side of ["containerID", "hostID"] as const) {
        if (mapping[side] + mapping.size > 4_294_967_296)
          problems.error(`${at}/${name}/${i}`, mapping, `${side} + size of at most 2^32`);
      }
    }
  }
}

function checkNames(problems: Problems, config: Config, has: (type: NamespaceType) => boolean): void {
  // runc: without a uts namespace these would rename the host.
  if ((config.hostname ?? "") !== "" && !has("uts"))
    problems.error("/hostname", config.hostname, "a uts namespace to set it in");
  if ((config.domainname ?? "") !== "" && !has("uts"))
    problems.error("/domainname", config.domainname, "a uts namespace to set it in");
  // sethostname(2): __NEW_UTS_LEN.
  for (const name of ["hostname", "domainname"] as const) {
    if (Buffer.byteLength(config[name] ?? "") > 64) problems.error(`/${name}`, config[name], "at most 64 bytes");
  }
}

function checkMounts(problems: Problems, config: Config): void {
  for (const [i, mount] of (config.mounts ?? []).entries()) {
    const pointer = `/mounts/${i}`;
    if (mount.destination === "") problems.error(`${pointer}/destination`, "", "a path inside the container");
    // config.md "Mounts": relative is deprecated and read as relative to "/".
    else if (!mount.destination.startsWith("/"))
      problems.warning(`${pointer}/destination`, mount.destination, "an absolute path");
    // config.md: both or neither.
    if ((mount.uidMappings === undefined) !== (mount.gidMappings === undefined))
      problems.error(
        pointer,
        { uidMappings: mount.uidMappings, gidMappings: mount.gidMappings },
        "uidMappings and gidMappings together",
      );
    checkMappings(problems, pointer, mount);
    const bind =
      mount.type === "bind" || (mount.options?.some((option) => option === "bind" || option === "rbind") ?? false);
    if (bind && (mount.source ?? "") === "") problems.error(`${pointer}/source`, mount.source, "the path to bind");
  }
}

function checkDevices(problems: Problems, linux: Linux): void {
  for (const [i, device] of (linux.devices ?? []).entries()) {
    const pointer = `/linux/devices/${i}`;
    if (!device.path.startsWith("/")) problems.error(`${pointer}/path`, device.path, "an absolute path");
    // config-linux.md "Devices": required unless type is p.
    for (const number of ["major", "minor"] as const) {
      if (device.type !== "p" && device[number] === undefined)
        problems.error(`${pointer}/${number}`, undefined, `a device number for type ${device.type}`);
      // The kernel's dev_t has 12 bits of major, 20 of minor number.
      const value = device[number];
      if (value !== undefined && (value < 0 || value > (number === "major" ? 0xfff : 0xfffff)))
        problems.error(`${pointer}/${number}`, value, "a device number of the kernel");
    }
  }
  for (const [i, rule] of (linux.resources?.devices ?? []).entries()) {
    const pointer = `/linux/resources/devices/${i}`;
    if (rule.type !== undefined && !["a", "b", "c", ""].includes(rule.type))
      problems.error(`${pointer}/type`, rule.type, "a, b or c");
    if (rule.access !== undefined && !/^[rwm]*$/.test(rule.access))
      problems.error(`${pointer}/access`, rule.access, "letters of r, w and m");
  }
}

function checkSysctl(problems: Problems, linux: Linux, has: (type: NamespaceType) => boolean): void {
  for (const [name, value] of Object.entries(linux.sysctl ?? {})) {
    const pointer = `/linux/sysctl/${escapeSegment(name)}`;
    const key = sysctlKey(name);
    const namespace = sysctlNamespace(key);
    if (!isSysctlKey(key)) problems.error(pointer, name, "a sysctl name such as net.ipv4.ip_forward");
    else if (namespace === undefined)
      problems.error(pointer, name, "a sysctl that a namespace makes private; this one is the host's");
    else if (!has(namespace)) problems.error(pointer, value, `a ${namespace} namespace to set it in`);
    // runc: hostname has a property of its own.
    else if (key === "kernel.hostname") problems.error(pointer, value, "the property hostname instead");
  }
}

function checkResources(problems: Problems, linux: Linux): void {
  const memory = linux.resources?.memory;
  if (memory !== undefined) {
    const { limit, swap, reservation } = memory;
    // memory.memsw.limit_in_bytes is memory and swap together.
    if (swap !== undefined && limit !== undefined && swap > 0 && limit > 0 && swap < limit)
      problems.error(
        "/linux/resources/memory/swap",
        swap,
        `at least the memory limit (${limit}): it is memory and swap together`,
      );
    if (reservation !== undefined && limit !== undefined && limit > 0 && reservation > limit)
      problems.error("/linux/resources/memory/reservation", reservation, `at most the memory limit (${limit})`);
    if (memory.swappiness !== undefined && memory.swappiness > 100)
      problems.error("/linux/resources/memory/swappiness", memory.swappiness, "0 to 100");
  }
  const cpu = linux.resources?.cpu;
  if (cpu?.idle !== undefined && cpu.idle !== 0 && cpu.idle !== 1)
    problems.error("/linux/resources/cpu/idle", cpu.idle, "0 or 1");
  for (const name of ["cpus", "mems"] as const) {
    const list = cpu?.[name];
    if (list !== undefined && !/^[0-9,\s-]*$/.test(list))
      problems.error(`/linux/resources/cpu/${name}`, list, "a list such as 0-3,7");
  }
  for (const [file, value] of Object.entries(linux.resources?.unified ?? {})) {
    if (!/^[a-z0-9_]+(\.[a-zA-Z0-9_]+)+$/.test(file))
      problems.error(
        `/linux/resources/unified/${escapeSegment(file)}`,
        value,
        "the name of a file of the cgroup, such as memory.high",
      );
  }
  const path = linux.cgroupsPath;
  if (path?.split("/").includes("..")) problems.error("/linux/cgroupsPath", path, 'a path without ".."');
}

/** crun's, in place of listenerPath. */
const RECEIVER_ANNOTATION = "run.oci.seccomp.receiver";

function checkSeccomp(problems: Problems, config: Pick<Config, "annotations">, linux: Linux): void {
  const seccomp = linux.seccomp;
  if (seccomp === undefined) return;
  const notify = "SCMP_ACT_NOTIFY";
  // config-linux.md "Seccomp": notify needs somebody to notify, and cannot be the default (runc: write would deadlock).
  if (seccomp.defaultAction === notify)
    problems.error("/linux/seccomp/defaultAction", notify, "another default action");
  const listener = seccomp.listenerPath || config.annotations?.[RECEIVER_ANNOTATION] || "";
  if (listener !== "" && !listener.startsWith("/"))
    problems.error("/linux/seccomp/listenerPath", listener, "an absolute path");
  checkErrno(problems, "/linux/seccomp/defaultErrnoRet", seccomp.defaultAction, seccomp.defaultErrnoRet);
  for (const [i, rule] of (seccomp.syscalls ?? []).entries()) {
    const pointer = `/linux/seccomp/syscalls/${i}`;
    if (rule.action === notify && listener === "")
      problems.error(`${pointer}/action`, rule.action, "a listenerPath to whose owner the kernel can turn");
    if (rule.action === notify && rule.names.includes("write"))
      problems.error(`${pointer}/names`, "write", "no SCMP_ACT_NOTIFY for write (runc's rule)");
    checkErrno(problems, `${pointer}/errnoRet`, rule.action, rule.errnoRet);
    for (const [k, argument] of (rule.args ?? []).entries()) {
      if (argument.index > 5) problems.error(`${pointer}/args/${k}/index`, argument.index, "0 to 5");
    }
  }
  if ((seccomp.listenerMetadata ?? "") !== "" && (seccomp.listenerPath ?? "") === "")
    problems.error("/linux/seccomp/listenerMetadata", seccomp.listenerMetadata, "a listenerPath");
}

/** config-linux.md "Seccomp": an errno for an action that returns none must be an error. */
function checkErrno(problems: Problems, pointer: string, action: string, errno: number | undefined): void {
  if (errno === undefined) return;
  if (action === "SCMP_ACT_ERRNO") {
    if (errno > 4094) problems.error(pointer, errno, "an errno of at most 4094");
  } else if (action === "SCMP_ACT_TRACE") {
    if (errno > 0xffff) problems.error(pointer, errno, "16 bits for the tracer");
  } else {
    problems.error(pointer, errno, `no errno for ${action}`);
  }
}

function checkHooks(problems: Problems, hooks: Hooks): void {
  for (const [kind, list] of Object.entries(hooks)) {
    for (const [i, hook] of (list ?? []).entries()) {
      // config.md "POSIX-platform Hooks".
      if (!hook.path.startsWith("/")) problems.error(`/hooks/${kind}/${i}/path`, hook.path, "an absolute path");
    }
  }
}

function checkProcess(problems: Problems, process: Process, at: string): void {
  // config.md "Process": cwd must be absolute.
  if (!process.cwd.startsWith("/"))
    problems.list.push({
      pointer: `${at}/cwd`,
      found: show(process.cwd),
      wanted: "an absolute path",
      suggestion: `/${process.cwd}`,
      severity: "error",
    });
  if (process.args !== undefined && process.args.length === 0)
    problems.error(`${at}/args`, process.args, "at least the program");
  const seen = new Set<string>();
  for (const [i, limit] of (process.rlimits ?? []).entries()) {
    // config.md "POSIX process": an error on duplicate types.
    if (seen.has(limit.type)) problems.error(`${at}/rlimits/${i}/type`, limit.type, "each type at most once");
    seen.add(limit.type);
    if (limit.soft > limit.hard)
      problems.error(`${at}/rlimits/${i}/soft`, limit.soft, `at most the hard limit (${limit.hard})`);
  }
  const score = process.oomScoreAdj;
  if (score !== undefined && (score < -1000 || score > 1000))
    problems.error(`${at}/oomScoreAdj`, score, "-1000 to 1000");
  for (const [i, entry] of (process.env ?? []).entries()) {
    if (!entry.includes("=") || entry.startsWith("=")) problems.warning(`${at}/env/${i}`, entry, "NAME=value");
  }
  if (process.user?.umask !== undefined && process.user.umask > 0o777)
    problems.error(`${at}/user/umask`, process.user.umask, "at most 511 (octal 777)");
  const io = process.ioPriority;
  if (io?.priority !== undefined && (io.priority < 0 || io.priority > 7))
    problems.error(`${at}/ioPriority/priority`, io.priority, "0 to 7");
  if (process.scheduler !== undefined) checkScheduler(problems, process.scheduler, `${at}/scheduler`);
  for (const name of ["initial", "final"] as const) {
    const list = process.execCPUAffinity?.[name];
    if (list !== undefined && numberSet(list, MAX_CPU) === undefined)
      problems.error(`${at}/execCPUAffinity/${name}`, list, `a list of CPUs such as 0-3,7, of at most ${MAX_CPU}`);
  }
}

/** sched_setattr(2) and sched(7): what the kernel would only call EINVAL. */
function checkScheduler(problems: Problems, scheduler: Scheduler, at: string): void {
  const { policy, nice, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
  if (nice !== undefined && (nice < -20 || nice > 19)) problems.error(`${at}/nice`, nice, "-20 to 19");
  if (policy === "SCHED_FIFO" || policy === "SCHED_RR") {
    if (priority < 1 || priority > 99) problems.error(`${at}/priority`, scheduler.priority, `1 to 99 for ${policy}`);
  } else if (priority !== 0) {
    problems.error(`${at}/priority`, priority, "a priority for SCHED_FIFO and SCHED_RR only");
  }
  if (policy !== "SCHED_DEADLINE") {
    for (const name of ["runtime", "deadline", "period"] as const) {
      if ((scheduler[name] ?? 0) !== 0)
        problems.error(`${at}/${name}`, scheduler[name], "this for SCHED_DEADLINE only");
    }
    return;
  }
  if (runtime < 1024) problems.error(`${at}/runtime`, scheduler.runtime, "at least 1024 ns for SCHED_DEADLINE");
  if (deadline < runtime) problems.error(`${at}/deadline`, scheduler.deadline, `at least the runtime (${runtime})`);
  // 0: the same as the deadline.
  if (period !== 0 && period < deadline) problems.error(`${at}/period`, period, `at least the deadline (${deadline})`);
}

/** sched(7): under SCHED_DEADLINE fork fails (EAGAIN), also for the hooks that the container's own process starts. */
function checkForkingHooks(problems: Problems, { policy, flags }: Scheduler, hooks: Hooks | undefined): void {
  if (policy !== "SCHED_DEADLINE" || flags?.includes("SCHED_FLAG_RESET_ON_FORK") === true) return;
  for (const name of ["createContainer", "startContainer"] as const) {
    if ((hooks?.[name]?.length ?? 0) > 0)
      problems.error("/process/scheduler/flags", flags, `SCHED_FLAG_RESET_ON_FORK, or the ${name} hooks cannot start`);
  }
}

/** set_mempolicy(2): which modes take nodes and flags. */
function checkMemoryPolicy(problems: Problems, { mode, nodes = "", flags = [] }: MemoryPolicy): void {
  const at = "/linux/memoryPolicy";
  // config-linux.md "Memory policy": required.
  if (mode === undefined) {
    problems.error(`${at}/mode`, undefined, "a mode such as MPOL_BIND");
    return;
  }
  const set = numberSet(nodes, MAX_NODE);
  if (set === undefined)
    problems.error(`${at}/nodes`, nodes, `a list of memory nodes such as 0-3,7, of at most ${MAX_NODE}`);
  else if (mode === "MPOL_DEFAULT" || mode === "MPOL_LOCAL") {
    if (set.length > 0) problems.error(`${at}/nodes`, nodes, `no nodes for ${mode}`);
  } else if (set.length === 0 && mode !== "MPOL_PREFERRED") {
    problems.error(`${at}/nodes`, nodes, `at least one node for ${mode}`);
  }
  const has = (flag: (typeof flags)[number]): boolean => flags.includes(flag);
  const placing = has("MPOL_F_STATIC_NODES") || has("MPOL_F_RELATIVE_NODES");
  if (has("MPOL_F_STATIC_NODES") && has("MPOL_F_RELATIVE_NODES"))
    problems.error(`${at}/flags`, flags, "one of MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES");
  else if (placing && (set?.length === 0 || mode === "MPOL_LOCAL"))
    problems.error(`${at}/flags`, flags, "nodes that MPOL_F_STATIC_NODES or MPOL_F_RELATIVE_NODES could speak of");
  // PREFERRED_MANY: since Linux 6.10.
  if (has("MPOL_F_NUMA_BALANCING") && mode !== "MPOL_BIND" && mode !== "MPOL_PREFERRED_MANY")
    problems.error(`${at}/flags`, flags, "MPOL_F_NUMA_BALANCING for MPOL_BIND and MPOL_PREFERRED_MANY only");
}
