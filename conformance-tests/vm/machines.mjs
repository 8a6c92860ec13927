// The machines that the tests run in, and which tests in which. Emulation is three to six times slower than the host, so that
// only what depends on kernel, cgroups, security modules or sessions runs here.

const apparmor = "security=apparmor apparmor=1 selinux=0";

/**
 * `kernel`: the beginning of its release, or the image's default. `arguments`: for the kernel. `tests`: jest's options and
 * patterns of test files. `suites`: cases of the suites of conformance-tests/main.ts, as that takes them.
 */
export const machines = {
  apparmor: {
    arguments: apparmor,
    tests: [
      ...["--selectProjects", "root", "conformance", "vm", "--testPathPatterns"],
      // What cgroup v2, systemd, AppArmor, a newer CRIU and all capabilities decide.
      ...["/native/(cgroups|lsm|process|scheduling|systemd)\\.", "/host/", "/features\\."],
      "/runtime/(checkpoint|events|exec|explain|host-resources|lifecycle|mounts|no-cgroups|pause|ps|systemd|update)\\.",
      ...["/security/(14|21)", "/tour/", "/vm/guest\\."],
    ],
    suites: [
      // What CAP_SYS_RESOURCE decides.
      ["oci", "default", "process_capabilities", "process_oom_score_adj"],
      // What systemd decides: containers of Kubernetes as scopes.
      [
        "containerd-systemd",
        "a pod and its containers are scopes in the pod's slice, as long as they run",
        "limits are systemd's and the kernel's, also after an update and a reload",
      ],
      // What cgroup v2 decides: limits, freezing, devices, who gets the controllers.
      [
        "podman",
        ...["run prints and removes", "pause and unpause", "update", "top and stats"],
        ...["a memory limit, and what it does", "limits of processors and processes", "a privileged container"],
        "a device, and devices that are not given",
        "the host's pid namespace: all processes end with the container",
      ],
    ],
  },
  selinux: {
    arguments: "security=selinux selinux=1 enforcing=0",
    tests: [
      ...["--selectProjects", "root", "conformance", "vm", "--testPathPatterns"],
      ...["/native/lsm\\.", "/runtime/process\\.", "/runtime/lifecycle\\.", "/vm/guest\\."],
    ],
  },
  // The oldest kernel that tsrun supports.
  "linux-5.10": {
    kernel: "5.10",
    arguments: apparmor,
    tests: [
      ...["--selectProjects", "root", "conformance", "vm", "--testPathPatterns"],
      ...["\\.root\\.test\\.", "/runtime/lifecycle\\.", "/runtime/mounts\\.", "/runtime/process\\.", "/vm/guest\\."],
    ],
  },
};
