/**
 * update: other limits for a container. Under the lock, so that two updates, or an update and a delete, do not mix:
 *
 *     read what the files say   for the order of the writes, for undo
 *     the plan                  an update that fails has changed nothing, or says what it could not put back
 *     config.json of the state  exec and later updates see the new limits
 */
import type { Resources } from "../../spec-schemas/config.ts";
import { compileUpdate, type Target, targetsOf, withUndo } from "../compile/update.ts";
import type { ContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import { encodeJson } from "../core/json.ts";
import { readCgroupFile, readPresentLimits } from "../host/cgroup.ts";
import { lockDirectory } from "../native/native.ts";
import type { Plan } from "../plan/vocabulary.ts";
import { findContainer } from "../state/liveness.ts";
import { checkAllowed } from "../state/machine.ts";
import { directoryOf, writeConfigCopy } from "../state/store.ts";
import { configOf } from "./config-copy.ts";
import type { Context } from "./context.ts";
import { runPlan } from "./run-plan.ts";

export function update(context: Context, id: ContainerId, asked: Resources): void {
  const { root } = context;
  // Before the lock, which a container that does not exist has not.
  findContainer(root, id);
  const lock = lockDirectory(directoryOf(root, id), "exclusive");
  try {
    const { record, status } = findContainer(root, id);
    checkAllowed("update", id, status);
    const config = configOf(root, id);
    const { plan, resources } = compileUpdate({
      id,
      asked,
      own: config.linux?.resources ?? {},
      present: readPresentLimits(record.cgroups),
      places: record.cgroups,
      systemd: record.systemd,
    });
    if (plan.host.length > 0) change(context, plan);
    writeConfigCopy(root, id, encodeJson({ ...config, linux: { ...config.linux, resources } }));
  } finally {
    lock?.release();
  }
}

const textOf = (target: Target): string | undefined => readCgroupFile(target, target.file);

function change(context: Context, plan: Plan): void {
  const before = targetsOf(plan).map((target) => ({ target, text: textOf(target) }));
  const complete = withUndo(plan, ({ hierarchy, path, file }) => {
    const same = ({ target }: (typeof before)[number]): boolean =>
      target.hierarchy === hierarchy && target.path === path && target.file === file;
    return before.find(same)?.text;
  });
  try {
    runPlan(context, "update", complete);
  } catch (error) {
    if (!(error instanceof TsrunError)) throw error;
    const changed = before.filter(({ target, text }) => textOf(target) !== text).map(({ target }) => target.file);
    const left =
      changed.length === 0
        ? "the other limits are as they were"
        : `these could not be put back: ${[...new Set(changed)].join(", ")}`;
    throw new TsrunError(error.code, `${error.message}; ${left}`, {
      cause: error,
      ...(error.advice !== undefined && { advice: error.advice }),
    });
  }
}
