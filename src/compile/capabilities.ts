/**
 * Capabilities: names to masks, and what cannot be granted.
 *
 * The bounding set goes before identity.set (dropping from it needs CAP_SETPCAP), the rest after it. The spec
 * (config.md, Process) wants a warning and no failure for a capability that cannot be granted.
 */

/** Names by number (linux/capability.h); the last came with Linux 5.9. */
export const capabilityNames = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

const numbers = new Map<string, number>(capabilityNames.map((name, number) => [name, number]));

/** `process.capabilities` as in config.json. */
export interface CapabilityNames {
  readonly bounding?: readonly string[] | undefined;
  readonly effective?: readonly string[] | undefined;
  readonly permitted?: readonly string[] | undefined;
  readonly inheritable?: readonly string[] | undefined;
  readonly ambient?: readonly string[] | undefined;
}

export interface CapabilityMasks {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

/** Names of the capabilities in a mask, for messages and `render`. */
export function capabilitiesOf(mask: bigint): string[] {
  const names: string[] = [];
  for (let number = 0; number < 64; number++) {
    if ((mask >> BigInt(number)) & 1n) names.push(capabilityNames[number] ?? `CAP_${number}`);
  }
  return names;
}

/**
 * The masks that can be granted, and a warning for each name that cannot: unknown to us or to the kernel
 * (`lastCapability`), not among `grantable` (tsrun's own, without a user namespace of the container's), effective but not
 * permitted, inheritable but not bounding, ambient but not both permitted and inheritable (capabilities(7)).
 * Without `process.capabilities` the container has none, as in runc.
 */
export function capabilityMasks(
  names: CapabilityNames | undefined,
  host: { readonly lastCapability: number; readonly grantable: bigint },
  warnings: string[],
): CapabilityMasks {
  const mask = (set: keyof CapabilityNames): bigint => {
    let bits = 0n;
    for (const name of new Set(names?.[set] ?? [])) {
      const number = numbers.get(name);
      if (number === undefined || number > host.lastCapability) {
        warnings.push(`/process/capabilities/${set}: ignoring unknown capability ${name}`);
      } else bits |= 1n << BigInt(number);
    }
    return bits;
  };
  const within = (set: keyof CapabilityNames, bits: bigint, allowed: bigint, why: string): bigint => {
    for (const name of capabilitiesOf(bits & ~allowed)) {
      warnings.push(`/process/capabilities/${set}: ignoring ${name}: ${why}`);
    }
    return bits & allowed;
  };
  const missing = "tsrun does not have it itself";
  const bounding = within("bounding", mask("bounding"), host.grantable, missing);
  const permitted = within("permitted", mask("permitted"), host.grantable, missing);
  const inheritable = within("inheritable", mask("inheritable"), bounding, "it is not in the bounding set");
  return {
    bounding,
    permitted,
    inheritable,
    effective: within("effective", mask("effective"), permitted, "it is not permitted"),
    ambient: within("ambient", mask("ambient"), permitted & inheritable, "it is not permitted and inheritable"),
  };
}
