import type { Config } from "../../spec-schemas/config.ts";
import type { AbsPath, ContainerId } from "../core/brands.ts";
import type { HostFacts } from "../host/facts.ts";

/** In characters. */
export interface ConsoleSize {
  readonly height: number | bigint;
  readonly width: number | bigint;
}

/** Who makes the container's cgroups: tsrun itself, systemd, or nobody. */
export const cgroupManagers = ["cgroupfs", "systemd", "disabled"] as const;
export type CgroupManager = (typeof cgroupManagers)[number];

/** What the caller of create or run asked for, beside config.json. */
export interface CreateOptions {
  /** --console-socket; "pair": run in the foreground, the terminal's master comes back to tsrun. */
  readonly console:
    | { readonly kind: "none" }
    | { readonly kind: "socket"; readonly path: string }
    /** `size`: that of the caller's terminal, if it has one. */
    | { readonly kind: "pair"; readonly size?: ConsoleSize | undefined };
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  /** cgroupfs if not given. */
  readonly cgroupManager?: CgroupManager | undefined;
  /** Descriptors from 3 on that the program keeps. */
  readonly preserveFds: number;
  readonly pidfdSocket: string | undefined;
  /** The container's state directory, `<root>/<id>`: the gate is made there. */
  readonly stateDirectory: AbsPath;
  /** Where compiled seccomp filters are kept (root-owned, 0700), or undefined for no cache. */
  readonly seccompCache: AbsPath | undefined;
}

/** The whole input of the compiler. It is pure: the same input gives the same plan. */
export interface CompileInput {
  readonly id: ContainerId;
  readonly bundle: AbsPath;
  readonly rootfs: AbsPath;
  readonly config: Config;
  readonly facts: HostFacts;
  readonly options: CreateOptions;
}
