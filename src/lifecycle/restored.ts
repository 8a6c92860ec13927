/** What CRIU has restored, still stopped, against config.json: attack row 21, and a configuration that has changed since. */
import type { Config } from "../../spec-schemas/config.ts";
import { changedSinceDump } from "../compile/image-config.ts";
import { membershipPlace } from "../compile/kill.ts";
import { type NamespaceType, processShape } from "../compile/namespaces.ts";
import { restoredProblems } from "../compile/restored.ts";
import { TsrunError } from "../core/errors.ts";
import { NOTIFY_DIRECTORY } from "../core/names.ts";
import { printable } from "../core/printable.ts";
import { judgeRestored } from "../explain/restored.ts";
import { processesOf } from "../host/cgroup.ts";
import { confinementOf, namespaceAt } from "../host/confinement.ts";
import type { HostFacts, ProcessConfinement } from "../host/facts.ts";
import { childOf, processesInPidNamespaceOf } from "../host/process.ts";
import { openProcessView } from "../host/process-view.ts";
import type { ContainerRecord } from "../state/record.ts";
import { removeNotifyDirectory, type StateRoot } from "../state/store.ts";
import type { Context } from "./context.ts";
import { look } from "./explain.ts";

/** The directory for a notify socket is there in case that the image has a mount of it. */
export function dropUnusedNotify(root: StateRoot, { id, init }: ContainerRecord): void {
  const view = openProcessView(init);
  const mounts = view?.mounts();
  view?.close();
  if (mounts === undefined || "unreadable" in mounts) return;
  const used = mounts.value.all.some((mount) => mount.root.endsWith(`/${id}/${NOTIFY_DIRECTORY}`));
  if (!used) removeNotifyDirectory(root, id);
}

export interface RestoredCheck {
  readonly config: Config;
  readonly dumpedConfig: Config | undefined;
  readonly facts: HostFacts;
}

/**
 * Throws `config` when what was restored has more than config.json gives it, or lacks a mount; warns of what else is the
 * image's way, not config.json's. runc and crun do neither.
 */
export function checkRestored(context: Context, record: ContainerRecord, check: RestoredCheck): void {
  const { config, dumpedConfig, facts } = check;
  const items = look(context, record, { config, facts, atGate: false }) ?? [];
  const { refused, told } = judgeRestored(items, { config, facts });
  refuse(record, [...confinementProblems(record, config, facts), ...refused]);
  const changed = dumpedConfig === undefined ? told : changedSinceDump(dumpedConfig, config).map(printable);
  if (changed.length === 0) return;
  const words = `restore ${record.id}: these are as in the image, not as in config.json`;
  context.log.warn(`${words}: ${changed.join(dumpedConfig === undefined ? "; " : ", ")}`);
}

function confinementProblems(record: ContainerRecord, config: Config, facts: HostFacts): string[] {
  const { hierarchies } = facts.cgroup;
  const host = confinementOf(process.pid, hierarchies) as ProcessConfinement;
  const joined: Partial<Record<NamespaceType, string>> = {};
  for (const { type, path } of processShape(config).joined) joined[type] = namespaceAt(path);
  const place = membershipPlace(record.cgroups);
  // All in its cgroup but for CRIU, which is another child of ours, and init and its pid namespace wherever they are.
  const pids = new Set([
    record.init.pid,
    ...(place === undefined ? [] : processesOf(place)).filter((pid) => {
      const child = childOf(process.pid, pid);
      return child === undefined || child === record.init.pid;
    }),
    ...(record.sharesPidNamespace ? [] : processesInPidNamespaceOf(record.init.pid)),
  ]);
  const processes = [...pids].flatMap((pid) => confinementOf(pid, hierarchies) ?? []);
  return restoredProblems({ config, facts, host, joined, places: record.cgroups, processes });
}

function refuse(record: ContainerRecord, problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new TsrunError(
    "config",
    `restore ${record.id}: what the image holds is not confined as config.json says:\n${problems
      .map((problem) => `  ${problem}`)
      .join("\n")}`,
    { advice: "restore it with the configuration that it was checkpointed with, if the image can be trusted" },
  );
}
