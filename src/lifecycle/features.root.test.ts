/** The features document against the specification and against what the compiler takes. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { featuresSchema } from "../../spec-schemas/features.ts";
import { refuseUnsupported } from "../compile/unsupported.ts";
import type { HostFacts } from "../host/facts.ts";
import { features } from "./features.ts";

test("fits the schema, every property of it", () => {
  const document = features();
  expect(featuresSchema.parse(document)).toEqual(document);
  expect(JSON.parse(JSON.stringify(document))).toEqual(document);
  expect(Object.keys(document).sort()).toEqual(Object.keys(featuresSchema.def.shape).sort());
});

test("names what a profile may hold", () => {
  const { seccomp, capabilities, namespaces } = features().linux ?? {};
  expect(seccomp?.archs).toEqual(expect.arrayContaining(["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_S390X"]));
  expect(seccomp?.actions).toContain("SCMP_ACT_NOTIFY");
  expect(capabilities).toHaveLength(41);
  expect(namespaces).toEqual(["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]);
  expect(features().annotations?.["io.github.seccomp.libseccomp.version"]).toMatch(/^2\.\d+\.\d+$/);
});

describe("says that it does what is not refused, and no more", () => {
  const facts = { lsm: { apparmor: true, selinux: true } } as HostFacts;
  const linux = features().linux;
  const process = { cwd: "/" };
  const cases: readonly (readonly [string, boolean | undefined, Partial<Config>])[] = [
    ["apparmor", linux?.apparmor?.enabled, { process: { ...process, apparmorProfile: "web" } }],
    ["selinux", linux?.selinux?.enabled, { process: { ...process, selinuxLabel: "a:b:c:d" } }],
    ["intelRdt", linux?.intelRdt?.enabled, { linux: { intelRdt: { closID: "a" } } }],
    [
      "memoryPolicy",
      (linux?.memoryPolicy?.modes ?? []).length > 0,
      { linux: { memoryPolicy: { mode: "MPOL_LOCAL" } } },
    ],
    ["netDevices", linux?.netDevices?.enabled, { linux: { netDevices: { eth0: {} } } }],
    [
      "idmap",
      linux?.mountExtensions?.idmap?.enabled,
      { mounts: [{ destination: "/a", source: "/b", options: ["bind", "idmap"] }] },
    ],
    [
      "notify",
      linux?.seccomp?.actions?.includes("SCMP_ACT_NOTIFY"),
      {
        linux: {
          seccomp: {
            defaultAction: "SCMP_ACT_ALLOW",
            listenerPath: "/l",
            syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
          },
        },
      },
    ],
  ];
  test.each(cases)("%s", (_, enabled, change) => {
    const attempt = () => refuseUnsupported({ config: { ociVersion: "1.3.0", ...change }, facts });
    if (enabled === true) expect(attempt).not.toThrow();
    else expect(attempt).toThrow("this version of tsrun does not do");
  });
});

test("lists every annotation of config.json that the source looks at", () => {
  const source = join(__dirname, "..");
  const found = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .flatMap(
      (name) =>
        readFileSync(join(source, name), "utf8").match(/(?<=")(?:run\.oci\.|org\.systemd\.|org\.criu\.)[\w.]+(?=")/g) ??
        [],
    )
    .filter((name) => !name.startsWith("run.oci.tsrun."));
  expect([...new Set(found)].sort()).toEqual([...(features().potentiallyUnsafeConfigAnnotations ?? [])].sort());
});
