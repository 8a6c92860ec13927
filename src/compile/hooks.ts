/**
 * Hooks of config.json (config.md, POSIX-platform Hooks), as hook.run steps.
 *
 *     hook             list        when                                          status    pid
 *     prestart         host        mounts done, root not entered                 created   the host's
 *     createRuntime    host        after prestart                                created   the host's
 *     createContainer  container   after those, before root.pivot                created   the container's own
 *     startContainer   container   after the gate, before process.exec           created   the container's own
 *     poststart        host        start: the program runs                       running   the host's
 *     poststop         host        delete: all is removed                        stopped   none
 *
 * A hook runs in the bundle's directory, startContainer's in the root: the spec does not say where, runc and crun do so. A
 * caller may have removed the bundle before poststop, and a user namespace's root may not be able to enter it; then it is /.
 *
 * `creating` is step 2 of the lifecycle, and these hooks are steps 3 to 5, so the status is `created` (as crun; runc says
 * `creating`).
 */
import { TsrunError } from "../core/errors.ts";
import type { StepOf } from "../plan/vocabulary.ts";

export type HookName = "prestart" | "createRuntime" | "createContainer" | "startContainer" | "poststart" | "poststop";

export interface Hook {
  readonly path: string;
  readonly args?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  /** Seconds. */
  readonly timeout?: number | undefined;
}
export type Hooks = { readonly [Name in HookName]?: readonly Hook[] | undefined };

/** What a hook is told of its container. */
export interface HookContainer {
  readonly id: string;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** The version of the runtime-spec that the state on a hook's standard input follows. */
export const STATE_OCI_VERSION = "1.3.0";

const statusOf = {
  prestart: "created",
  createRuntime: "created",
  createContainer: "created",
  startContainer: "created",
  poststart: "running",
  poststop: "stopped",
} as const satisfies Record<HookName, string>;

/** In the order in which they run. */
export const hookNames = Object.keys(statusOf) as readonly HookName[];

/** Annotations of crun's: files that the hooks' output is appended to. */
export const HOOK_OUTPUT_ANNOTATIONS = { stdout: "run.oci.hooks.stdout", stderr: "run.oci.hooks.stderr" } as const;

const streams = ["stdout", "stderr"] as const;
const outputSlot = (annotations: HookContainer["annotations"], stream: (typeof streams)[number]): string | null =>
  (annotations?.[HOOK_OUTPUT_ANNOTATIONS[stream]] ?? "") === "" ? null : `hooks-${stream}`;

/** Opens those files, before the first of these hooks: on the host, whose paths they are. */
export function hookOutputSteps(
  names: readonly HookName[],
  hooks: Hooks | undefined,
  { annotations }: Pick<HookContainer, "annotations">,
): StepOf<"file.append">[] {
  if (names.every((name) => (hooks?.[name] ?? []).length === 0)) return [];
  return streams.flatMap((stream) => {
    const slot = outputSlot(annotations, stream);
    const path = annotations?.[HOOK_OUTPUT_ANNOTATIONS[stream]] ?? "";
    if (slot === null) return [];
    if (!path.startsWith("/")) {
      throw new TsrunError(
        "config",
        `/annotations/${HOOK_OUTPUT_ANNOTATIONS[stream]}: ${path} is not an absolute path`,
      );
    }
    return [{ kind: "file.append", path, slot }];
  });
}

/**
 * The steps of one kind of hook. `pid`: a number when it is known now (poststart), "live" when the step puts in the pid
 * of the running plan (as the side of the step sees it), "none" without one: then stateAfter is empty.
 */
export function hookSteps(
  name: HookName,
  hooks: Hooks | undefined,
  container: HookContainer,
  pid: number | "live" | "none",
): StepOf<"hook.run">[] {
  const { id, bundle, annotations = {} } = container;
  const head = { ociVersion: STATE_OCI_VERSION, id, status: statusOf[name] };
  const tail = { bundle, annotations };
  let stateBefore: string;
  let stateAfter = "";
  if (pid === "live") {
    stateBefore = `${JSON.stringify(head).slice(0, -1)},"pid":`;
    stateAfter = `,${JSON.stringify(tail).slice(1)}`;
  } else stateBefore = JSON.stringify(pid === "none" ? { ...head, ...tail } : { ...head, pid, ...tail });
  return (hooks?.[name] ?? []).map((hook, index) => ({
    kind: "hook.run",
    hook: name,
    index,
    path: hook.path,
    // execve(2) wants an argv[0].
    args: hook.args === undefined || hook.args.length === 0 ? [hook.path] : hook.args,
    env: hook.env ?? [],
    directory: name === "startContainer" ? "/" : bundle,
    timeoutMs: Math.ceil((hook.timeout ?? 0) * 1000),
    stateBefore,
    stateAfter,
    out: outputSlot(annotations, "stdout"),
    err: outputSlot(annotations, "stderr"),
  }));
}
