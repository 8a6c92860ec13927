/** The container's state as `tsrun state` prints it and hooks read it (runtime.md "State"). */
import * as z from "zod/mini";

export const stateSchema = z.object({
  ociVersion: z.string(),
  id: z.string(),
  /** `paused` is runc's addition: runtime.md lets a runtime define further values. */
  status: z.enum(["creating", "created", "running", "stopped", "paused"]),
  pid: z.optional(z.int().check(z.gte(0))),
  bundle: z.string(),
  annotations: z.optional(z.record(z.string(), z.string())),
});
export type State = z.infer<typeof stateSchema>;
