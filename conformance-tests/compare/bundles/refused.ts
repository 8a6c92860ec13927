/** What create must refuse, and leave nothing of. */
import type { Bundle, Config } from "../bundle.ts";
import { namespace } from "../bundle.ts";

const refused = (name: string, about: string, edit: (config: Config) => void, more: Partial<Bundle> = {}): Bundle => ({
  name: `refused-${name}`,
  about,
  refused: true,
  edit,
  ...more,
});

export const refusedBundles: readonly Bundle[] = [
  refused("namespace-twice", "a namespace that is listed twice", ({ linux }) => linux.namespaces.push({ type: "pid" })),
  refused("namespace-path", "a namespace that is not there", (config) =>
    namespace(config, "network", "/no/such/namespace"),
  ),
  refused("namespace-type", "a path to a namespace of another type", (config) =>
    namespace(config, "network", "/proc/self/ns/uts"),
  ),
  refused("hostname", "a name without a UTS namespace", (config) => namespace(config, "uts", null)),
  refused("sysctl-host", "a sysctl of the whole host", ({ linux }) => {
    linux.sysctl = { "vm.swappiness": "10" };
  }),
  refused("sysctl-namespace", "a network sysctl without a network namespace", (config) => {
    namespace(config, "network", null);
    config.linux.sysctl = { "net.ipv4.ip_forward": "1" };
  }),
  refused("sysctl-missing", "a sysctl that does not exist", ({ linux }) => {
    linux.sysctl = { "net.no.such": "1" };
  }),
  refused("program", "a program that is not there", ({ process }) => {
    process.args = ["/no/such/program"];
  }),
  refused("program-directory", "a program that is a directory", ({ process }) => {
    process.args = ["/bin"];
  }),
  refused("cwd", "a working directory that is relative", ({ process }) => {
    process.cwd = "tmp";
  }),
  refused("mount-source", "a bind of nothing", (config) =>
    config.mounts.push({ destination: "/data", type: "bind", source: "/no/such/source", options: ["bind"] }),
  ),
  refused("mount-proc", "a mount inside /proc", (config) =>
    config.mounts.push({ destination: "/proc/sys/kernel", type: "tmpfs", source: "tmpfs" }),
  ),
  refused("mount-type", "a file system that the kernel does not know", (config) =>
    config.mounts.push({ destination: "/data", type: "nosuchfs", source: "none" }),
  ),
  refused("mount-option", "an option that the file system does not know", (config) =>
    config.mounts.push({ destination: "/data", type: "tmpfs", source: "tmpfs", options: ["nosuchoption"] }),
  ),
  refused("rlimit", "a limit that there is not", ({ process }) => {
    process.rlimits = [{ type: "RLIMIT_NOSUCH", soft: 1, hard: 1 }];
  }),
  refused("rlimit-soft", "a soft limit above the hard one", ({ process }) => {
    process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 20, hard: 10 }];
  }),
  refused("device-type", "a device of no type", ({ linux }) => {
    linux.devices = [{ path: "/dev/x", type: "x", major: 1, minor: 3 }];
  }),
  refused("user-maps", "a user namespace without maps", (config) => namespace(config, "user")),
  refused("seccomp-action", "a seccomp action that there is not", ({ linux }) => {
    linux.seccomp = { defaultAction: "SCMP_ACT_NOSUCH" };
  }),
  refused("seccomp-arch", "an architecture that there is not", ({ linux }) => {
    linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_NOSUCH"] };
  }),
  refused("hook", "a hook that fails", (config) => {
    config.hooks = { createRuntime: [{ path: "/bin/false" }] };
  }),
  refused("hook-missing", "a hook that is not there", (config) => {
    config.hooks = { createContainer: [{ path: "/no/such/hook" }] };
  }),
  refused("root", "a root that is not there", ({ root }) => {
    root.path = "nowhere";
  }),
  refused("propagation", "a propagation that there is not", ({ linux }) => {
    linux.rootfsPropagation = "sometimes";
  }),
  refused("cpuset", "processors that there are not", ({ linux }) => {
    linux.resources.cpu = { cpus: "4096" };
  }),
  refused("memory-swap", "less swap than memory", ({ linux }) => {
    linux.resources.memory = { limit: 67_108_864, swap: 33_554_432 };
  }),
  refused(
    "terminal",
    "a terminal, and nobody to take it",
    ({ process }) => {
      process.terminal = true;
    },
    { noConsole: true },
  ),
];
