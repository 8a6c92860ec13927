/**
 * What this build of tsrun can do (features.md, features-linux.md): taken from the tables that the compiler works with, so
 * that it says neither more nor less. What the host can do is not looked at, as the specification wants.
 */
import type { Features } from "../../spec-schemas/features.ts";
import { capabilityNames } from "../compile/capabilities.ts";
import { PIDFD_ANNOTATION } from "../compile/create.ts";
import { HOOK_OUTPUT_ANNOTATIONS, hookNames } from "../compile/hooks.ts";
import { KEEP_GROUPS_ANNOTATION } from "../compile/identity.ts";
import { MOUNT_CONTEXT_ANNOTATION } from "../compile/lsm.ts";
import { mountOptionNames } from "../compile/mount-options.ts";
import { namespaceFlags } from "../compile/namespaces.ts";
import { memoryPolicyFlags, memoryPolicyModes } from "../compile/scheduling.ts";
import {
  FAIL_UNKNOWN_ANNOTATION,
  knowsWaitKillable,
  RECEIVER_ANNOTATION,
  seccompActions,
  seccompArchitectures,
  seccompFlags,
  seccompOperators,
} from "../compile/seccomp.ts";
import {
  DELEGATE_ANNOTATION,
  PROPERTY_ANNOTATION_PREFIX,
  SUBGROUP_ANNOTATION,
} from "../compile/systemd-annotations.ts";
import { commit, specVersion, version } from "../core/version.ts";
import { kernelVersion } from "../host/read.ts";
import { libseccomp } from "../native/native.ts";
import { CRIU_CONFIG_ANNOTATION } from "./criu.ts";

export function features(): Features {
  const { version: libseccompVersion, knowsArchitecture } = libseccomp();
  const flags = names(seccompFlags);
  return {
    ociVersionMin: "1.0.0",
    ociVersionMax: specVersion,
    hooks: [...hookNames],
    mountOptions: [...mountOptionNames].sort(),
    linux: {
      namespaces: names(namespaceFlags),
      capabilities: [...capabilityNames],
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: true, rdma: true },
      seccomp: {
        enabled: true,
        actions: names(seccompActions),
        operators: names(seccompOperators),
        archs: names(seccompArchitectures).filter((name) => knowsArchitecture(seccompArchitectures[name])),
        knownFlags: flags,
        // Linux 4.17 has the others.
        supportedFlags: flags.filter(
          (name) => name !== "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" || knowsWaitKillable(kernelVersion()),
        ),
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: true, schemata: true, monitoring: true },
      memoryPolicy: { modes: names(memoryPolicyModes), flags: names(memoryPolicyFlags) },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: true },
    },
    annotations: {
      "run.oci.tsrun.version": version,
      "run.oci.tsrun.commit": commit,
      "io.github.seccomp.libseccomp.version": libseccompVersion,
      // podman and containerd ask for runc's. CRIU itself is the host's to have.
      "org.opencontainers.runc.checkpoint.enabled": "true",
    },
    potentiallyUnsafeConfigAnnotations: [
      PIDFD_ANNOTATION,
      HOOK_OUTPUT_ANNOTATIONS.stdout,
      HOOK_OUTPUT_ANNOTATIONS.stderr,
      KEEP_GROUPS_ANNOTATION,
      FAIL_UNKNOWN_ANNOTATION,
      RECEIVER_ANNOTATION,
      MOUNT_CONTEXT_ANNOTATION,
      PROPERTY_ANNOTATION_PREFIX,
      SUBGROUP_ANNOTATION,
      DELEGATE_ANNOTATION,
      CRIU_CONFIG_ANNOTATION,
    ],
  };
}

function names<Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] {
  return (Object.keys(table) as Name[]).sort();
}
