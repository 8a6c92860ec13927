/** start: opens the gate; the container runs its startContainer hooks and its program; then poststart on the host. */

import { GATE_NAME, NOTIFY_DIRECTORY, NOTIFY_NAME } from "../core/names.ts";
import type { Plan } from "../plan/vocabulary.ts";
import { type HookContainer, type Hooks, hookOutputSteps, hookSteps } from "./hooks.ts";

export interface StartInput extends HookContainer {
  /** The container's pid on the host. */
  readonly pid: number;
  /** `<root>/<id>`, where create made the gate. */
  readonly stateDirectory: string;
  /** Of the configuration that create saw. */
  readonly hooks: Hooks | undefined;
  /** Somebody is to be told when the program says that it is ready: the socket must be there before it runs. */
  readonly notify: boolean;
}

/** A container without `process` cannot be started: the lifecycle says so before it asks for this plan. */
export function compileStart(input: StartInput): Plan {
  return {
    title: `start ${input.id}`,
    host: [
      ...hookOutputSteps(["poststart"], input.hooks, input),
      ...(input.notify
        ? [
            {
              kind: "notify.listen",
              directory: `${input.stateDirectory}/${NOTIFY_DIRECTORY}`,
              name: NOTIFY_NAME,
            } as const,
          ]
        : []),
      { kind: "gate.open", directory: input.stateDirectory, name: GATE_NAME },
      // config.md, Lifecycle: a poststart hook that fails is an error since 1.3; the caller then stops the container.
      ...hookSteps("poststart", input.hooks, input, input.pid),
    ],
    container: [],
  };
}

/**
 * After start, when nobody stays in the foreground: waits until the program says that it is ready, and tells so. One that is
 * `ready` already was restored, and says nothing any more.
 */
export function compileNotify(
  id: string,
  init: { readonly pid: number; readonly startTime: bigint },
  address: string,
  ready = false,
): Plan {
  return {
    title: `${ready ? "restore" : "start"} ${id}`,
    host: [{ kind: "notify.forward", address, pid: init.pid, startTime: init.startTime, ready }],
    container: [],
  };
}
