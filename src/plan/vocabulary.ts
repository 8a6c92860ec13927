/**
 * The vocabulary of plans: every kind of step with its fields. This table is the single source: the TypeScript types
 * below, the encoder, `render`, addon/abi/plan.gen.h (`npm run generate`) and docs/plan-format.md all come from it.
 *
 * A field is written `type` or `type:hint`; the type is how it is encoded, the hint how `render` prints it.
 * - `u64`, `i64`: integers; `bool`
 * - `str`: text without NUL; `strs`: a list of it; `bytes`; `u64s`: a list of integers
 * - `slot`: the name of a file descriptor slot of the plan, or null
 *
 * Codes are never reused. Adding a kind: add it here, run the generator, write `Run(...)` in addon/steps.
 */
export type FieldType = "u64" | "i64" | "bool" | "str" | "strs" | "bytes" | "u64s" | "slot";
export type RenderHint =
  | "clone" // CLONE_NEW* flags
  | "attr" // MOUNT_ATTR_* flags
  | "prop" // MS_SHARED, MS_SLAVE, … with MS_REC
  | "octal"
  | "hex"
  | "signal"
  | "caps" // a mask of capabilities
  | "rlimit" // a RLIMIT_* number
  | "point" // a sync point
  | "devtype" // S_IFCHR, S_IFBLK, S_IFIFO
  | "sched" // SCHED_* policies
  | "schedflags" // SCHED_FLAG_*
  | "ioclass" // IOPRIO_CLASS_*
  | "mempolicy" // MPOL_* with its flags
  | "bitset" // a mask of numbers, 64 an element
  | "links" // linkRules
  | "pivot" // how the root is entered
  | "dbus"; // calls of D-Bus methods
type Field = FieldType | `${FieldType}:${RenderHint}`;
export type Side = "host" | "container" | "both";

interface StepShape {
  readonly code: number;
  readonly side: Side;
  /** One sentence for docs/plan-format.md. */
  readonly about: string;
  readonly fields: Readonly<Record<string, Field>>;
}

/** Moments at which the two lists of a plan meet. A `sync.signal` on one side is met by a `sync.wait` on the other. */
export const syncPoints = {
  /** Container: it made a user namespace and waits for the maps. */
  "userns-made": 1,
  /** Host: uid_map and gid_map are written. */
  "userns-mapped": 2,
  /** Host: the container's process stands in its final cgroups, limits and oom score set. */
  "host-ready": 3,
  /** Container: mounts and /dev are done, root still writable, nothing pivoted; the host runs prestart and createRuntime. */
  "mounts-done": 4,
  /** Host: those hooks have run. */
  "hooks-done": 5,
  /** Container: everything that can fail in create is done; next it waits at the gate (or, in exec, executes). */
  ready: 6,
  /** Container: tsrun-init runs, its execve is done. */
  started: 7,
  /** Container: it stands in its network namespace; the host moves devices there. */
  "network-made": 8,
} as const;
export type SyncPoint = keyof typeof syncPoints;

