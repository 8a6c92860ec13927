/**
 * Running CRIU, for checkpoint and restore: `criu swrk` is executed by tsrun-init, with a socket over which it is told what to
 * do, so that it starts as clean as a container's program does.
 */
import { TsrunError } from "../core/errors.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import type { InheritedFd } from "./criu-request.ts";
import type { CompileInput } from "./input.ts";
import { isCreated, type NamespaceType, namespaceSlot, type ProcessShape } from "./namespaces.ts";

export const CRIU_SLOT = "criu";

/** Where CRIU finds its socket; those that it inherits follow. Above what tsrun-init itself may have open. */
const FIRST_FD = 500;

/** What CRIU runs besides itself: ip, tar, iptables. */
const SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Of these types a namespace that was joined by path is not part of an image: restore is given one. */
const externalTypes = ["network", "pid"] as const satisfies readonly NamespaceType[];
/** These are joined again by path, and what is in them is not restored. */
const joinableTypes: readonly NamespaceType[] = ["ipc", "uts", "time"];

/** Names of namespaces as CRIU has them. */
const criuNames = { network: "net", pid: "pid" } as const;
const keys = { network: "extRootNetNS", pid: "extRootPidNS" } as const;

/** Types whose namespace is external, in a fixed order. */
export function externalNamespaces(shape: ProcessShape): (typeof externalTypes)[number][] {
  return externalTypes.filter((type) => shape.joined.some((each) => each.type === type));
}

/** `external` of a dump. */
export const dumpedNamespace = (type: (typeof externalTypes)[number], inode: number): string =>
  `${criuNames[type]}[${inode}]:${keys[type]}`;

/** Throws `unsupported` for a container that CRIU could dump but not restore. */
export function checkShape(config: CompileInput["config"], shape: ProcessShape): void {
  if (!shape.joined.some(({ type }) => type === "mount") && !isCreated(shape, "mount")) {
    throw new TsrunError("unsupported", "a container without a mount namespace of its own cannot be checkpointed");
  }
  const allowed: readonly NamespaceType[] = [...externalTypes, ...joinableTypes];
  const refused = shape.joined.find(({ type }) => !allowed.includes(type));
  if (refused !== undefined) {
    const index = (config.linux?.namespaces ?? []).findIndex(({ type }) => type === refused.type);
    throw new TsrunError(
      "unsupported",
      `/linux/namespaces/${index}: CRIU cannot restore into a ${refused.type} namespace that is joined by path`,
    );
  }
}

export const joinedNamespaces = (shape: ProcessShape): { readonly type: string; readonly path: string }[] =>
  shape.joined.filter(({ type }) => joinableTypes.includes(type));

/** Descriptors of the external namespaces, which are in the slots of ns.open. */
export function inheritedNamespaces(shape: ProcessShape): InheritedFd[] {
  return externalNamespaces(shape).map((type, i) => ({ key: keys[type], fd: FIRST_FD + 1 + i }));
}

/** Host, after process.spawn: CRIU is there and has its orders. */
export const requestSteps = (request: Uint8Array): HostStep[] => [
  { kind: "process.waitExec" },
  { kind: "criu.request", slot: CRIU_SLOT, request },
];

/** Container, at the end. */
export function criuSteps(program: string, external: readonly NamespaceType[]): ContainerStep[] {
  return [
    { kind: "fds.place", slot: CRIU_SLOT, number: FIRST_FD },
    ...external.map((type, i) => ({ kind: "fds.place", slot: namespaceSlot(type), number: FIRST_FD + 1 + i }) as const),
    {
      kind: "process.exec",
      program,
      path: SEARCH_PATH,
      args: ["criu", "swrk", String(FIRST_FD)],
      env: [`PATH=${SEARCH_PATH}`],
      home: false,
    },
  ];
}
