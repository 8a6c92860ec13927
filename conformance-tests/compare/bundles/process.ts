/** `process`, the names, and what becomes of the program. */
import { existsSync } from "node:fs";
import type { Bundle } from "../bundle.ts";
import { namespace, since } from "../bundle.ts";

const all = [
  ...["CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"],
  ...["LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"],
  ...["SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"],
  ...["SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE"],
  ...["MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"],
].map((name) => `CAP_${name}`);

export const processBundles: readonly Bundle[] = [
  { name: "spec", about: "what `spec` writes, unchanged", thorough: true, edit: () => {} },
  {
    name: "user",
    about: "a user with groups and a umask, who owns nothing",
    edit: ({ process }) => {
      process.user = { uid: 1000, gid: 1001, additionalGids: [5, 10, 1001], umask: 0o077 };
    },
    shows: { "init/process/uid": "1000 1000 1000", "init/process/umask": "0077", "init/process/groups": "5 10 1001" },
  },
  {
    name: "user-without-name",
    about: "a user whom /etc/passwd does not have; HOME and no capabilities",
    edit: ({ process }) => {
      process.user = { uid: 4242, gid: 0 };
      process.capabilities = undefined;
      process.env = ["PATH=/bin"];
    },
    shows: { "init/caps/bounding": /^0+$/, "init/env/HOME": "/" },
  },
  {
    name: "capabilities",
    about: "all five sets, each another one, for a user",
    edit: ({ process }) => {
      process.user = { uid: 1000, gid: 1000 };
      process.noNewPrivileges = false;
      process.capabilities = {
        bounding: ["CAP_NET_RAW", "CAP_KILL", "CAP_CHOWN", "CAP_SETUID", "CAP_SETGID"],
        permitted: ["CAP_NET_RAW", "CAP_KILL", "CAP_CHOWN"],
        effective: ["CAP_NET_RAW", "CAP_KILL"],
        inheritable: ["CAP_NET_RAW", "CAP_CHOWN"],
        ambient: ["CAP_NET_RAW"],
      };
    },
    shows: { "init/caps/effective": "0000000000002000", "init/caps/ambient": /^0{13}10+$/ },
  },
  {
    name: "capabilities-root",
    about: "root with permitted beyond effective, and an inheritable set",
    edit: ({ process }) => {
      process.noNewPrivileges = false;
      process.capabilities = {
        bounding: ["CAP_NET_RAW", "CAP_KILL", "CAP_CHOWN"],
        permitted: ["CAP_NET_RAW", "CAP_KILL", "CAP_CHOWN"],
        effective: ["CAP_KILL"],
        inheritable: ["CAP_KILL", "CAP_CHOWN"],
      };
    },
  },
  {
    name: "privileged",
    about: "every capability and device, nothing masked, as callers' --privileged",
    probe: ["--devices"],
    edit: (config) => {
      const sets = { bounding: all, permitted: all, effective: all };
      config.process.capabilities = sets;
      config.process.noNewPrivileges = false;
      config.root.readonly = false;
      config.linux.maskedPaths = [];
      config.linux.readonlyPaths = [];
      config.linux.resources = { devices: [{ allow: true, access: "rwm" }] };
      for (const mount of config.mounts)
        if (["/sys", "/sys/fs/cgroup"].includes(mount.destination))
          mount.options = mount.options.map((option: string) => (option === "ro" ? "rw" : option));
    },
    shows: { "init/rule/b 7:0": "mknod yes, read yes, write yes", "init/prctl/no_new_privs": "0" },
  },
  {
    name: "rlimits",
    about: "every limit",
    edit: ({ process }) => {
      process.rlimits = [
        { type: "RLIMIT_AS", soft: 4_000_000_000, hard: 5_000_000_000 },
        { type: "RLIMIT_CORE", soft: 0, hard: 0 },
        { type: "RLIMIT_CPU", soft: 1000, hard: 2000 },
        { type: "RLIMIT_DATA", soft: 3_000_000_000, hard: 3_000_000_000 },
        { type: "RLIMIT_FSIZE", soft: 1_000_000_000, hard: 1_000_000_001 },
        { type: "RLIMIT_LOCKS", soft: 100, hard: 200 },
        { type: "RLIMIT_MEMLOCK", soft: 65_536, hard: 65_536 },
        { type: "RLIMIT_MSGQUEUE", soft: 1000, hard: 2000 },
        { type: "RLIMIT_NICE", soft: 0, hard: 0 },
        { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
        { type: "RLIMIT_NPROC", soft: 1000, hard: 2000 },
        { type: "RLIMIT_RSS", soft: 1_000_000_000, hard: 1_000_000_000 },
        { type: "RLIMIT_RTPRIO", soft: 0, hard: 0 },
        { type: "RLIMIT_RTTIME", soft: 1000, hard: 2000 },
        { type: "RLIMIT_SIGPENDING", soft: 100, hard: 200 },
        { type: "RLIMIT_STACK", soft: 8_388_608, hard: 16_777_216 },
      ];
    },
    shows: { "init/rlimit/NOFILE": "100 200", "init/rlimit/RTTIME": "1000 2000" },
  },
  {
    name: "environment",
    about: "names twice, empty values, and no HOME",
    edit: ({ process }) => {
      process.env = ["PATH=/bin", "EMPTY=", "TWICE=1", "EQUALS=a=b=c", "TWICE=2", "UMLAUT=ä ö\tü", "HOME="];
    },
    shows: { "init/env/TWICE": "2", "init/env/EQUALS": "a=b=c", "init/env/EMPTY": "" },
  },
  {
    name: "program-from-path",
    about: "a program that the container's own PATH finds, in its directory",
    edit: ({ process }) => {
      process.env = ["PATH=/nowhere:/:/bin", "HOME=/home/elsewhere"];
      process.args = ["probe", "--wait"];
      process.cwd = "/tmp";
    },
    shows: { "init/process/cwd": "/tmp", "init/env/HOME": "/home/elsewhere" },
  },
  {
    name: "cwd-made",
    about: "a working directory that is not there yet",
    edit: (config) => {
      config.root.readonly = false;
      config.process.cwd = "/srv/deep/below";
    },
    shows: { "init/process/cwd": "/srv/deep/below" },
  },
  {
    name: "oom-score",
    about: "oom_score_adj, raised",
    edit: ({ process }) => {
      process.oomScoreAdj = 500;
    },
    shows: { "outside running/oom_score_adj": "500" },
  },
  {
    name: "names",
    about: "host and domain name",
    edit: (config) => {
      config.hostname = "web-1.example";
      config.domainname = "example.org";
    },
    shows: { "init/uts/hostname": "web-1.example", "init/uts/domainname": "example.org" },
  },
  {
    name: "terminal",
    about: "a terminal over a console socket",
    edit: ({ process }) => {
      process.terminal = true;
      process.consoleSize = { height: 33, width: 111 };
    },
    shows: { "init/tty/size": "33 x 111", "init/tty/controlling": "yes", "init/fd/0": /\/dev\/pts\/0$/ },
  },
  {
    name: "terminal-user",
    about: "a terminal that belongs to a user",
    edit: ({ process }) => {
      process.terminal = true;
      process.user = { uid: 1000, gid: 1000 };
    },
    shows: { "init/fd/0": /^c 0620 1000:5 / },
  },
  {
    name: "annotations",
    about: "annotations, which `state` repeats",
    thorough: true,
    edit: (config) => {
      config.annotations = { "org.example.empty": "", "org.example.text": 'a "b" \n c', "org.example/slash": "ä" };
    },
  },
  {
    name: "descriptors",
    about: "a descriptor that is preserved",
    flags: ["--preserve-fds", "1"],
    edit: () => {},
    shows: { "init/fd/3": /\/preserved$/ },
  },
  {
    name: "keyring",
    about: "the caller's session keyring",
    flags: ["--no-new-keyring"],
    edit: () => {},
  },
  {
    name: "personality",
    about: "a 32-bit execution domain",
    without: { runc: since("1.1.10") },
    edit: ({ linux }) => {
      linux.personality = { domain: "LINUX32" };
    },
    shows: { "init/process/personality": "00000008", "init/uts/machine": "i686" },
  },
  {
    name: "scheduler",
    about: "scheduling policy and niceness",
    without: { runc: since("1.2"), crun: since("1.9") },
    edit: ({ process }) => {
      process.scheduler = { policy: "SCHED_BATCH", nice: 5, flags: ["SCHED_FLAG_RESET_ON_FORK"] };
    },
    shows: { "init/sched/attributes": /^policy 3 flags 1 nice 5 / },
  },
  {
    name: "scheduler-realtime",
    about: "a real-time policy",
    needs: () =>
      existsSync("/sys/fs/cgroup/cpu/cpu.rt_runtime_us")
        ? "with v1's real-time scheduling of groups every parent needs a budget first"
        : undefined,
    without: { runc: since("1.2"), crun: since("1.9") },
    edit: ({ process }) => {
      process.scheduler = { policy: "SCHED_RR", priority: 7 };
    },
    shows: { "init/sched/attributes": /^policy 2 .*priority 7 / },
  },
  {
    name: "scheduler-idle",
    about: "the policy for what nobody waits for",
    without: { runc: since("1.2"), crun: since("1.9") },
    edit: ({ process, linux }) => {
      process.scheduler = { policy: "SCHED_IDLE" };
      process.ioPriority = { class: "IOPRIO_CLASS_IDLE" };
      linux.memoryPolicy = { mode: "MPOL_LOCAL" };
    },
    shows: {
      "init/sched/attributes": /^policy 5 /,
      "init/sched/io": /^class 3 /,
      "init/memory/policy": "mode 4 nodes 0",
      "exec/sched/attributes": /^policy 5 /,
    },
  },
  {
    name: "scheduler-other",
    about: "the usual policy, said so, with a niceness; memory of one node",
    without: { runc: since("1.2"), crun: since("1.9") },
    edit: ({ process, linux }) => {
      process.scheduler = { policy: "SCHED_OTHER", nice: 10 };
      linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "0" };
      linux.personality = { domain: "LINUX" };
    },
    shows: { "init/sched/attributes": /^policy 0 flags 0 nice 10 /, "init/memory/policy": "mode 2 nodes 1" },
  },
  {
    name: "io-priority",
    about: "I/O scheduling class and priority",
    without: { runc: since("1.2"), crun: since("1.9") },
    edit: ({ process }) => {
      process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 };
    },
    shows: { "init/sched/io": "class 2 priority 6" },
  },
  {
    name: "exec-affinity",
    about: "the processors of executed programs",
    without: { runc: since("1.3"), crun: since("1.18") },
    edit: ({ process }) => {
      process.execCPUAffinity = { initial: "0-1", final: "1" };
    },
    shows: { "exec/sched/cpus": "1", "init/sched/cpus": "0 1" },
  },
  {
    name: "memory-policy",
    about: "which memory nodes",
    without: { runc: since("1.4"), crun: since("1.24") },
    edit: ({ linux }) => {
      linux.memoryPolicy = { mode: "MPOL_INTERLEAVE", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] };
    },
    shows: { "init/memory/policy": /^mode 32771 nodes 1$/ },
  },
  {
    name: "apparmor",
    about: "an AppArmor profile",
    needs: ({ appArmor }) => (appArmor ? undefined : "AppArmor is not on"),
    edit: ({ process }) => {
      process.apparmorProfile = "unconfined";
    },
  },
  {
    name: "selinux",
    about: "labels of process and mounts",
    needs: ({ selinux }) => (selinux ? undefined : "SELinux is not on"),
    edit: ({ process, linux }) => {
      process.selinuxLabel = "system_u:system_r:container_t:s0:c1,c2";
      linux.mountLabel = "system_u:object_r:container_file_t:s0:c1,c2";
    },
  },
  {
    name: "hooks",
    about: "every hook: which are run, in which order, what they are told",
    edit: (config, place) => {
      // What runs in the container finds its own file system. One write each: runc and crun run two of them at once.
      const hook = (name: string, inside = false) => [
        {
          path: inside ? "/bin/sh" : "/bin/bash",
          args: [
            "sh",
            "-c",
            `printf '== %s %s\\n%s\\n' "$EXTRA" "$PWD" "$(tr -d '\\n')" >> ${inside ? "/log" : `${place.work}/log`}`,
          ],
          env: ["PATH=/bin:/usr/bin", `EXTRA=${name}`],
          timeout: 10,
        },
      ];
      config.mounts.push({ destination: "/log", type: "bind", source: `${place.work}/log`, options: ["bind"] });
      config.annotations = { "org.example": "x" };
      config.hooks = {
        prestart: hook("prestart"),
        createRuntime: hook("createRuntime"),
        createContainer: hook("createContainer"),
        startContainer: hook("startContainer", true),
        poststart: hook("poststart"),
        poststop: hook("poststop"),
      };
    },
    hookLogs: ["log"],
  },
  {
    name: "host-namespaces",
    about: "no namespace but for mounts",
    edit: (config) => {
      for (const type of ["pid", "network", "ipc", "uts", "cgroup"]) namespace(config, type, null);
      config.hostname = undefined;
      config.mounts = config.mounts.filter(({ destination }: { destination: string }) => destination !== "/dev/mqueue");
    },
    shows: { "outside running/namespace/pid": "the host's", "outside running/namespace/net": "the host's" },
  },
];
