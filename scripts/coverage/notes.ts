/** What plans cannot tell of a property: the kernel that it needs beyond 5.10, and why no step of create applies it. */

/** By pattern; a regular expression may speak of a whole part. */
export const kernels: readonly (readonly [RegExp, string])[] = [
  [/^\/linux\/timeOffsets\//, "CONFIG_TIME_NS"],
  [/^\/linux\/namespaces\/\*\/type$/, "`time`: CONFIG_TIME_NS"],
  [/^\/mounts\/\*\/(uid|gid)Mappings\//, "5.12, and of the file system (tmpfs 6.3, overlay 5.19)"],
  [/^\/mounts\/\*\/options$/, "`rro` and the like, `idmap`: 5.12"],
  [/^\/linux\/resources\/cpu\/burst$/, "5.14"],
  [/^\/linux\/resources\/cpu\/idle$/, "5.15"],
  [/^\/linux\/resources\/cpu\/realtime/, "CONFIG_RT_GROUP_SCHED; v1"],
  [/^\/linux\/resources\/memory\/(kernel|kernelTCP|swappiness|disableOOMKiller|useHierarchy)$/, "v1"],
  [/^\/linux\/resources\/memory\/swap$/, "CONFIG_SWAP; v1: swapaccount"],
  [/^\/linux\/resources\/blockIO\/(weight|weightDevice\/.*)$/, "BFQ, or v2's io.cost"],
  [/^\/linux\/resources\/blockIO\/.*leafWeight$/, "v1, before 5.0"],
  [/^\/linux\/resources\/network\//, "v1's net_cls and net_prio"],
  [/^\/linux\/resources\/rdma\//, "an RDMA device"],
  [/^\/linux\/resources\/unified\//, "v2"],
  [/^\/linux\/memoryPolicy\/mode$/, "`MPOL_PREFERRED_MANY`: 5.15; `MPOL_WEIGHTED_INTERLEAVE`: 6.9"],
  [/^\/linux\/intelRdt\//, "resctrl mounted"],
  [/^\/linux\/seccomp\/flags$/, "`WAIT_KILLABLE_RECV`: 5.19"],
  [/^\/linux\/seccomp\/listener/, "5.0"],
  [/^\/process\/apparmorProfile$/, "AppArmor"],
  [/^\/(process\/selinuxLabel|linux\/mountLabel)$/, "SELinux"],
];

/** Values to try in place of another, where any text will not do. */
export const alternatives: Readonly<Record<string, readonly string[]>> = {
  "/process/rlimits/*/type": ["RLIMIT_SIGPENDING", "RLIMIT_CPU"],
  "/linux/resources/devices/*/access": ["r", "m"],
  "/linux/devices/*/type": ["b", "p"],
  "/linux/resources/hugepageLimits/*/pageSize": ["1GB"],
};

/** A property that no step of create carries, and what becomes of it instead. */
export const elsewhere: Readonly<Record<string, string>> = {
  "/ociVersion": "checked (src/bundle/rules.ts)",
  "/vm": "for virtual machines; ignored",
  "/process/commandLine": "for Windows; ignored",
  "/process/user/username": "for Windows; ignored",
  "/process/execCPUAffinity/initial": "exec",
  "/process/execCPUAffinity/final": "exec",
  "/linux/personality/flags": "the spec names none; ignored with a warning",
  "/hooks/poststart/*/path": "start: hook.run",
  "/hooks/poststart/*/args": "start: hook.run",
  "/hooks/poststart/*/env": "start: hook.run",
  "/hooks/poststart/*/timeout": "start: hook.run",
  "/hooks/poststop/*/path": "delete: hook.run",
  "/hooks/poststop/*/args": "delete: hook.run",
  "/hooks/poststop/*/env": "delete: hook.run",
  "/hooks/poststop/*/timeout": "delete: hook.run",
  "/linux/resources/memory/checkBeforeUpdate": "for update; a new cgroup uses nothing yet",
  "/linux/resources/memory/kernel": "deprecated by the spec and by the kernel (5.16): ignored",
};
