import type { Config } from "../../spec-schemas/config.ts";
import type { CgroupPlace, HostFacts } from "../host/facts.ts";
import type { Plan } from "../plan/vocabulary.ts";
import type { ContainerProbe } from "./probe.ts";

/** All that the comparison knows. */
export interface ExplainInput {
  /** config.json as create read it, with what later updates changed. */
  readonly config: Config;
  /** What create would do with it now: its steps say what every setting means on this host. */
  readonly plan: Plan;
  /** The cgroups that the container was given. */
  readonly cgroups: readonly CgroupPlace[];
  /** Its process is still tsrun-init, at the gate: what comes with execve is not there yet. */
  readonly atGate: boolean;
  readonly facts: Pick<HostFacts, "lastCapability" | "permittedCapabilities" | "lsm" | "uid">;
  readonly probe: ContainerProbe;
}
