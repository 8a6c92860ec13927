import type { Observed } from "../core/observed.ts";
import type { HostProbe } from "../host/container-probe.ts";
import type { CgroupPlace } from "../host/facts.ts";

/** What explain asks the kernel: the comparison itself is pure. */
export interface ContainerProbe extends Omit<HostProbe, "openNamespaces" | "isAlive" | "close"> {
  /** A file below /proc/sys as the container sees it. */
  sysctl(file: string): Observed<string>;
  /** Of the device programs attached to a v2 cgroup: see deviceProgramTags of src/native. */
  devicePrograms(place: CgroupPlace): Observed<readonly string[]>;
}
