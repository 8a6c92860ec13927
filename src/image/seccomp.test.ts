/** An engine's seccomp profile as linux.seccomp: which rules are for which container on which host. */
import { constants } from "node:os";
import { describe, expect, test } from "@jest/globals";
import { configSchema } from "../../spec-schemas/config.ts";
import { type SeccompProfile, seccompProfileSchema } from "../../spec-schemas/seccomp-profile.ts";
import { convertSeccomp, type SeccompSubject } from "./seccomp.ts";

const amd64: SeccompSubject = {
  architecture: "x64",
  kernel: { major: 6, minor: 1 },
  capabilities: ["CAP_CHOWN", "CAP_SYS_ADMIN"],
};

/** Read as from a file, converted, and valid in a config.json. */
function converted(profile: object, subject: Partial<SeccompSubject> = {}) {
  const whole = { defaultAction: "SCMP_ACT_ERRNO", ...profile };
  const seccomp = convertSeccomp(seccompProfileSchema.parse(whole) as SeccompProfile, { ...amd64, ...subject });
  expect(configSchema.parse({ ociVersion: "1.3.0", linux: { seccomp } }).linux?.seccomp).toEqual(seccomp);
  return seccomp;
}
/** The calls of which rules are left. */
const allowed = (conditions: object, subject: Partial<SeccompSubject> = {}): boolean =>
  converted({ syscalls: [{ names: ["mount"], action: "SCMP_ACT_ALLOW", ...conditions }] }, subject).syscalls?.length ===
  1;

test("linux.seccomp of a config.json is such a profile, and stays as it is", () => {
  const own = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 38,
    architectures: ["SCMP_ARCH_AARCH64"],
    flags: ["SECCOMP_FILTER_FLAG_LOG"],
    listenerPath: "/run/agent",
    listenerMetadata: "m",
    syscalls: [
      { names: ["mkdir", "rmdir"], action: "SCMP_ACT_NOTIFY" },
      {
        names: ["socket"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: 22,
        args: [
          { index: 0, value: 16, op: "SCMP_CMP_EQ" },
          { index: 1, value: 2n ** 64n - 1n, valueTwo: 1, op: "SCMP_CMP_MASKED_EQ" },
        ],
      },
    ],
  };
  expect(converted(own)).toEqual(own);
});

describe("architectures", () => {
  const archMap = [
    { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
    { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
    { architecture: "SCMP_ARCH_RISCV64", subArchitectures: null },
  ];
  test.each([
    ["x64", ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]],
    ["arm64", ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]],
    ["riscv64", ["SCMP_ARCH_RISCV64"]],
    // None: libseccomp's own.
    ["ppc64", undefined],
    ["an unknown one", undefined],
  ])("of archMap are those of %s", (architecture, expected) => {
    expect(converted({ archMap }, { architecture }).architectures).toEqual(expected);
  });
  test.each([
    [{ includes: { arches: ["arm", "amd64"] } }, true],
    [{ includes: { arches: ["arm", "arm64"] } }, false],
    [{ includes: { arches: [] } }, true],
    [{ excludes: { arches: ["arm"] } }, true],
    [{ excludes: { arches: ["arm", "amd64"] } }, false],
  ])("a rule with %j is there on amd64: %j", (conditions, there) => {
    expect(allowed(conditions)).toBe(there);
  });
  test("of conditions have libseccomp's names", () => {
    const of = (architecture: string, name: string) => allowed({ includes: { arches: [name] } }, { architecture });
    expect([of("ia32", "x86"), of("arm64", "arm64"), of("ppc64", "ppc64le"), of("s390x", "s390x")]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(of("mystery", "amd64")).toBe(false);
  });
});

test.each([
  [{ includes: { caps: ["CAP_SYS_ADMIN"] } }, true],
  [{ includes: { caps: ["CAP_SYS_ADMIN", "CAP_CHOWN"] } }, true],
  [{ includes: { caps: ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"] } }, false],
  [{ excludes: { caps: ["CAP_SYS_PTRACE"] } }, true],
  [{ excludes: { caps: ["CAP_SYS_PTRACE", "CAP_CHOWN"] } }, false],
  [{ includes: { caps: ["CAP_SYS_ADMIN"] }, excludes: { arches: ["amd64"] } }, false],
  [{ includes: {}, excludes: {} }, true],
  [{ includes: null, excludes: { caps: null, arches: null, minKernel: null } }, true],
])("a rule with %j is there for root with CHOWN and SYS_ADMIN: %j", (conditions, there) => {
  expect(allowed(conditions)).toBe(there);
});

test.each([
  [{ includes: { minKernel: "4.8" } }, true],
  [{ includes: { minKernel: "6.1" } }, true],
  [{ includes: { minKernel: "6.2" } }, false],
  [{ includes: { minKernel: "7.0" } }, false],
  // Numbers, not text.
  [{ includes: { minKernel: "5.19" } }, true],
  [{ excludes: { minKernel: "6.1" } }, false],
  [{ excludes: { minKernel: "6.10.3-generic" } }, true],
])("a rule with %j is there on Linux 6.1: %j", (conditions, there) => {
  expect(allowed(conditions)).toBe(there);
});

test("an errno has a name before a number; rules and values that are not there leave nothing", () => {
  const profile = {
    defaultErrnoRet: 1,
    defaultErrno: "ENOSYS",
    architectures: null,
    flags: null,
    listenerPath: "",
    syscalls: [
      { name: "mount", names: [], action: "SCMP_ACT_ERRNO", errno: "EINVAL", args: null, comment: "" },
      { names: ["umount"], action: "SCMP_ACT_ERRNO", errnoRet: 5, errno: "", args: [] },
      { names: ["open"], action: "SCMP_ACT_ALLOW", errnoRet: null, errno: null },
    ],
  };
  expect(converted(profile)).toEqual({
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: constants.errno.ENOSYS,
    syscalls: [
      { names: ["mount"], action: "SCMP_ACT_ERRNO", errnoRet: constants.errno.EINVAL },
      { names: ["umount"], action: "SCMP_ACT_ERRNO", errnoRet: 5 },
      { names: ["open"], action: "SCMP_ACT_ALLOW" },
    ],
  });
  expect(converted({}).syscalls).toEqual([]);
});
