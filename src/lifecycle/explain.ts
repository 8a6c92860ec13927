/** explain: what a container is configured to be, and what the kernel says it is. */
import type { Config } from "../../spec-schemas/config.ts";
import { compileCreate } from "../compile/create.ts";
import type { CgroupManager } from "../compile/input.ts";
import type { ContainerId } from "../core/brands.ts";
import { errnoText } from "../core/errno.ts";
import type { Observed } from "../core/observed.ts";
import { explain as compareItems } from "../explain/explain.ts";
import type { Explanation, Item } from "../explain/item.ts";
import { sysctlNamespaces } from "../explain/namespaces.ts";
import { type HostProbe, openHostProbe } from "../host/container-probe.ts";
import type { CgroupPlace, HostFacts } from "../host/facts.ts";
import { readHostFacts } from "../host/read.ts";
import { deviceProgramTags, readSysctls } from "../native/native.ts";
import { findContainer } from "../state/liveness.ts";
import { checkAllowed } from "../state/machine.ts";
import type { ContainerRecord } from "../state/record.ts";
import { directoryOf, hasNotifyDirectory } from "../state/store.ts";
import { withActivation } from "./activation.ts";
import { configOf } from "./config-copy.ts";
import type { Context } from "./context.ts";

/** Changes nothing. Throws `wrong-state` for a container that has stopped, also while it is looked at. */
export function explain(context: Context, id: ContainerId): Explanation {
  const { root } = context;
  const { record, status } = findContainer(root, id);
  checkAllowed("explain", id, status);
  const facts = readHostFacts({ resctrl: true, systemd: record.systemd !== undefined });
  const items = look(context, record, { config: configOf(root, id), facts, atGate: status === "created" });
  // What was read of a process that ended meanwhile says nothing.
  if (items === undefined) checkAllowed("explain", id, "stopped");
  return { id, status, pid: record.init.pid, bundle: record.bundle, items: items ?? [] };
}

export interface Look {
  /** As create or restore read it. */
  readonly config: Config;
  readonly facts: HostFacts;
  readonly atGate: boolean;
}

/** All that explain says of a container; undefined when its process is gone, also meanwhile. */
export function look(
  { root }: Context,
  record: ContainerRecord,
  { config: written, facts, atGate }: Look,
): readonly Item[] | undefined {
  const { id } = record;
  const cgroupManager = cgroupManagerOf(record);
  const stateDirectory = directoryOf(root, id);
  // A container that can say that it is ready has a mount for it; the address itself is of no account here.
  const notifyAddress = hasNotifyDirectory(root, id) ? "@" : undefined;
  const activation = { listenFds: 0, listenNames: undefined, notifyAddress };
  const config = withActivation(written, activation, stateDirectory);
  const { plan } = compileCreate({
    id,
    bundle: record.bundle,
    rootfs: record.rootfs,
    config,
    facts,
    options: {
      console: config.process?.terminal === true ? { kind: "pair" } : { kind: "none" },
      noPivot: false,
      noNewKeyring: false,
      cgroupManager,
      preserveFds: 0,
      pidfdSocket: undefined,
      stateDirectory,
      seccompCache: undefined,
    },
  });
  const probe = openHostProbe(record.init, facts.cgroup);
  if (probe === undefined) return undefined;
  try {
    const items = compareItems({
      config,
      plan,
      cgroups: record.cgroups,
      atGate,
      facts,
      probe: { ...probe, sysctl: sysctlReader(probe, sysctlNamespaces(config)), devicePrograms },
    });
    return probe.isAlive() ? items : undefined;
  } finally {
    probe.close();
  }
}

/** The one that made its cgroups. */
function cgroupManagerOf({ systemd, cgroups }: ContainerRecord): CgroupManager {
  if (systemd !== undefined) return "systemd";
  return cgroups.length === 0 ? "disabled" : "cgroupfs";
}

function devicePrograms({ hierarchy, path }: CgroupPlace): Observed<readonly string[]> {
  const found = deviceProgramTags(hierarchy, path);
  return "refused" in found ? { unreadable: found.refused } : { value: found.tags };
}

/** Sysctls as seen in these of the container's namespaces. */
function sysctlReader(probe: HostProbe, namespaces: readonly string[]): (file: string) => Observed<string> {
  let opened: Observed<readonly number[]> | undefined;
  return (file) => {
    opened ??= probe.openNamespaces(namespaces);
    if ("unreadable" in opened) return opened;
    const read = readSysctls(opened.value, [file]);
    if ("refused" in read) return { unreadable: `cannot enter the container's namespaces: ${read.refused}` };
    const [value] = read.values;
    if (typeof value === "string") return { value };
    return { unreadable: `cannot read /proc/sys/${file}: ${value === undefined ? "?" : errnoText(value)}` };
  };
}
