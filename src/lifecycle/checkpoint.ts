/**
 * checkpoint: CRIU writes a container into an image; without --leave-running it ends with that. One that fails leaves it
 * running, as does a tsrun that is killed: CRIU then lets the processes go on, and gc removes its work directory.
 */
import { rmSync } from "node:fs";
import { resolve } from "node:path";
import { type CheckpointOptions, compileCheckpoint, DUMP_LOG } from "../compile/checkpoint.ts";
import { externalMounts } from "../compile/external-mounts.ts";
import type { ContainerId } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import { freezerPlace } from "../host/cgroup.ts";
import { namespaceInode } from "../host/confinement.ts";
import { resolveInside } from "../host/inside.ts";
import { ownIdentity } from "../host/process.ts";
import { readHostFacts } from "../host/read.ts";
import { streamsOf } from "../host/streams.ts";
import type { Plan } from "../plan/vocabulary.ts";
import { findContainer } from "../state/liveness.ts";
import { checkAllowed } from "../state/machine.ts";
import type { ContainerRecord } from "../state/record.ts";
import { directoryOf, hasNotifyDirectory, makeWorkDirectory } from "../state/store.ts";
import { withNotifyMount } from "./activation.ts";
import {
  type Directory,
  keepWorkFiles,
  openDirectory,
  parentOf,
  prepareImage,
  writeOwnFiles,
} from "./checkpoint-image.ts";
import { configOf } from "./config-copy.ts";
import type { Context } from "./context.ts";
import { findCriu, withLog, writeConfig } from "./criu.ts";
import { runPlan } from "./run-plan.ts";

export interface CheckpointRequest {
  readonly id: ContainerId;
  /** Directory of the image, relative to the working directory; made if missing. */
  readonly imagePath: string;
  /** Where the log goes, and CRIU's statistics; made if missing. */
  readonly workPath: string;
  readonly options: CheckpointOptions;
}

export function checkpoint(context: Context, request: CheckpointRequest): void {
  const { root } = context;
  const { id, options } = request;
  const { record, status } = findContainer(root, id);
  checkAllowed("checkpoint", id, status);
  const facts = readHostFacts();
  checkStatusFd(options.statusFd, facts.launch.validFds);
  const criu = findCriu(`checkpoint ${id}`, record.annotations);

  const opened: Directory[] = [];
  const open = (path: string, option: string): Directory => {
    const directory = openDirectory(path, option, true);
    opened.push(directory);
    return directory;
  };
  try {
    const image = open(request.imagePath, "--image-path");
    const kept = open(request.workPath, "--work-path");
    prepareImage(image);
    if (options.parentPath !== undefined) parentOf(image.path, options.parentPath);
    const work = makeWorkDirectory(root, id, ownIdentity());
    try {
      const configFile = writeConfig(work, criu.configFile);
      const plan = dumpPlan(context, record, options, { ...criu, configFile }, image.fd, facts);
      if (!options.preDump) writeOwnFiles(image, streamsOf(record.init.pid), configOf(root, id));
      try {
        runPlan(context, "checkpoint", plan);
      } catch (error) {
        throw withLog(error, work, DUMP_LOG, resolve(request.workPath, DUMP_LOG));
      } finally {
        const notKept = keepWorkFiles(work, kept);
        if (notKept !== undefined) context.log.warn(`checkpoint ${id}: ${notKept}`);
      }
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  } finally {
    for (const directory of opened) directory.close();
  }
}

function dumpPlan(
  { root }: Context,
  record: ContainerRecord,
  options: CheckpointOptions,
  criu: { readonly program: string; readonly configFile: string },
  imagesFd: number,
  facts: ReturnType<typeof readHostFacts>,
): Plan {
  const { id, bundle, rootfs, init } = record;
  const written = configOf(root, id);
  const config = hasNotifyDirectory(root, id) ? withNotifyMount(written, directoryOf(root, id)) : written;
  const freezer = freezerPlace(record.cgroups);
  const plan = compileCheckpoint({
    container: { id, rootfs, config, facts },
    pid: init.pid,
    options,
    criu,
    imagesFd,
    mounts: externalMounts({ bundle, config, facts }, record.cgroups).map((mount) => ({
      ...mount,
      mountPoint: resolveInside(init.pid, mount.target),
    })),
    namespaces: { network: namespaceInode(init.pid, "network"), pid: namespaceInode(init.pid, "pid") },
    files: [...new Set(streamsOf(init.pid).filter((stream) => stream.startsWith("file[")))],
    // A cgroup that is not the container's own has others' processes in it.
    freezeCgroup: freezer?.created === true ? freezer.hierarchy + freezer.path : undefined,
  });
  if (options.leaveRunning || options.preDump) return plan;
  const gone = { kind: "process.waitGone", pid: init.pid, startTime: init.startTime, timeoutMs: PATIENCE_MS } as const;
  return { ...plan, host: [...plan.host, gone] };
}

/** How long processes that CRIU has killed may take to go. */
const PATIENCE_MS = 10_000;

/** --status-fd must be the caller's descriptor, never Node's own that took a free number. */
function checkStatusFd(fd: number, valid: readonly number[] | undefined): void {
  if (fd === 0 || valid?.includes(fd) === true) return;
  throw new TsrunError("usage", `--status-fd ${fd}: it is not open`);
}