export const vocabulary = {
  // ---- the two lists meeting
  "sync.signal": {
    code: 1,
    side: "both",
    about: "Tells the other side that this point is reached.",
    fields: { point: "u64:point" },
  },
  "sync.wait": {
    code: 2,
    side: "both",
    about: "Waits until the other side has reached this point; its failure ends the wait.",
    fields: { point: "u64:point" },
  },

  // ---- processes
  "process.spawn": {
    code: 10,
    side: "host",
    about:
      "Clones a child with these namespace flags (straight into the cgroup of the slot, if given) that executes tsrun-init, which runs the container list. The caller's descriptors 3 to 2 + keepFds stay open in it, and of the slots those that the container list names.",
    fields: { cloneFlags: "u64:clone", cgroup: "slot", keepFds: "u64" },
  },
  "process.fork": {
    code: 11,
    side: "container",
    about:
      "Goes on in a second process with the same parent (CLONE_PARENT), so that a new or joined pid or time namespace takes effect; the first stage exits.",
    fields: {},
  },
  "process.adopt": {
    code: 12,
    side: "host",
    about: "Takes the process made by process.fork as the container's process and reaps the first stage.",
    fields: {},
  },
  "process.signal": {
    code: 13,
    side: "host",
    about:
      "Sends a signal through a pidfd after checking that pid and start time still name the same process; `gone` says whether a vanished process is no error.",
    fields: { pid: "u64", startTime: "u64", signal: "u64:signal", gone: "bool" },
  },
  "process.waitGone": {
    code: 14,
    side: "host",
    about: "Waits until the process is gone or a zombie.",
    fields: { pid: "u64", startTime: "u64", timeoutMs: "u64" },
  },
  "process.oomScoreAdj": {
    code: 15,
    side: "host",
    about: "Writes oom_score_adj of the container's process (lowering needs privilege in the initial user namespace).",
    fields: { value: "i64" },
  },
  "process.rlimit": {
    code: 16,
    side: "host",
    about: "prlimit64 on the container's process (raising needs privilege in the initial user namespace).",
    fields: { resource: "u64:rlimit", soft: "u64", hard: "u64" },
  },
  "process.waitExec": {
    code: 17,
    side: "host",
    about: "Waits until the container's process has executed its program (end of file) or says why it could not.",
    fields: {},
  },
  "process.signals": {
    code: 18,
    side: "container",
    about: "Resets every signal to its default except the ignored ones of this mask, and unblocks all.",
    fields: { ignored: "u64:hex" },
  },
  "process.setsid": { code: 19, side: "container", about: "Becomes a session leader.", fields: {} },
  "process.stdioOwner": {
    code: 20,
    side: "container",
    about:
      "Gives standard input, output and error to the container's user, unless they are /dev/null or already theirs (runc's rule; EINVAL, EPERM and EROFS of the file system are no errors).",
    fields: { uid: "u64" },
  },
  "process.noNewPrivileges": { code: 21, side: "container", about: "prctl(PR_SET_NO_NEW_PRIVS).", fields: {} },
  "process.cwd": {
    code: 22,
    side: "container",
    about:
      "Changes directory inside the new root and checks that it is reachable from the root (CVE-2024-21626). As root first, which leaves EACCES to a second step; that one, `asUser`, does it only if the first was denied.",
    fields: { path: "str", asUser: "bool" },
  },
  "process.lookup": {
    code: 23,
    side: "container",
    about:
      "Checks that the program can be found and executed, by the rules of execvp with this search path, so that create fails early.",
    fields: { program: "str", path: "str" },
  },
  "process.exec": {
    code: 24,
    side: "container",
    about:
      "Finds the program by the same rules and executes it; `home` adds HOME to the environment, from /etc/passwd for the process's uid, else /.",
    fields: { program: "str", path: "str", args: "strs", env: "strs", home: "bool" },
  },
  "fds.closeOnExec": {
    code: 25,
    side: "container",
    about:
      "Marks every file descriptor from this number on close-on-exec, keeps those between 3 and it open for the program, and closes what only earlier steps needed: the root, a procfs, the null device.",
    fields: { first: "u64" },
  },
  "keyring.join": {
    code: 26,
    side: "container",
    about:
      "Joins a session keyring of this name, so that the caller's is not reachable, and adds these permissions to it (keyctl_setperm(3)). A kernel without keyrings has nothing to hide.",
    fields: { name: "str", permissions: "u64:hex" },
  },
  "process.scheduler": {
    code: 27,
    side: "host",
    about:
      "sched_setattr on the container's process (real-time policies and a lower nice value need privilege in the initial user namespace). Times are nanoseconds.",
    fields: {
      policy: "u64:sched",
      flags: "u64:schedflags",
      nice: "i64",
      priority: "u64",
      runtime: "u64",
      deadline: "u64",
      period: "u64",
    },
  },
  "process.ioPriority": {
    code: 28,
    side: "host",
    about: "ioprio_set on the container's process (the real-time class needs privilege in the initial user namespace).",
    fields: { ioClass: "u64:ioclass", priority: "u64" },
  },
  "process.affinity": {
    code: 29,
    side: "host",
    about: "sched_setaffinity on the container's process: the CPUs that it may run on, bit n of the set is CPU n.",
    fields: { cpus: "u64s:bitset" },
  },
  "process.spawnAffinity": {
    code: 33,
    side: "host",
    about: "Lets the next process.spawn clone while this thread runs on these CPUs, which the child inherits.",
    fields: { cpus: "u64s:bitset" },
  },
  "process.personality": {
    code: 34,
    side: "container",
    about: "personality(2), which decides what uname and execve take the machine for.",
    fields: { persona: "u64:hex" },
  },
  "process.memoryPolicy": {
    code: 35,
    side: "container",
    about: "set_mempolicy(2): bit n of the set is memory node n. execve and fork keep it.",
    fields: { mode: "u64:mempolicy", nodes: "u64s:bitset" },
  },
  "lsm.attribute": {
    code: 36,
    side: "container",
    about:
      "Writes a security attribute of the process (/proc/thread-self/attr/<lsm>/<name>, or attr/<name> if `lsm` is empty or the kernel has no directory of it), through a private procfs whose type is checked (CVE-2019-16884, CVE-2025-52881). An empty value clears it.",
    fields: { lsm: "str", name: "str", value: "str" },
  },

  // ---- the gate between create and start
  "gate.listen": {
    code: 30,
    side: "host",
    about: "Makes the container's gate: a listening unix socket in its state directory.",
    fields: { directory: "str", name: "str", slot: "slot" },
  },
  "gate.wait": {
    code: 31,
    side: "container",
    about: "Waits until start opens the gate; ends if the creator dies before it has recorded the container.",
    fields: { slot: "slot" },
  },
  "gate.open": {
    code: 32,
    side: "host",
    about: "Opens the gate of a created container, removes it, and waits for execve (end of file) or a failure record.",
    fields: { directory: "str", name: "str" },
  },

  // ---- namespaces and identity
  "ns.open": {
    code: 40,
    side: "host",
    about:
      "Opens a namespace by path and checks its type (NS_GET_NSTYPE). `foreign`: it may not be the one that tsrun is in.",
    fields: { path: "str", type: "u64:clone", foreign: "bool", slot: "slot" },
  },
  "ns.openProcess": {
    code: 41,
    side: "host",
    about: "Opens a pidfd of a process whose namespaces are to be joined, after checking its start time.",
    fields: { pid: "u64", startTime: "u64", slot: "slot" },
  },
  "ns.join": {
    code: 42,
    side: "container",
    about:
      "setns to the namespace of the slot, or, for a pidfd, to all of the process's namespaces of these types. Closes it.",
    fields: { slot: "slot", types: "u64:clone" },
  },
  "ns.unshare": { code: 43, side: "container", about: "unshare of these namespaces.", fields: { types: "u64:clone" } },
  "ns.timeOffsets": {
    code: 44,
    side: "container",
    about: "Writes the offsets of the time namespace made before, which nobody has entered yet.",
    fields: { offsets: "str" },
  },
  "userns.map": {
    code: 45,
    side: "host",
    about: "Writes uid_map and gid_map (and setgroups) of the container's process.",
    fields: { uidMap: "str", gidMap: "str", denySetgroups: "bool" },
  },
  "identity.becomeRoot": {
    code: 46,
    side: "container",
    about: "Becomes uid and gid 0 of the user namespace, so that the namespaces made next belong to it.",
    fields: {},
  },
  "identity.set": {
    code: 47,
    side: "container",
    about: "Sets umask, supplementary groups, gid and uid, keeping the permitted capabilities for caps.apply.",
    fields: { uid: "u64", gid: "u64", groups: "u64s", setGroups: "bool", umask: "u64:octal" },
  },
  "caps.bounding": {
    code: 48,
    side: "container",
    about: "Drops from the bounding set what is not in this mask.",
    fields: { keep: "u64:caps" },
  },
  "caps.apply": {
    code: 49,
    side: "container",
    about: "Sets the effective, permitted, inheritable and ambient sets.",
    fields: { effective: "u64:caps", permitted: "u64:caps", inheritable: "u64:caps", ambient: "u64:caps" },
  },

  "userns.open": {
    code: 55,
    side: "host",
    about:
      "Makes a user namespace with these maps and nobody in it, for mount.idmap: a process that does nothing else lives as long as the step.",
    fields: { uidMap: "str", gidMap: "str", slot: "slot" },
  },

  // ---- root and mounts (targets are paths below the root, resolved inside it)
  "mount.propagation": {
    code: 60,
    side: "container",
    about: "Sets the propagation of the namespace's whole tree before anything is mounted.",
    fields: { flags: "u64:prop" },
  },
  "root.bind": {
    code: 61,
    side: "container",
    about:
      "Makes the rootfs a mount of its own and opens it: every later target is resolved inside. `isolate` first stops propagation from the mount that holds it; not set where that mount is the host's own.",
    fields: { path: "str", isolate: "bool" },
  },
  "mount.filesystem": {
    code: 62,
    side: "container",
    about:
      "Mounts a new file system: fsopen, fsconfig, fsmount, move_mount onto the target opened inside the root; mount(2) through the target's descriptor where the new calls cannot say it (texts over 255 bytes, `mountFlags`). `magic`, if not 0, is the file system type that must result; `noSymlinks` refuses a target behind a symbolic link (/proc and /sys); `keepMode` gives the new root the mode of the directory it covers, `copyUp` its content.",
    fields: {
      fsType: "str",
      source: "str",
      target: "str",
      options: "strs",
      attr: "u64:attr",
      propagation: "u64:prop",
      noSymlinks: "bool",
      magic: "u64:hex",
      copyUp: "bool",
      keepMode: "bool",
      mountFlags: "u64:hex",
    },
  },
  "mount.bind": {
    code: 63,
    side: "container",
    about:
      "Bind mount: open_tree of the source (a host path, or a tree opened by the host in the slot), attributes set on the detached tree, move_mount onto the target, which is made like the source if missing. `magic`, if not 0, is the file system type that the source must have. `links` says what a symbolic link that is the source or the target means.",
    fields: {
      source: "str",
      slot: "slot",
      target: "str",
      recursive: "bool",
      attrSet: "u64:attr",
      attrClear: "u64:attr",
      attrRecursive: "bool",
      propagation: "u64:prop",
      noSymlinks: "bool",
      magic: "u64:hex",
      links: "u64:links",
    },
  },
  "mount.attributes": {
    code: 64,
    side: "container",
    about: "Changes attributes or propagation of a mount made before.",
    fields: { target: "str", set: "u64:attr", clear: "u64:attr", recursive: "bool", propagation: "u64:prop" },
  },
  "mount.openTree": {
    code: 65,
    side: "host",
    about:
      "Opens a detached copy of a host path for a container whose user cannot reach it, or for mount.idmap; mounts made in the copy do not propagate to the host. `noFollow`: a symbolic link is itself the source.",
    fields: { source: "str", recursive: "bool", slot: "slot", noFollow: "bool" },
  },
  "root.pivot": {
    code: 66,
    side: "container",
    about: "Enters the root: pivot_root through file descriptors, MS_MOVE and chroot (--no-pivot), or chroot alone.",
    fields: { method: "u64:pivot" },
  },
  "root.propagation": {
    code: 67,
    side: "container",
    about: "Sets the propagation of the container's root mount.",
    fields: { flags: "u64:prop" },
  },
  "root.readonly": { code: 68, side: "container", about: "Makes the container's root mount read-only.", fields: {} },
  "device.create": {
    code: 69,
    side: "container",
    about:
      "Makes a device node or fifo with its mode and owner; one that is there already must be the same. Where mknod is not permitted, the host's device `bindFrom`, if not empty, is bound as device.bind does.",
    fields: {
      path: "str",
      type: "u64:devtype",
      major: "u64",
      minor: "u64",
      mode: "u64:octal",
      uid: "u64",
      gid: "u64",
      bindFrom: "str",
    },
  },
  "device.bind": {
    code: 70,
    side: "container",
    about:
      "Binds a host device of this type and number over an empty file, where mknod is not allowed (user namespaces).",
    fields: { source: "str", path: "str", type: "u64:devtype", major: "u64", minor: "u64" },
  },
  "fs.symlink": {
    code: 71,
    side: "container",
    about:
      "Makes a symbolic link inside the root; `replace` removes another file in its place first, otherwise one that is there stays.",
    fields: { target: "str", path: "str", replace: "bool" },
  },
  "fs.mkdir": {
    code: 72,
    side: "container",
    about: "Makes a directory, with its parents, inside the root.",
    fields: { path: "str", mode: "u64:octal" },
  },
  "path.mask": {
    code: 73,
    side: "container",
    about:
      "Hides a path: a verified /dev/null over a file, an empty read-only tmpfs (with this SELinux context, if not empty) over a directory; a missing path is none to hide.",
    fields: { path: "str", context: "str" },
  },
  "path.readonly": {
    code: 74,
    side: "container",
    about: "Binds a path over itself read-only; a missing path is no error.",
    fields: { path: "str" },
  },
  "console.connect": {
    code: 75,
    side: "host",
    about: "Connects to the console socket, which will get the terminal's master.",
    fields: { path: "str", slot: "slot" },
  },
  "console.pair": {
    code: 76,
    side: "host",
    about:
      "Makes a socket pair for a terminal in the foreground: the container's end in the slot, the other kept for attach.",
    fields: { slot: "slot" },
  },
  "console.open": {
    code: 77,
    side: "container",
    about:
      "Opens a terminal in the container's own devpts, sends its master through the slot, makes it the standard streams and, with `bind`, /dev/console. `onlcr`: it adds a carriage return to line ends, as terminals do.",
    fields: { slot: "slot", uid: "u64", rows: "u64", columns: "u64", bind: "bool", onlcr: "bool" },
  },
  "sysctl.write": {
    code: 78,
    side: "container",
    about: "Writes a sysctl through a private procfs whose type is checked.",
    fields: { key: "str", value: "str" },
  },
  "uts.hostname": { code: 79, side: "container", about: "sethostname.", fields: { name: "str" } },
  "uts.domainname": { code: 80, side: "container", about: "setdomainname.", fields: { name: "str" } },
  "net.loopback": {
    code: 81,
    side: "container",
    about: "Brings the loopback device of a new network namespace up.",
    fields: {},
  },
  "root.open": {
    code: 82,
    side: "container",
    about: "Opens the rootfs where nothing is mounted in it: a container without a mount namespace and without mounts.",
    fields: { path: "str" },
  },
  "device.reopenNull": {
    code: 83,
    side: "container",
    about:
      "Standard streams that are the host's /dev/null become the container's, whose mode and owner it may change without harm.",
    fields: {},
  },
  "root.detach": {
    code: 84,
    side: "host",
    about:
      "Detaches the mount made by root.bind at this path, with all below it, when the container had no mount namespace that ends with it: at once if `now`, otherwise when the plan is undone. The mount that was there before stays.",
    fields: { path: "str", now: "bool" },
  },
  "fs.label": {
    code: 85,
    side: "container",
    about:
      "Gives the directory at this path inside the root a security label (extended attribute security.<lsm>), after checking that it is of this file system type.",
    fields: { path: "str", magic: "u64:hex", lsm: "str", label: "str" },
  },
  "mount.idmap": {
    code: 92,
    side: "host",
    about:
      "Maps the ids of the detached tree in the slot (the mount, or all of them if `recursive`) as the user namespace in the other slot does: MOUNT_ATTR_IDMAP, Linux 5.12.",
    fields: { tree: "slot", userns: "slot", recursive: "bool" },
  },
  "mount.overlay": {
    code: 240,
    side: "host",
    about:
      "Makes an overlay of these layers (topmost first) as a detached mount, in a mount namespace that ends with the step, where every layer has a short name: their number is not bounded by the page that mount(2) takes. With `userns` the layers' ids are mapped as it does (Linux 5.19). `upper` and `work` are relative to `writable`; none of the three for an overlay that cannot be written.",
    fields: {
      lowers: "strs",
      writable: "str",
      upper: "str",
      work: "str",
      options: "strs",
      userns: "slot",
      slot: "slot",
    },
  },

  // ---- network devices
  "net.moveDevice": {
    code: 93,
    side: "host",
    about:
      "Moves a network device into the container's network namespace under this name (`%d` in it stands for the first free number), adds its permanent global addresses again and sets it up; undo moves it back as it was, with its addresses and routes.",
    fields: { device: "str", name: "str" },
  },

  // ---- cgroups (`hierarchy` is the mount point, `path` relative to it)
  "cgroup.create": {
    code: 100,
    side: "host",
    about:
      "Makes the cgroup and its missing parents below a verified cgroup file system; undo removes what it made. One that is there already must be without processes and not frozen. v1: `cpuset` fills empty cpuset.cpus and cpuset.mems from the parents. v2: enables `controllers` in every parent, where they can be; that one of `needed` cannot is an error.",
    fields: { hierarchy: "str", path: "str", cpuset: "bool", controllers: "strs", needed: "strs" },
  },
  "cgroup.write": {
    code: 101,
    side: "host",
    about: "Writes a value to a file of the cgroup.",
    fields: { hierarchy: "str", path: "str", file: "str", value: "str" },
  },
  "cgroup.open": {
    code: 102,
    side: "host",
    about: "Opens the cgroup's directory for process.spawn (CLONE_INTO_CGROUP, v2).",
    fields: { hierarchy: "str", path: "str", slot: "slot" },
  },
  "cgroup.join": {
    code: 103,
    side: "host",
    about:
      "Moves the container's process into the cgroup, which waits for a grace period of the kernel; `fallback`, if not empty, is tried when the cgroup may have no processes (v2: EBUSY, EOPNOTSUPP).",
    fields: { hierarchy: "str", path: "str", fallback: "str" },
  },
  "cgroup.devices": {
    code: 104,
    side: "host",
    about: "Loads an eBPF device program and attaches it to the cgroup (v2) in place of those that are there.",
    fields: { hierarchy: "str", path: "str", program: "bytes" },
  },
  "cgroup.freeze": {
    code: 105,
    side: "host",
    about: "Freezes or thaws the cgroup and waits until it is so. `version` is 1 or 2.",
    fields: { hierarchy: "str", path: "str", frozen: "bool", version: "u64" },
  },
  "cgroup.signal": {
    code: 106,
    side: "host",
    about:
      "Signals every process in the cgroup and those below it (cgroup.kill for SIGKILL where there is one); a missing cgroup is no error.",
    fields: { hierarchy: "str", path: "str", signal: "u64:signal" },
  },
  "cgroup.remove": {
    code: 107,
    side: "host",
    about: "Removes the cgroup and those below it, waiting for exiting processes; a missing one is no error.",
    fields: { hierarchy: "str", path: "str", timeoutMs: "u64" },
  },
  "cgroup.writeFirst": {
    code: 108,
    side: "host",
    about:
      "Writes to the first of these files of the cgroup that is there, each with its own value; `missing` says whether none of them is no error.",
    fields: { hierarchy: "str", path: "str", files: "strs", values: "strs", missing: "bool" },
  },
  "cgroup.enter": {
    code: 109,
    side: "host",
    about:
      "Lets the next process.spawn clone from a thread of its own that stands in this v1 cgroup: the child is born there, without the grace period that cgroup.join waits for.",
    fields: { hierarchy: "str", path: "str" },
  },
  "cgroup.delegate": {
    code: 110,
    side: "host",
    about:
      "Gives the cgroup's directory (v2) and those of its files that /sys/kernel/cgroup/delegate lists to this uid of the host.",
    fields: { hierarchy: "str", path: "str", uid: "u64" },
  },
  "cgroup.update": {
    code: 111,
    side: "host",
    about:
      "Writes to the first of these files of the cgroup that is there, as cgroup.writeFirst; undo writes the file's text of `before` to it (none if empty), for a cgroup that stays when the plan fails.",
    fields: { hierarchy: "str", path: "str", files: "strs", values: "strs", before: "strs", missing: "bool" },
  },
  "cgroup.adopt": {
    code: 233,
    side: "host",
    about:
      "Takes a v2 cgroup in which somebody else has put the container's process: checks that it is there and nobody else, then lets the parents give it these controllers (`needed`: must be possible).",
    fields: { hierarchy: "str", path: "str", controllers: "strs", needed: "strs" },
  },

  // ---- systemd, over D-Bus: `managers` are sockets of the manager itself, `buses` of message buses, where `greeting` is
  // said first; the first that answers is used
  "systemd.startUnit": {
    code: 230,
    side: "host",
    about:
      "Makes this call, with the pid of the container's process at byte `pidAt` of it (0: nowhere), and waits until the job that it starts is done. Undo ends the process and makes the call `stop`.",
    fields: {
      managers: "strs",
      buses: "strs",
      greeting: "bytes:dbus",
      unit: "str",
      call: "bytes:dbus",
      pidAt: "u64",
      stop: "bytes:dbus",
      timeoutMs: "u64",
    },
  },
  "systemd.setProperties": {
    code: 231,
    side: "host",
    about: "Makes these calls, and waits for the last one's answer; undo makes the calls `undo`.",
    fields: {
      managers: "strs",
      buses: "strs",
      greeting: "bytes:dbus",
      unit: "str",
      calls: "bytes:dbus",
      undo: "bytes:dbus",
      timeoutMs: "u64",
    },
  },
  "systemd.stopUnit": {
    code: 232,
    side: "host",
    about:
      "Makes this call and waits until its job is done. A unit that is not there, or a manager that is not there, is no error.",
    fields: {
      managers: "strs",
      buses: "strs",
      greeting: "bytes:dbus",
      unit: "str",
      call: "bytes:dbus",
      timeoutMs: "u64",
    },
  },

  // ---- resctrl (`root` is its mount point, checked to be a file system of type `magic`; `path` relative to it)
  "resctrl.create": {
    code: 150,
    side: "host",
    about:
      "Makes a directory (a class, or a monitoring group in mon_groups of one); undo removes it. One that is there is used if `existing`, otherwise an error; `make` false: it must be there.",
    fields: { root: "str", magic: "u64:hex", path: "str", make: "bool", existing: "bool" },
  },
  "resctrl.write": {
    code: 151,
    side: "host",
    about:
      "Writes a line to schemata of the directory; undo writes back what was there. A failure says what info/last_cmd_status says.",
    fields: { root: "str", magic: "u64:hex", path: "str", value: "str" },
  },
  "resctrl.join": {
    code: 152,
    side: "host",
    about: "Writes the container's process to tasks of the directory; `gone` says whether a missing one is no error.",
    fields: { root: "str", magic: "u64:hex", path: "str", gone: "bool" },
  },
  "resctrl.remove": {
    code: 153,
    side: "host",
    about: "Removes the directory; a missing one is no error.",
    fields: { root: "str", magic: "u64:hex", path: "str" },
  },

  // ---- seccomp
  "seccomp.compile": {
    code: 120,
    side: "host",
    about:
      "Compiles the profile with libseccomp into the slot, or takes it from the cache directory (none if empty). Rule i answers syscall names[i] with actions[i]; conditions are groups of five: rule, argument, operator, value, second value. `newerAction` answers numbers above the highest that the profile names.",
    fields: {
      defaultAction: "u64:hex",
      newerAction: "u64:hex",
      architectures: "u64s",
      names: "strs",
      actions: "u64s",
      conditions: "u64s",
      failUnknown: "bool",
      cache: "str",
      slot: "slot",
    },
  },
  "seccomp.load": {
    code: 121,
    side: "container",
    about:
      "Loads the compiled filter of the slot. `listener`: the kernel asks somebody about some of its system calls, and the host fetches the descriptor for that (seccomp.listener). `dumpable`: so that a host without privilege may.",
    fields: { slot: "slot", flags: "u64:hex", listener: "bool", dumpable: "bool" },
  },
  "seccomp.listener": {
    code: 122,
    side: "host",
    about:
      "Fetches the listener of the filter that the container has just loaded (pidfd_getfd) and sends it to a unix stream socket, with a text: `state` joined by the pid of the container's process.",
    fields: { path: "str", state: "strs" },
  },

  // ---- hooks and hand-over
  "hook.run": {
    code: 130,
    side: "both",
    about:
      "Runs a hook in this directory (or in / where that cannot be entered) with the container's state on its standard input: stateBefore, the pid as this side sees it, stateAfter; or stateBefore alone if stateAfter is empty. `timeoutMs` 0 is no limit. Its output goes to the files of the slots; without them its end is kept for the failure.",
    fields: {
      hook: "str",
      index: "u64",
      path: "str",
      args: "strs",
      env: "strs",
      directory: "str",
      timeoutMs: "u64",
      stateBefore: "str",
      stateAfter: "str",
      out: "slot",
      err: "slot",
    },
  },
  "pidfd.send": {
    code: 131,
    side: "host",
    about: "Sends a pidfd of the container's process to a unix socket.",
    fields: { path: "str" },
  },
  "file.append": {
    code: 134,
    side: "host",
    about: "Opens a file to append to; one that is missing is made, for its owner only.",
    fields: { path: "str", slot: "slot" },
  },
  "notify.listen": {
    code: 132,
    side: "host",
    about:
      "Makes a datagram socket of this name in the directory, to which programs say that they are ready (sd_notify(3)); whoever finds it may write to it. Kept for notify.forward or attach.",
    fields: { directory: "str", name: "str" },
  },
  "notify.forward": {
    code: 133,
    side: "host",
    about:
      "Waits until somebody says READY=… to the socket of notify.listen, or the process ends (not if it is `ready` already, having been restored); says it, and MAINPID=pid, to this address (a path, or @name of an abstract socket), and waits until it is taken in (BARRIER=1, at most 30 s).",
    fields: { address: "str", pid: "u64", startTime: "u64", ready: "bool" },
  },

  // ---- CRIU (criu.org), driven by its RPC
  "criu.connect": {
    code: 250,
    side: "host",
    about: "Makes the socket over which CRIU is told what to do (`criu swrk`), its end in the slot.",
    fields: { slot: "slot" },
  },
  "criu.request": {
    code: 251,
    side: "host",
    about:
      "Sends a request (a criu_req of CRIU's rpc.proto) to the CRIU that the plan has spawned; the slot is the one of criu.connect. Undo: a process that was adopted is killed, and CRIU learns that nobody is there any more, and undoes what it did.",
    fields: { slot: "slot", request: "bytes" },
  },
  "criu.wait": {
    code: 252,
    side: "host",
    about:
      "Lets CRIU go on to this point (a notification of its RPC, where it waits), or to its end if `script` is empty. `adopt`: the process that CRIU names there becomes the container's. A terminal's master that CRIU finds on the way goes through the slot `console`; that lazy pages can be fetched is told by a zero byte to the descriptor `statusFd` of tsrun, if not 0.",
    fields: { script: "str", adopt: "bool", console: "slot", statusFd: "u64" },
  },
  "fds.place": {
    code: 253,
    side: "container",
    about: "Keeps the descriptor of the slot open for the program, under this number, which must be free.",
    fields: { slot: "slot", number: "u64" },
  },
  "mount.target": {
    code: 254,
    side: "container",
    about: "Makes what mount.bind of this host path would be mounted on, if missing, and mounts nothing.",
    fields: { source: "str", target: "str", noSymlinks: "bool", links: "u64:links" },
  },
} as const satisfies Record<string, StepShape>;

