/** Namespaces: new, joined, nested; identity maps; sysctls. */
import { spawnSync } from "node:child_process";
import type { Bundle, Config, Place } from "../bundle.ts";
import { namespace, needsKernel, since } from "../bundle.ts";

const mapped = (config: Config, hostID = 100_000, size = 65_536): void => {
  namespace(config, "user");
  config.linux.uidMappings = [{ containerID: 0, hostID, size }];
  config.linux.gidMappings = [{ containerID: 0, hostID: hostID + 1_000_000, size }];
};

/** The root file system belongs to the container's root. */
const own = ({ rootfs }: Place, uid = 100_000, gid = 1_100_000): void => {
  const made = spawnSync("chown", ["-R", `${uid}:${gid}`, rootfs], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(made.stderr);
};

const share = (config: Config, { sandboxPid }: Place, types: readonly string[]): void => {
  const files: Record<string, string> = { network: "net", mount: "mnt" };
  for (const type of types) namespace(config, type, `/proc/${sandboxPid}/ns/${files[type] ?? type}`);
};

export const namespaceBundles: readonly Bundle[] = [
  {
    name: "cgroup-namespace",
    about: "a cgroup namespace and its mount",
    edit: (config) => namespace(config, "cgroup"),
    shows: { "outside running/namespace/cgroup": "its own", "init/cgroup of/memory": "/" },
  },
  {
    name: "time-namespace",
    about: "clocks of its own",
    without: { runc: since("1.2"), crun: since("1.9", "the offsets written too late") },
    needs: needsKernel(5, 6),
    edit: (config) => {
      namespace(config, "time");
      config.linux.timeOffsets = { monotonic: { secs: 1000, nanosecs: 5 }, boottime: { secs: -5, nanosecs: 100 } };
    },
    shows: { "init//proc/self/timens_offsets": /monotonic\s+1000\s+5\nboottime\s+-5\s+100/ },
  },
  {
    name: "user-namespace",
    about: "ids of its own, a root file system that belongs to them",
    prepare: own,
    edit: (config) => mapped(config),
    probe: ["--devices"],
    shows: { "init//proc/self/uid_map": "0 100000 65536", "init//dev/null": /^c 0666 / },
  },
  {
    name: "user-namespace-user",
    about: "a user with groups in a user namespace",
    prepare: own,
    edit: (config) => {
      mapped(config);
      config.process.user = { uid: 1000, gid: 1000, additionalGids: [10, 20] };
      config.process.noNewPrivileges = false;
    },
    shows: { "init/process/groups": "10 20" },
  },
  {
    name: "user-namespace-several",
    about: "maps of several ranges, and a volume of the host's root",
    prepare: (place) => {
      own(place, 100_000, 100_000);
      spawnSync("mkdir", ["-m", "700", `${place.work}/volume`]);
    },
    edit: (config, { work }) => {
      namespace(config, "user");
      const maps = [
        { containerID: 0, hostID: 100_000, size: 1000 },
        { containerID: 1000, hostID: 0, size: 1 },
        { containerID: 1001, hostID: 101_001, size: 64_535 },
      ];
      config.linux.uidMappings = maps;
      config.linux.gidMappings = maps;
      config.process.user = { uid: 1000, gid: 1000 };
      config.mounts.push({ destination: "/data", type: "bind", source: `${work}/volume`, options: ["bind"] });
    },
  },
  {
    name: "rootless",
    about: "one id, as rootless callers make it, and the host's network",
    prepare: (place) => own(place, 1000, 1000),
    edit: (config) => {
      const map = [{ containerID: 0, hostID: 1000, size: 1 }];
      namespace(config, "user");
      namespace(config, "network", null);
      config.linux.uidMappings = map;
      config.linux.gidMappings = map;
      config.linux.resources = undefined;
      for (const mount of config.mounts) {
        if (mount.destination === "/dev/pts")
          mount.options = mount.options.filter((option: string) => !option.startsWith("gid="));
        if (mount.destination === "/sys")
          Object.assign(mount, { type: "none", source: "/sys", options: ["rbind", "nosuid", "noexec", "nodev", "ro"] });
      }
      config.mounts = config.mounts.filter(({ destination }: Config) => destination !== "/sys/fs/cgroup");
    },
  },
  {
    name: "pod",
    about: "a pod's container: network, IPC and names of the sandbox",
    sandbox: (config) => {
      config.hostname = "pod";
      config.linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "80" };
    },
    edit: (config, place) => {
      share(config, place, ["network", "ipc", "uts"]);
      config.hostname = undefined;
    },
    shows: { "init/uts/hostname": "pod", "init//proc/sys/net/ipv4/ip_unprivileged_port_start": "80" },
  },
  {
    name: "pod-processes",
    about: "a pod whose containers share processes too",
    sandbox: (config) => {
      config.hostname = "pod";
    },
    edit: (config, place) => {
      share(config, place, ["network", "ipc", "uts", "pid"]);
      config.hostname = undefined;
    },
    shows: { "init/process/pid": "another" },
  },
  {
    name: "pod-user-namespace",
    about: "a pod in a user namespace",
    without: { runc: since("1.2", "maps wanted for a namespace that has them") },
    prepare: own,
    sandbox: (config) => {
      mapped(config);
      config.hostname = "pod";
    },
    edit: (config, place) => {
      share(config, place, ["user", "network", "ipc", "uts"]);
      config.hostname = undefined;
    },
    shows: { "init//proc/self/uid_map": "0 100000 65536" },
  },
  {
    name: "sysctls",
    about: "of the network, of IPC, of message queues, of names",
    edit: (config) => {
      config.linux.sysctl = {
        "net.ipv4.ip_forward": "1",
        "net.ipv4.ping_group_range": "0 2147483647",
        "net.core.somaxconn": "512",
        "net/ipv4/conf/lo/forwarding": "1",
        "kernel.msgmax": "9000",
        "kernel.shm_rmid_forced": "1",
        "kernel.sem": "100 200 30 40",
        "fs.mqueue.msg_max": "20",
        "kernel.domainname": "example.net",
      };
    },
    probe: ["/proc/sys/net/ipv4/conf/lo/forwarding"],
    shows: {
      "init//proc/sys/kernel/sem": "100 200 30 40",
      "init//proc/sys/fs/mqueue/msg_max": "20",
      "init//proc/sys/net/core/somaxconn": "512",
    },
  },
  {
    name: "network-device",
    about: "a network device of the host's",
    without: { runc: since("1.4"), crun: since("1.21") },
    needs: () =>
      deviceTypes.some((type) => ip(["unshare", "--net", "ip"], "link", "add", "probed", "type", type))
        ? undefined
        : "the kernel has neither dummy nor veth devices",
    prepare: () => {
      // The whole comparison is in a network namespace of its own, which stands for the host's.
      if (!addDevice("moved")) throw new Error("no device to move");
    },
    cleanUp: () => {
      // Gone with the container's namespace, unless it never came there.
      removeDevice("moved");
    },
    edit: (config) => {
      config.linux.netDevices = { moved: { name: "eth7" } };
    },
    shows: { "init/net/eth7": /^flags \w*[13579bdf]$/ },
  },
];

const deviceTypes = ["dummy", "veth"] as const;
const ip = ([program = "ip", ...first]: readonly string[], ...args: readonly string[]): boolean =>
  spawnSync(program, [...first, ...args]).status === 0;
const addDevice = (name: string): boolean => deviceTypes.some((type) => ip(["ip"], "link", "add", name, "type", type));
const removeDevice = (name: string): boolean => ip(["ip"], "link", "delete", name);
