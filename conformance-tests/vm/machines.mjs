// The machines that the tests run in, and which tests in which. Emulation is three to six times slower than the host, so that
// only what depends on kernel, cgroups, security modules or sessions runs here.

const apparmor = "security=apparmor apparmor=1 selinux=0";

/**
 * `kernel`: the beginning of its release, or the image's default. `arguments`: for the kernel. `tests`: jest's options and
 * patterns of test files.
 */
export const machines = {
  apparmor: {
    arguments: apparmor,
    tests: [
      ...["--selectProjects", "root", "conformance", "vm"],
      // The same anywhere, and slow: kills at every step; packing and installing with npm and a compiler; comparisons with
      // the peers; known attacks.
      ...["--testPathIgnorePatterns", "/runtime/crash", "/install", "/compare/", "/security/(?!21)"],
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
