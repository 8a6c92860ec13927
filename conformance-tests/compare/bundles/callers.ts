/** What the callers of a runtime write into config.json by default: docker, podman, containerd for Kubernetes. */
import { mkdirSync, writeFileSync } from "node:fs";
import type { Bundle, Config, Place } from "../bundle.ts";
import { namespace } from "../bundle.ts";
import { needsProfile } from "../profiles.ts";

const dockerCapabilities = [
  ...[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
  ],
  ...["CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"],
];
const podmanCapabilities = dockerCapabilities.filter(
  (name) => !["CAP_MKNOD", "CAP_NET_RAW", "CAP_AUDIT_WRITE"].includes(name),
);

const three = (capabilities: readonly string[]) => ({
  bounding: capabilities,
  effective: capabilities,
  permitted: capabilities,
});

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Files that engines put into a container. */
const files = ({ work }: Place, ...names: readonly string[]): void => {
  for (const name of names) writeFileSync(`${work}/${name}`, `${name}\n`);
  mkdirSync(`${work}/shm`, { mode: 0o1777 });
};

const file = (source: string, destination: string, ...options: string[]) => ({
  destination,
  type: "bind",
  source,
  options,
});

const devices = (...numbers: readonly (readonly [number, number])[]) => [
  { allow: false, access: "rwm" },
  ...numbers.map(([major, minor]) => ({ allow: true, type: "c", major, minor, access: "rwm" })),
  { allow: false, type: "c", major: 10, minor: 229, access: "rwm" },
];

