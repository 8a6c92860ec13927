/** pause and resume: one step. Nothing comes before or after it; the lifecycle has checked the status. */
import { TsrunError } from "../core/errors.ts";
import type { Plan } from "../plan/vocabulary.ts";
import type { Place } from "./kill.ts";

export interface FreezeInput {
  readonly id: string;
  readonly operation: "pause" | "resume";
  /** The cgroup in which the container is frozen: v1's freezer, or v2's; undefined when it has none. */
  readonly place: Place | undefined;
}

export function compileFreeze({ id, operation, place }: FreezeInput): Plan {
  // The root of a hierarchy cannot be frozen: a container stands there only where it could get no cgroup of its own.
  if (place === undefined || place.path === "/") {
    throw new TsrunError(
      "unsupported",
      `${operation} ${id}: the container has no cgroup of its own that can be frozen`,
      {
        advice: "a v1 freezer or a cgroup v2 hierarchy is needed when it is created",
      },
    );
  }
  const { hierarchy, path, version } = place;
  return {
    title: `${operation} ${id}`,
    host: [{ kind: "cgroup.freeze", hierarchy, path, frozen: operation === "pause", version }],
    container: [],
  };
}
