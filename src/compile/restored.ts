/**
 * Whether restored processes are confined as config.json says. An image is untrusted: it holds namespaces, credentials,
 * filters and cgroups of its own, and CRIU makes them as it finds them (attack row 21). Looked at while everything is
 * restored and still stopped.
 */
import type { CgroupPlace, HostFacts, ProcessConfinement } from "../host/facts.ts";
import { capabilitiesOf, capabilityMasks } from "./capabilities.ts";
import { idMap } from "./identity.ts";
import type { CompileInput } from "./input.ts";
import { type NamespaceType, namespaceFlags, processShape } from "./namespaces.ts";

export interface RestoredInput {
  readonly config: CompileInput["config"];
  readonly facts: HostFacts;
  /** tsrun's own process. */
  readonly host: ProcessConfinement;
  /** The namespaces that config.json joins by path, as ProcessConfinement names them. */
  readonly joined: Readonly<Partial<Record<NamespaceType, string>>>;
  readonly places: readonly CgroupPlace[];
  readonly processes: readonly ProcessConfinement[];
}

/** What does not fit, a line each, with the property of config.json that it is against. */
export function restoredProblems(input: RestoredInput): string[] {
  const { processes } = input;
  if (processes.length === 0) return ["it has no process"];
  return processes.flatMap((process) =>
    [
      ...namespaceProblems(input, process),
      ...cgroupProblems(input, process),
      ...privilegeProblems(input, process),
      ...labelProblems(input, process),
    ].map((problem) => `process ${process.pid}: ${problem}`),
  );
}

function namespaceProblems({ config, facts, host, joined }: RestoredInput, process: ProcessConfinement): string[] {
  const shape = processShape(config);
  const problems: string[] = [];
  for (const type of Object.keys(namespaceFlags) as NamespaceType[]) {
    const own = process.namespaces[type];
    const created = (shape.created & namespaceFlags[type]) !== 0;
    if (created && own === host.namespaces[type]) {
      problems.push(`/linux/namespaces: it is in the host's ${type} namespace`);
    }
    const wanted = joined[type];
    if (wanted !== undefined && own !== wanted) {
      problems.push(`/linux/namespaces: its ${type} namespace is not the one of the path`);
    }
  }
  const { uidMappings, gidMappings } = config.linux ?? {};
  // Seen from another user namespace the numbers are others.
  if ((shape.created & namespaceFlags.user) !== 0 && !facts.inUserNamespace) {
    const lines = (map: string): string => map.trim().split("\n").sort().join("\n");
    if (lines(process.uidMap) !== lines(idMap(uidMappings ?? []))) problems.push("/linux/uidMappings: it has others");
    if (lines(process.gidMap) !== lines(idMap(gidMappings ?? []))) problems.push("/linux/gidMappings: it has others");
  }
  return problems;
}

function cgroupProblems({ places }: RestoredInput, process: ProcessConfinement): string[] {
  return places.flatMap(({ hierarchy, path }) => {
    const found = process.cgroups.find((each) => each.hierarchy === hierarchy)?.path;
    return found === path || found?.startsWith(`${path}/`) === true
      ? []
      : [`/linux/cgroupsPath: in ${hierarchy} it is in ${found || "no cgroup that is seen from here"}`];
  });
}

function privilegeProblems({ config, facts }: RestoredInput, process: ProcessConfinement): string[] {
  const problems: string[] = [];
  const { capabilities, noNewPrivileges } = config.process ?? {};
  const grantable = (1n << BigInt(facts.lastCapability + 1)) - 1n;
  const masks = capabilityMasks(capabilities, { lastCapability: facts.lastCapability, grantable }, []);
  const allowed = masks.bounding | masks.permitted | masks.effective | masks.inheritable | masks.ambient;
  const more = process.capabilities & ~allowed;
  if (more !== 0n) problems.push(`/process/capabilities: it has ${capabilitiesOf(more).join(", ")}, too`);
  if (noNewPrivileges === true && !process.noNewPrivileges) {
    problems.push("/process/noNewPrivileges: it may gain privileges");
  }
  if (config.linux?.seccomp !== undefined && !process.seccompFilter) {
    problems.push("/linux/seccomp: it has no filter");
  }
  return problems;
}

function labelProblems({ config, facts }: RestoredInput, { label }: ProcessConfinement): string[] {
  const { apparmorProfile = "", selinuxLabel = "" } = config.process ?? {};
  if (facts.lsm.apparmor && apparmorProfile !== "" && label.replace(/ \(\w+\)$/, "") !== apparmorProfile) {
    return [`/process/apparmorProfile: it runs as ${JSON.stringify(label)}`];
  }
  if (facts.lsm.selinux && selinuxLabel !== "" && label !== selinuxLabel) {
    return [`/process/selinuxLabel: it runs as ${JSON.stringify(label)}`];
  }
  return [];
}
