/** start: opens the gate; the container runs its startContainer hooks and its program; then poststart on the host. */

import { GATE_NAME } from "../core/names.ts";
import type { Plan } from "../plan/vocabulary.ts";
import { type HookContainer, type Hooks, hookSteps } from "./hooks.ts";

export interface StartInput extends HookContainer {
  /** The container's pid on the host. */
  readonly pid: number;
  /** `<root>/<id>`, where create made the gate. */
  readonly stateDirectory: string;
  /** Of the configuration that create saw. */
  readonly hooks: Hooks | undefined;
}

/** A container without `process` cannot be started: the lifecycle says so before it asks for this plan. */
export function compileStart(input: StartInput): Plan {
  return {
    title: `start ${input.id}`,
    host: [
      { kind: "gate.open", directory: input.stateDirectory, name: GATE_NAME },
      // config.md, Lifecycle: a poststart hook that fails is an error since 1.3; the caller then stops the container.
      ...hookSteps("poststart", input.hooks, input, input.pid),
    ],
    container: [],
  };
}
