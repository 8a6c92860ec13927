/** Who makes a container's cgroups: tsrun (cgroups.ts), systemd (cgroups-systemd.ts), or nobody. */
import { type Cgroups, compileCgroups, withoutCgroups } from "./cgroups.ts";
import { compileSystemdCgroups } from "./cgroups-systemd.ts";
import type { CgroupManager, CompileInput } from "./input.ts";

const compilers: Readonly<Record<CgroupManager, (input: CompileInput) => Cgroups>> = {
  cgroupfs: compileCgroups,
  systemd: compileSystemdCgroups,
  disabled: withoutCgroups,
};

/** Throws `config` or `unsupported`, naming the property or the option. */
export const compileManagedCgroups = (input: CompileInput): Cgroups =>
  compilers[input.options.cgroupManager ?? "cgroupfs"](input);
