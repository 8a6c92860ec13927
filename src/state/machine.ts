/**
 * The state machine of a container (runtime.md, Lifecycle): which operation fits which status. Pure: the status itself is
 * derived from what the kernel says (liveness.ts), never stored.
 */
import { TsrunError } from "../core/errors.ts";

/** `paused` is runc's addition to the spec's four. */
export type Status = "creating" | "created" | "running" | "paused" | "stopped";
export type Operation =
  | "start"
  | "exec"
  | "kill"
  | "delete"
  | "pause"
  | "resume"
  | "update"
  | "events"
  | "explain"
  | "checkpoint";

const allowed = {
  start: ["created"],
  exec: ["created", "running"],
  // Signals wait in a frozen process until it is thawed.
  kill: ["created", "running", "paused"],
  delete: ["created", "stopped"],
  pause: ["created", "running"],
  resume: ["paused"],
  update: ["created", "running", "paused"],
  events: ["created", "running", "paused"],
  // containerd pauses it first.
  checkpoint: ["running", "paused"],
  explain: ["created", "running", "paused"],
} as const satisfies Record<Operation, readonly Status[]>;

/** Whether the operation may be done in this status. */
export function isAllowed(operation: Operation, status: Status): boolean {
  return (allowed[operation] as readonly Status[]).includes(status);
}

/** Throws `wrong-state`, in the words that runc's callers look for. Changes nothing. */
export function checkAllowed(operation: Operation, id: string, status: Status): void {
  if (isAllowed(operation, status)) return;
  throw new TsrunError("wrong-state", `${operation} ${id}: ${whyNot(operation, status)}`, {
    advice: `it is ${status}; ${operation} needs a container that is ${allowed[operation].join(" or ")}${otherwise(operation, status)}`,
  });
}

/** The option that does it nevertheless. */
function otherwise(operation: Operation, status: Status): string {
  if (operation === "delete" && status !== "creating") return "; --force ends it first";
  return operation === "exec" && status === "paused" ? "; --ignore-paused waits until it is resumed" : "";
}

function whyNot(operation: Operation, status: Status): string {
  if (status === "creating") return "another tsrun is creating it at the moment";
  switch (operation) {
    case "start":
      if (status === "stopped") return "cannot start a container that has stopped";
      return status === "paused" ? "cannot start a paused container" : "cannot start an already running container";
    case "checkpoint":
      return `container cannot be checkpointed in ${status} state`;
    case "exec":
      return `cannot exec in a ${status} container`;
    case "kill":
    case "update":
    case "events":
      return "container not running";
    case "delete":
      return `cannot delete container that is not stopped: ${status}`;
    case "explain":
      return "the container has stopped: there is no process left to look at";
    case "pause":
      return status === "paused" ? "container already paused" : "container not running";
    case "resume":
      return "container not paused";
  }
}
