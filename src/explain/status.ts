/** /proc/<pid>/status (proc_pid_status(5)). */
import type { Observed } from "../core/observed.ts";
import type { ContainerProbe } from "./probe.ts";

export type StatusFields = (name: string) => Observed<string>;

/** The fields of init's status. */
export function statusFields(probe: Pick<ContainerProbe, "text">): StatusFields {
  return fieldsOf(probe.text("status"));
}

export function fieldsOf(status: Observed<string>): StatusFields {
  if ("unreadable" in status) return () => status;
  // The process chooses its name, in which the kernel escapes line ends: no line but the first is of its making.
  const fields = new Map<string, string>();
  for (const line of status.value.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0 && !fields.has(line.slice(0, colon))) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return (name) => {
    const value = fields.get(name);
    return value === undefined ? { unreadable: `the kernel does not show ${name}` } : { value };
  };
}
