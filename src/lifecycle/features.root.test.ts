/** The features document against the specification and against what the compiler takes. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { featuresSchema } from "../../spec-schemas/features.ts";
import { compileCreate } from "../compile/create.ts";
import { plainOptions } from "../compile/input.fixture.ts";
import { type AbsPath, containerId } from "../core/brands.ts";
import type { HostFacts } from "../host/facts.ts";
import { hostFactsFromJson } from "../host/facts-json.ts";
import { renderPlan } from "../plan/render.ts";
import { features } from "./features.ts";
import { defaultConfig } from "./spec-template.ts";

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

describe("what it says it can do changes the plan", () => {
  const file = join(__dirname, "../compile/golden/v2.host.json");
  const facts: HostFacts = {
    ...hostFactsFromJson(readFileSync(file, "utf8"), file),
    lsm: { apparmor: true, selinux: true },
    resctrl: "/sys/fs/resctrl" as AbsPath,
  };
  const planOf = (config: Config): string =>
    renderPlan(
      compileCreate({
        id: containerId("web"),
        bundle: "/b" as AbsPath,
        rootfs: "/b/rootfs" as AbsPath,
        config,
        facts,
        options: plainOptions,
      }).plan,
    );
  const base = defaultConfig({ rootless: false });
  const process = { ...base.process, cwd: "/", terminal: false };
  const linux = features().linux;
  const ids = [{ containerID: 0, hostID: 1000, size: 1 }];
  const mount = { destination: "/a", source: "/b", options: ["bind"] };
  const cases: readonly (readonly [string, boolean | undefined, Partial<Config>])[] = [
    ["apparmor", linux?.apparmor?.enabled, { process: { ...process, apparmorProfile: "web" } }],
    ["selinux", linux?.selinux?.enabled, { process: { ...process, selinuxLabel: "a:b:c:d" } }],
    ["intelRdt", linux?.intelRdt?.enabled, { linux: { ...base.linux, intelRdt: { closID: "a" } } }],
    [
      "memoryPolicy",
      (linux?.memoryPolicy?.modes ?? []).length > 0,
      { linux: { ...base.linux, memoryPolicy: { mode: "MPOL_LOCAL" } } },
    ],
    ["netDevices", linux?.netDevices?.enabled, { linux: { ...base.linux, netDevices: { eth0: {} } } }],
    [
      "idmap",
      linux?.mountExtensions?.idmap?.enabled,
      { mounts: [{ ...mount, options: ["bind", "idmap"], uidMappings: ids, gidMappings: ids }] },
    ],
    [
      "notify",
      linux?.seccomp?.actions?.includes("SCMP_ACT_NOTIFY"),
      {
        linux: {
          ...base.linux,
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
    expect(enabled).toBe(true);
    const without = planOf({ ...base, process, ...(change.mounts !== undefined && { mounts: [mount] }) });
    expect(planOf({ ...base, process, ...change })).not.toBe(without);
  });
});

test("lists every annotation of config.json that the source looks at", () => {
  const source = join(__dirname, "..");
  const found = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .flatMap(
      (name) =>
        readFileSync(join(source, name), "utf8").match(
          /(?<=")(?:run\.oci\.|org\.systemd\.|org\.criu\.)[\w.-]+(?=")/g,
        ) ?? [],
    )
    .filter((name) => !name.startsWith("run.oci.tsrun."));
  expect([...new Set(found)].sort()).toEqual([...(features().potentiallyUnsafeConfigAnnotations ?? [])].sort());
});
