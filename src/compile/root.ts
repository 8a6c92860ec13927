/**
 * The container's root: before mounts, entering it, and what is done to it last.
 *
 * rootSteps comes after the mount namespace is entered and before everything that names a path of the container: later
 * steps resolve their paths inside the root that it opens. It does not wait for the host.
 * pivotSteps comes after mounts, devices and the hooks that still see the host (createRuntime, createContainer).
 * rootFinishSteps comes when nothing is made in the root any more: it makes read-only what was writable for our sake.
 */
import { TsrunError } from "../core/errors.ts";
import { type ContainerStep, type HostStep, pivotMethods } from "../plan/vocabulary.ts";
import type { CompileInput } from "./input.ts";
import { MOUNT_ATTR, MS } from "./mount-options.ts";
import { lateReadonly, setsUpDev } from "./mounts.ts";
import { hasNamespace, processShape } from "./namespaces.ts";

type Input = Pick<CompileInput, "config" | "rootfs" | "options">;

type RootPropagation = NonNullable<NonNullable<CompileInput["config"]["linux"]>["rootfsPropagation"]> | "";

const rootPropagation = (config: CompileInput["config"]): RootPropagation => config.linux?.rootfsPropagation ?? "";

/**
 * Of the whole tree, before anything is mounted. Host mounts reach the container by default (runc's rslave). For
 * `shared` volumes remain peers of the host's mounts. The root never is (root.bind): nothing that is mounted in it reaches
 * the host. But it is a slave where the mount that holds the rootfs is shared, and so has what the host mounts below the
 * rootfs later, as with runc; only private and unbindable trees have not.
 * An unbindable tree could not be bound from, so that waits for root.propagation.
 */
const treePropagation: Readonly<Record<RootPropagation, number>> = {
  "": MS.SLAVE | MS.REC,
  slave: MS.SLAVE | MS.REC,
  rslave: MS.SLAVE | MS.REC,
  private: MS.PRIVATE | MS.REC,
  rprivate: MS.PRIVATE | MS.REC,
  unbindable: MS.PRIVATE | MS.REC,
  runbindable: MS.PRIVATE | MS.REC,
  shared: MS.SHARED,
  rshared: MS.SHARED | MS.REC,
};

/** Of the container's root mount, in the end. 0: as root.bind left it. */
const finalPropagation: Readonly<Record<RootPropagation, number>> = {
  "": 0,
  slave: 0,
  rslave: MS.SLAVE | MS.REC,
  private: 0,
  rprivate: MS.PRIVATE | MS.REC,
  unbindable: MS.UNBINDABLE,
  runbindable: MS.UNBINDABLE | MS.REC,
  shared: MS.SHARED,
  rshared: MS.SHARED | MS.REC,
};

/** Whether something is mounted below the rootfs although no mount namespace will end with the container. */
function mountsOnHost({ config }: Pick<CompileInput, "config">): boolean {
  return !hasNamespace(processShape(config), "mount") && (config.mounts ?? []).length > 0;
}

/**
 * Host, before process.spawn: without a mount namespace the container's mounts are the host's, as the spec says
 * ("inherit the runtime namespace"). All of them are below one mount, which is detached when create fails.
 */
export function rootHostSteps(input: Input): HostStep[] {
  return mountsOnHost(input) ? [{ kind: "root.detach", path: input.rootfs, now: false }] : [];
}

/** Where delete has to detach the container's mounts, because no namespace ends with it. */
export function rootToDetach(input: Input): string | undefined {
  return mountsOnHost(input) ? input.rootfs : undefined;
}

export function rootSteps(input: Input): ContainerStep[] {
  const { rootfs, config } = input;
  const propagation = rootPropagation(config);
  if (!hasNamespace(processShape(config), "mount")) {
    // The propagation of the host's own mounts is not ours to change.
    return mountsOnHost(input)
      ? [{ kind: "root.bind", path: rootfs, isolate: false }]
      : [{ kind: "root.open", path: rootfs }];
  }
  return [
    { kind: "mount.propagation", flags: treePropagation[propagation] },
    { kind: "root.bind", path: rootfs, isolate: true },
  ];
}

export function pivotSteps(input: Input): ContainerStep[] {
  const { config, options } = input;
  const steps: ContainerStep[] = [];
  if (!hasNamespace(processShape(config), "mount")) {
    // pivot_root would change the root of every process of the host.
    steps.push({ kind: "root.pivot", method: pivotMethods.chroot });
  } else if (options.noPivot) {
    const propagation = rootPropagation(config);
    // runc's rule: behind a chroot the host's mounts are still there, and a private root would keep them busy for ever.
    if (propagation === "private" || propagation === "rprivate") {
      throw new TsrunError("config", `/linux/rootfsPropagation: ${propagation} is not safe without pivot_root`, {
        advice: "leave out --no-pivot, or use slave",
      });
    }
    steps.push({ kind: "root.pivot", method: pivotMethods.move });
  } else {
    steps.push({ kind: "root.pivot", method: pivotMethods.pivot });
  }
  // The caller's /dev/null is the host's file, whose mode a container's root could change.
  if (setsUpDev(config)) steps.push({ kind: "device.reopenNull" });
  return steps;
}

export function rootFinishSteps(input: Input): ContainerStep[] {
  const { config } = input;
  const steps: ContainerStep[] = [];
  const flags = finalPropagation[rootPropagation(config)];
  // Only now: pivot_root refuses a shared root. Without a mount namespace it is not the container's to have one.
  if (flags !== 0 && hasNamespace(processShape(config), "mount")) steps.push({ kind: "root.propagation", flags });
  // File systems into which mount points or devices had to be put.
  for (const target of lateReadonly(config)) {
    steps.push({
      kind: "mount.attributes",
      target,
      set: MOUNT_ATTR.RDONLY,
      clear: 0,
      recursive: false,
      propagation: 0,
    });
  }
  if (config.root?.readonly === true) {
    if (!hasNamespace(processShape(config), "mount") && !mountsOnHost(input)) {
      throw new TsrunError("config", "/root/readonly: a read-only root needs a mount namespace", {
        advice: 'add {"type": "mount"} to /linux/namespaces',
      });
    }
    steps.push({ kind: "root.readonly" });
  }
  return steps;
}
