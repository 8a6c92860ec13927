/** Host and domain name: after the UTS namespace is there; nothing depends on them. */
import { TsrunError } from "../core/errors.ts";
import type { ContainerStep } from "../plan/vocabulary.ts";
import type { CompileInput } from "./input.ts";
import { hasNamespace, isCreated, type ProcessShape } from "./namespaces.ts";

export function utsSteps(input: CompileInput, shape: ProcessShape): ContainerStep[] {
  const { hostname = "", domainname = "" } = input.config;
  if ((hostname !== "" || domainname !== "") && !hasNamespace(shape, "uts")) {
    throw new TsrunError("config", "/hostname and /domainname need a UTS namespace of the container's own");
  }
  const steps: ContainerStep[] = [];
  if (hostname !== "") steps.push({ kind: "uts.hostname", name: hostname });
  if (domainname !== "") steps.push({ kind: "uts.domainname", name: domainname });
  return steps;
}

/** The loopback device of a new network namespace; in one joined by path it is the owner's matter. */
export function loopbackSteps(shape: ProcessShape): ContainerStep[] {
  return isCreated(shape, "network") ? [{ kind: "net.loopback" }] : [];
}