export type StepKind = keyof typeof vocabulary;

/** Operations that a failure names: the system call, or the check of ours that failed. Order is the code; append only. */
export const operations = [
  "none",
  "open",
  "openat2",
  "open_tree",
  "move_mount",
  "fsopen",
  "fsconfig",
  "fsmount",
  "mount_setattr",
  "mount",
  "umount2",
  "pivot_root",
  "chroot",
  "chdir",
  "fchdir",
  "mkdirat",
  "mknodat",
  "symlinkat",
  "unlinkat",
  "fchown",
  "fchmod",
  "fstat",
  "fstatfs",
  "read",
  "write",
  "setns",
  "unshare",
  "clone3",
  "execve",
  "socket",
  "bind",
  "listen",
  "accept4",
  "connect",
  "sendmsg",
  "recvmsg",
  "ioctl",
  "prctl",
  "capset",
  "setresuid",
  "setresgid",
  "setgroups",
  "sethostname",
  "setdomainname",
  "keyctl",
  "seccomp",
  "prlimit64",
  "pidfd_open",
  "pidfd_send_signal",
  "bpf",
  "rmdir",
  "memfd_create",
  "fcntl",
  "mmap",
  "waitid",
  "close_range",
  "setsid",
  "poll",
  "renameat",
  "readlinkat",
  "lookup", // a program that cannot be found or executed
  "verify", // something is not what it must be: another type, another device, outside the root
  "timeout", // waited in vain
  "exited", // detail: exit status
  "killed", // detail: signal
  "peer", // the other side of the plan ended without a word
  "limit", // a size or count is over its bound
  "libseccomp",
  "injected", // a fault asked for by a test
  "utimensat",
  "pthread_create",
  "sched_setattr",
  "sched_setaffinity",
  "ioprio_set",
  "personality",
  "set_mempolicy",
  "fsetxattr",
  "pidfd_getfd",
  "rtnetlink", // a request to the kernel's routing socket; its words are the text
  "systemd", // a call or a job that systemd refuses; its words are the text
  "criu", // CRIU says that it failed; errno, if not 0, is its own view
  "linkat",
  "ftruncate",
  "syncfs",
] as const;
export type Operation = (typeof operations)[number];

