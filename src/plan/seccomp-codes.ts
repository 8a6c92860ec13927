/** The numbers by which seccomp.compile names actions, operators and architectures: libseccomp's and the kernel's. */

/** Actions by name (linux/seccomp.h). */
export const actions = {
  // libseccomp's meaning of the bare name, and the kernel's: the thread.
  SCMP_ACT_KILL: { code: 0, permits: false },
  SCMP_ACT_KILL_PROCESS: { code: 0x8000_0000, permits: false },
  SCMP_ACT_KILL_THREAD: { code: 0, permits: false },
  SCMP_ACT_TRAP: { code: 0x3_0000, permits: false },
  // libseccomp takes what is less than the kernel's MAX_ERRNO.
  SCMP_ACT_ERRNO: { code: 0x5_0000, largestErrno: 4094, permits: false },
  // A tracer answers for itself, to new system calls too.
  SCMP_ACT_TRACE: { code: 0x7ff0_0000, largestErrno: 0xffff, permits: true },
  SCMP_ACT_ALLOW: { code: 0x7fff_0000, permits: true },
  SCMP_ACT_LOG: { code: 0x7ffc_0000, permits: true },
  // The listener answers. Never the default action, so it need not be for new system calls.
  SCMP_ACT_NOTIFY: { code: 0x7fc0_0000, permits: true },
} as const;

/** enum scmp_compare of seccomp.h. */
export const operators = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
} as const;

/** SCMP_ARCH_* of seccomp.h: AUDIT_ARCH_* of linux/audit.h, and libseccomp's own number for x32. */
export const architectures = {
  SCMP_ARCH_X86: 0x4000_0003,
  SCMP_ARCH_X86_64: 0xc000_003e,
  SCMP_ARCH_X32: 0x4000_003e,
  SCMP_ARCH_ARM: 0x4000_0028,
  SCMP_ARCH_AARCH64: 0xc000_00b7,
  SCMP_ARCH_LOONGARCH64: 0xc000_0102,
  SCMP_ARCH_M68K: 0x4,
  SCMP_ARCH_MIPS: 0x8,
  SCMP_ARCH_MIPS64: 0x8000_0008,
  SCMP_ARCH_MIPS64N32: 0xa000_0008,
  SCMP_ARCH_MIPSEL: 0x4000_0008,
  SCMP_ARCH_MIPSEL64: 0xc000_0008,
  SCMP_ARCH_MIPSEL64N32: 0xe000_0008,
  SCMP_ARCH_PPC: 0x14,
  SCMP_ARCH_PPC64: 0x8000_0015,
  SCMP_ARCH_PPC64LE: 0xc000_0015,
  SCMP_ARCH_S390: 0x16,
  SCMP_ARCH_S390X: 0x8000_0016,
  SCMP_ARCH_SH: 0x4000_002a,
  SCMP_ARCH_SHEB: 0x2a,
  SCMP_ARCH_PARISC: 0xf,
  SCMP_ARCH_PARISC64: 0x8000_000f,
  SCMP_ARCH_RISCV64: 0xc000_00f3,
} as const;
