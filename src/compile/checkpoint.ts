/** checkpoint: CRIU writes a running container into an image. Nothing of the container is changed by us. */
import type { Plan } from "../plan/vocabulary.ts";
import { CRIU_SLOT, checkShape, criuSteps, dumpedNamespace, externalNamespaces, requestSteps } from "./criu.ts";
import { type CriuOptions, encodeCriuRequest } from "./criu-request.ts";
import { dumpedMount, type ExternalMount } from "./external-mounts.ts";
import type { CompileInput } from "./input.ts";
import { type NamespaceType, processShape } from "./namespaces.ts";

export const DUMP_LOG = "dump.log";

/** What the command line asks for. */
export interface CheckpointOptions extends CriuOptions {
  /** Only the memory, and the container goes on: another dump, whose parent this is, is then a short one. */
  readonly preDump: boolean;
  readonly leaveRunning: boolean;
  readonly linkRemap: boolean;
  /** Connections that are being made or ended do not make the dump fail, and are not restored. */
  readonly tcpSkipInFlight: boolean;
  /** Relative to the image's directory. */
  readonly parentPath: string | undefined;
  readonly pageServer: { readonly address: string; readonly port: number } | undefined;
  /** Descriptor of tsrun, or 0. */
  readonly statusFd: number;
}

export interface CheckpointInput {
  readonly container: Pick<CompileInput, "id" | "rootfs" | "config" | "facts">;
  readonly pid: number;
  readonly options: CheckpointOptions;
  readonly criu: { readonly program: string; readonly configFile: string };
  /** Directory of the image as a descriptor of tsrun. */
  readonly imagesFd: number;
  /** Of the host, with the path that the container's mount has by now: links in it are resolved. */
  readonly mounts: readonly (ExternalMount & { readonly mountPoint: string })[];
  /** Inode numbers of the container's namespaces. */
  readonly namespaces: Readonly<Partial<Record<NamespaceType, number>>>;
  /** Files of the host that its standard streams are, as CRIU names them: `file[…]`. */
  readonly files: readonly string[];
  readonly freezeCgroup: string | undefined;
}

/** Throws `unsupported` for a container that could not be restored. */
export function compileCheckpoint(input: CheckpointInput): Plan {
  const { container, options, criu } = input;
  const shape = processShape(container.config);
  checkShape(container.config, shape);
  const external = [
    ...input.mounts.map((mount) => dumpedMount(mount.mountPoint, mount)),
    ...externalNamespaces(shape).flatMap((type) => {
      const inode = input.namespaces[type];
      return inode === undefined ? [] : [dumpedNamespace(type, inode)];
    }),
    ...input.files,
  ];
  const request = encodeCriuRequest({
    kind: options.preDump ? "pre-dump" : "dump",
    imagesFd: input.imagesFd,
    options,
    logFile: DUMP_LOG,
    root: container.rootfs,
    configFile: criu.configFile,
    external,
    pid: input.pid,
    leaveRunning: options.leaveRunning,
    linkRemap: options.linkRemap,
    tcpSkipInFlight: options.tcpSkipInFlight,
    parentImage: options.parentPath,
    pageServer: options.pageServer,
    freezeCgroup: input.freezeCgroup,
  });
  return {
    title: `checkpoint ${container.id}`,
    host: [
      { kind: "criu.connect", slot: CRIU_SLOT },
      { kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 },
      ...requestSteps(request),
      { kind: "criu.wait", script: "", adopt: false, console: null, statusFd: options.statusFd },
    ],
    container: [
      { kind: "process.signals", ignored: container.facts.launch.ignoredSignals },
      ...criuSteps(criu.program, []),
    ],
  };
}
