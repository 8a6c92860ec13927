/** start: opens the gate; the container runs its startContainer hooks and its program; then poststart on the host. */
import type { Plan } from "../plan/vocabulary.ts";
import type { CreateRecord } from "./create.ts";
import { type HookContainer, hookSteps } from "./hooks.ts";

export interface StartInput extends HookContainer {
  /** The container's pid on the host. */
  readonly pid: number;
  readonly record: CreateRecord;
}

/** A container without `process` cannot be started: the lifecycle says so before it asks for this plan. */
export function compileStart(input: StartInput): Plan {
  return {
    title: `start ${input.id}`,
    host: [
      { kind: "gate.open", directory: input.record.gate.directory, name: input.record.gate.name },
      // config.md, Lifecycle: a poststart hook that fails is an error since 1.3; the caller stops the container.
      ...hookSteps("poststart", input.record.hooks, input, input.pid),
    ],
    container: [],
  };
}
