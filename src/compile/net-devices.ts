/**
 * Network devices of the host that move into the container's network namespace (config-linux.md, Network Devices).
 *
 * The host moves them: only it has rights over both namespaces. After: the namespace is made or joined, which the container
 * says (network-made), and the process is the final one. Before: host-ready, so that createRuntime hooks (CNI's among them),
 * sysctls of the devices and the program find them there; runc's order.
 */
import { TsrunError } from "../core/errors.ts";
import { point } from "../plan/encode.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import type { CompileInput } from "./input.ts";
import { hasNamespace, type ProcessShape } from "./namespaces.ts";

type Input = Pick<CompileInput, "config" | "facts">;

const netDevices = ({ config }: Pick<Input, "config">): [string, { readonly name?: string | undefined }][] =>
  Object.entries(config.linux?.netDevices ?? {});

/** Host. Throws `config` without a network namespace of the container's, `unsupported` without rights over the host's. */
export function moveNetDevices(input: Input, shape: ProcessShape): HostStep[] {
  const devices = netDevices(input);
  if (devices.length === 0) return [];
  if (!hasNamespace(shape, "network")) {
    throw new TsrunError("config", "/linux/netDevices: the container has no network namespace of its own", {
      advice: 'add {"type": "network"} to /linux/namespaces',
    });
  }
  if (input.facts.uid !== 0) {
    throw new TsrunError("unsupported", "/linux/netDevices: only root on the host can move its devices");
  }
  return [
    { kind: "sync.wait", point: point("network-made") },
    ...devices.map(
      ([device, { name }]) =>
        ({ kind: "net.moveDevice", device, name: name === undefined || name === "" ? device : name }) as const,
    ),
  ];
}

/** Container, once it stands in its network namespace. */
export function announceNetwork(input: Pick<Input, "config">): ContainerStep[] {
  return netDevices(input).length === 0 ? [] : [{ kind: "sync.signal", point: point("network-made") }];
}
