/** What `tsrun features` prints (features.md, features-linux.md). */
import * as z from "zod/mini";
import { namespaceTypes, seccompActions, seccompArchitectures, seccompFlags, seccompOperators } from "./config.ts";

const optional = z.optional;
const texts = z.array(z.string());
const enabled = z.object({ enabled: optional(z.boolean()) });

export const featuresSchema = z.object({
  ociVersionMin: z.string(),
  ociVersionMax: z.string(),
  hooks: optional(texts),
  mountOptions: optional(texts),
  annotations: optional(z.record(z.string(), z.string())),
  potentiallyUnsafeConfigAnnotations: optional(texts),
  linux: optional(
    z.object({
      namespaces: optional(z.array(z.enum(namespaceTypes))),
      capabilities: optional(z.array(z.string().check(z.regex(/^CAP_[A-Z_]+$/)))),
      cgroup: optional(
        z.object({
          v1: optional(z.boolean()),
          v2: optional(z.boolean()),
          systemd: optional(z.boolean()),
          systemdUser: optional(z.boolean()),
          rdma: optional(z.boolean()),
        }),
      ),
      seccomp: optional(
        z.object({
          enabled: optional(z.boolean()),
          actions: optional(z.array(z.enum(seccompActions))),
          operators: optional(z.array(z.enum(seccompOperators))),
          archs: optional(z.array(z.enum(seccompArchitectures))),
          knownFlags: optional(z.array(z.enum(seccompFlags))),
          supportedFlags: optional(z.array(z.enum(seccompFlags))),
        }),
      ),
      apparmor: optional(enabled),
      selinux: optional(enabled),
      intelRdt: optional(
        z.object({
          enabled: optional(z.boolean()),
          schemata: optional(z.boolean()),
          monitoring: optional(z.boolean()),
        }),
      ),
      memoryPolicy: optional(z.object({ modes: optional(texts), flags: optional(texts) })),
      mountExtensions: optional(z.object({ idmap: optional(enabled) })),
      netDevices: optional(enabled),
    }),
  ),
});
export type Features = z.infer<typeof featuresSchema>;