type Value<F extends Field> = F extends `u64s${string}`
  ? readonly (number | bigint)[]
  : F extends `u64${string}` | `i64${string}`
    ? number | bigint
    : F extends `bool${string}`
      ? boolean
      : F extends `strs${string}`
        ? readonly string[]
        : F extends `str${string}`
          ? string
          : F extends `bytes${string}`
            ? Uint8Array
            : F extends `slot${string}`
              ? string | null
              : never;

type FieldsOf<K extends StepKind> = {
  readonly [N in keyof (typeof vocabulary)[K]["fields"]]: Value<(typeof vocabulary)[K]["fields"][N] & Field>;
};

/** One step: its kind, its fields, and whether its failure is recorded and passed over (`optional`). */
export type StepOf<K extends StepKind> = { readonly kind: K; readonly optional?: boolean } & FieldsOf<K>;
export type Step = { [K in StepKind]: StepOf<K> }[StepKind];

type KindsOn<S extends Side> = {
  [K in StepKind]: (typeof vocabulary)[K]["side"] extends S | "both" ? K : never;
}[StepKind];
export type HostStep = { [K in KindsOn<"host">]: StepOf<K> }[KindsOn<"host">];
export type ContainerStep = { [K in KindsOn<"container">]: StepOf<K> }[KindsOn<"container">];

/** A plan: what the executor does, in order. Two lists that meet in sync steps; no control flow, no variables. */
export interface Plan {
  /** What this plan does, for people and messages: "create web". */
  readonly title: string;
  readonly host: readonly HostStep[];
  readonly container: readonly ContainerStep[];
}

/** Limits of an encoded plan, the same in addon/abi/plan.gen.h. */
export const limits = {
  /** Bytes of an encoded plan. */
  planBytes: 16 * 1024 * 1024,
  /** Steps in both lists together. */
  steps: 4096,
  /** File descriptor slots. */
  slots: 512,
  /** Elements of one list field. */
  elements: 65536,
} as const;

/** What a symbolic link means to `mount.bind`; bits. Without any, links are followed. */
export const linkRules = {
  /** A source that is a link is bound itself. */
  sourceNoFollow: 1,
  /** A target that is a link is itself mounted over. */
  targetNoFollow: 2,
  /** A source that is a link is copied to the target instead of being bound. */
  copy: 4,
} as const;

/** `root.pivot` methods. */
export const pivotMethods = { pivot: 0, move: 1, chroot: 2 } as const;
