/**
 * Security modules: what the program runs as (process.apparmorProfile, process.selinuxLabel) and what the container's
 * file systems are labelled with (linux.mountLabel).
 *
 * A module that is off is an error, whoever asked for its protection must know (docs/decisions/0004). The attributes count
 * from the next execve on, so they are set in create, where a profile that is not loaded can still be reported, and a
 * startContainer hook runs below them, too. Before process.noNewPrivileges (AppArmor refuses more after it) and before
 * seccomp.load (whose filter may forbid the writes).
 */
import { TsrunError } from "../core/errors.ts";
import type { HostFacts } from "../host/facts.ts";
import type { ContainerStep } from "../plan/vocabulary.ts";
import type { CompileInput } from "./input.ts";

export interface SecurityLabels {
  readonly apparmorProfile?: string | undefined;
  readonly selinuxLabel?: string | undefined;
}

type Lsm = Pick<HostFacts, "lsm">;

function required(label: string | undefined, pointer: string, on: boolean, module: string): string {
  if (label === undefined || label === "") return "";
  if (on) return label;
  throw new TsrunError("unsupported", `${pointer}: ${JSON.stringify(label)} asks for ${module}, which is off here`, {
    advice: `turn ${module} on in the kernel (lsm= on its command line), or remove the property`,
  });
}

/** Of the next execve. */
export function labelSteps(process: SecurityLabels, { lsm }: Lsm): ContainerStep[] {
  const steps: ContainerStep[] = [];
  // What a host without AppArmor gives anyway.
  const confined = process.apparmorProfile !== "unconfined" || lsm.apparmor;
  const profile = confined
    ? required(process.apparmorProfile, "/process/apparmorProfile", lsm.apparmor, "AppArmor")
    : "";
  if (profile !== "") steps.push({ kind: "lsm.attribute", lsm: "apparmor", name: "exec", value: `exec ${profile}` });
  const label = selinuxLabel(process, { lsm });
  if (label !== "") steps.push({ kind: "lsm.attribute", lsm: "", name: "exec", value: label });
  return steps;
}

function selinuxLabel({ selinuxLabel: label }: SecurityLabels, { lsm }: Lsm): string {
  return required(label, "/process/selinuxLabel", lsm.selinux, "SELinux");
}

/** `make` with what it makes labelled as the process (the session keyring, as runc). */
export function withKeyLabel(process: SecurityLabels, facts: Lsm, make: readonly ContainerStep[]): ContainerStep[] {
  const label = selinuxLabel(process, facts);
  if (label === "" || make.length === 0) return [...make];
  const keycreate = (value: string): ContainerStep => ({ kind: "lsm.attribute", lsm: "", name: "keycreate", value });
  return [keycreate(label), ...make, keycreate("")];
}

/** crun's: which of SELinux's mount options carries the label. */
export const MOUNT_CONTEXT_ANNOTATION = "run.oci.mount_context_type";
const contextTypes = ["context", "fscontext", "defcontext", "rootcontext"] as const;

export interface MountLabel {
  readonly label: string;
  readonly option: (typeof contextTypes)[number];
}

/** linux.mountLabel, or undefined without one. */
export function mountLabel({ config, facts }: Pick<CompileInput, "config" | "facts">): MountLabel | undefined {
  const label = required(config.linux?.mountLabel, "/linux/mountLabel", facts.lsm.selinux, "SELinux");
  if (label === "") return undefined;
  const wanted = config.annotations?.[MOUNT_CONTEXT_ANNOTATION] ?? "context";
  const option = contextTypes.find((type) => type === wanted);
  if (option === undefined) {
    throw new TsrunError("config", `/annotations/${MOUNT_CONTEXT_ANNOTATION}: not one of ${contextTypes.join(", ")}`);
  }
  return { label, option };
}

/** File systems that cannot take a label as a mount option, or whose files all have labels of the policy's. */
const unlabelled = new Set(["proc", "sysfs", "mqueue", "cgroup", "cgroup2"]);
const isContext = (option: string): boolean => contextTypes.some((type) => option.startsWith(`${type}=`));

/**
 * The options of a new file system with the label, which goes to the same file systems as runc's and crun's. One that
 * config.json gives itself stays. The quotes that mount(8) wants around a label with commas are its own.
 */
export function labelledOptions(type: string, options: readonly string[], label: MountLabel | undefined): string[] {
  const own = options.map((option) => (isContext(option) ? option.replace(/="(.*)"$/, "=$1") : option));
  if (label === undefined || unlabelled.has(type) || own.some(isContext)) return own;
  return [...own, `${label.option}=${label.label}`];
}