export const callerBundles: readonly Bundle[] = [
  {
    name: "docker",
    about: "docker's default container",
    thorough: true,
    probe: ["--devices"],
    needs: needsProfile("docker"),
    prepare: (place) => files(place, "resolv.conf", "hostname", "hosts"),
    edit: (config, { work, profile }) => {
      config.process.user = { uid: 0, gid: 0, additionalGids: [0] };
      config.process.env = [PATH, "HOSTNAME=0123456789ab"];
      config.process.capabilities = three(dockerCapabilities);
      config.process.oomScoreAdj = 0;
      config.process.noNewPrivileges = undefined;
      config.process.rlimits = undefined;
      config.root.readonly = false;
      config.hostname = "0123456789ab";
      config.mounts = [
        { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
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
        { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
        {
          destination: "/sys/fs/cgroup",
          type: "cgroup",
          source: "cgroup",
          options: ["ro", "nosuid", "noexec", "nodev"],
        },
        { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
        {
          destination: "/dev/shm",
          type: "tmpfs",
          source: "shm",
          options: ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"],
        },
        file(`${work}/resolv.conf`, "/etc/resolv.conf", "rbind", "rprivate"),
        file(`${work}/hostname`, "/etc/hostname", "rbind", "rprivate"),
        file(`${work}/hosts`, "/etc/hosts", "rbind", "rprivate"),
      ];
      config.linux = {
        sysctl: { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" },
        resources: {
          devices: devices([1, 5], [1, 3], [1, 9], [1, 8], [5, 0], [5, 1]),
          memory: {},
          cpu: { shares: 0 },
          blockIO: { weight: 0 },
        },
        cgroupsPath: config.linux.cgroupsPath,
        namespaces: ["mount", "network", "uts", "pid", "ipc"].map((type) => ({ type })),
        seccomp: profile("docker", dockerCapabilities),
        maskedPaths: [
          ...["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"],
          ...["/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"],
        ],
        readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
      };
    },
    shows: { "init/status/Seccomp": "2" },
  },
  {
    name: "podman",
    about: "the config.json of podman 4.3's `podman run --network none`",
    thorough: true,
    probe: ["--devices"],
    needs: needsProfile("podman"),
    prepare: (place) => files(place, ".containerenv", "hostname", "hosts"),
    edit: (config, { work, profile }) => {
      config.process.user = { uid: 0, gid: 0, umask: 18 };
      config.process.env = [PATH, "TERM=xterm", "HOSTNAME=b6b8bba80c30"];
      config.process.capabilities = three(podmanCapabilities);
      config.process.noNewPrivileges = undefined;
      // As high as the caller's own: raising it further needs a capability.
      config.process.rlimits = [
        { type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 },
        { type: "RLIMIT_NPROC", hard: 32_768, soft: 32_768 },
      ];
      config.root.readonly = undefined;
      config.hostname = "b6b8bba80c30";
      config.mounts = [
        { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
        {
          destination: "/dev",
          type: "tmpfs",
          source: "tmpfs",
          options: ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"],
        },
        { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
        {
          destination: "/dev/pts",
          type: "devpts",
          source: "devpts",
          options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
        file(`${work}/shm`, "/dev/shm", "bind", "rprivate", "nosuid", "noexec", "nodev"),
        file(`${work}/.containerenv`, "/run/.containerenv", "bind", "rprivate"),
        file(`${work}/hostname`, "/etc/hostname", "bind", "rprivate"),
        file(`${work}/hosts`, "/etc/hosts", "bind", "rprivate"),
        {
          destination: "/sys/fs/cgroup",
          type: "cgroup",
          source: "cgroup",
          options: ["rprivate", "nosuid", "noexec", "nodev", "relatime", "ro"],
        },
      ];
      config.annotations = {
        "io.container.manager": "libpod",
        "io.kubernetes.cri-o.Created": "2026-01-01T00:00:00.443537256Z",
        "io.kubernetes.cri-o.TTY": "false",
        "io.podman.annotations.autoremove": "TRUE",
        "io.podman.annotations.init": "FALSE",
        "io.podman.annotations.privileged": "FALSE",
        "io.podman.annotations.publish-all": "FALSE",
        "org.opencontainers.image.stopSignal": "15",
      };
      config.linux = {
        sysctl: { "net.ipv4.ping_group_range": "0 0" },
        resources: { devices: [{ allow: false, access: "rwm" }], pids: { limit: 2048 } },
        cgroupsPath: config.linux.cgroupsPath,
        namespaces: ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type })),
        seccomp: profile("podman", podmanCapabilities),
        maskedPaths: [
          ...[
            "/proc/acpi",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
          ],
          ...["/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/fs/selinux", "/sys/dev/block"],
        ],
        readonlyPaths: ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
      };
    },
    shows: { "init/status/Seccomp": "2", "init//proc/sys/net/ipv4/ping_group_range": "0 0" },
  },
  {
    name: "kubernetes",
    about: "a pod's sandbox and a container in it, as containerd makes them",
    thorough: true,
    prepare: (place) => files(place, "resolv.conf", "hostname", "hosts", "termination-log"),
    sandbox: (config) => {
      config.hostname = "web-0";
      config.process.capabilities = three(dockerCapabilities);
      config.linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" };
      config.linux.resources = { devices: [{ allow: false, access: "rwm" }], cpu: { shares: 2 } };
      config.annotations = { "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "sandbox" };
    },
    edit: (config, { work, sandboxPid }) => {
      for (const [type, name] of [
        ["network", "net"],
        ["ipc", "ipc"],
        ["uts", "uts"],
      ] as const)
        namespace(config, type, `/proc/${sandboxPid}/ns/${name}`);
      config.hostname = undefined;
      config.process.user = { uid: 1000, gid: 1000, additionalGids: [1000, 2000] };
      config.process.env = [PATH, "HOSTNAME=web-0", "KUBERNETES_PORT=tcp://10.0.0.1:443"];
      config.process.capabilities = three(dockerCapabilities);
      config.process.oomScoreAdj = 1000;
      config.process.rlimits = undefined;
      config.root.readonly = undefined;
      config.mounts = [
        ...config.mounts.filter(({ destination }: Config) => destination !== "/dev/shm"),
        file(`${work}/hosts`, "/etc/hosts", "rbind", "rprivate", "rw"),
        file(`${work}/termination-log`, "/dev/termination-log", "rbind", "rprivate", "rw"),
        file(`${work}/hostname`, "/etc/hostname", "rbind", "rprivate", "rw"),
        file(`${work}/resolv.conf`, "/etc/resolv.conf", "rbind", "rprivate", "rw"),
        file(`${work}/shm`, "/dev/shm", "rbind", "rprivate", "rw"),
        file(work, "/var/run/secrets/kubernetes.io/serviceaccount", "rbind", "rprivate", "ro"),
      ];
      config.annotations = {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.sandbox-id": "sandbox",
        "io.kubernetes.cri.container-name": "web",
      };
      config.linux.resources = {
        devices: [{ allow: false, access: "rwm" }],
        memory: { limit: 67_108_864, swap: 67_108_864 },
        cpu: { shares: 102, quota: 50_000, period: 100_000 },
      };
      config.linux.rootfsPropagation = "rslave";
    },
    shows: { "init/uts/hostname": "web-0", "outside running/oom_score_adj": "1000" },
  },
];
