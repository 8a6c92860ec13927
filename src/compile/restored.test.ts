import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import type { ProcessConfinement } from "../host/facts.ts";
import { hostFactsFromJson } from "../host/facts-json.ts";
import { type RestoredInput, restoredProblems } from "./restored.ts";

const file = join(__dirname, "golden/v2.host.json");
const facts = { ...hostFactsFromJson(readFileSync(file, "utf8"), file), lsm: { apparmor: true, selinux: false } };
const namespaces = (mark: string): Record<string, string> =>
  Object.fromEntries(
    ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"].map((type) => [type, `${type}:[${mark}]`]),
  );
const KILL = 1n << 5n;
const NET_RAW = 1n << 13n;
const config: Config = {
  ociVersion: "1.3.0",
  process: {
    cwd: "/",
    capabilities: { bounding: ["CAP_KILL"], permitted: ["CAP_KILL"] },
    noNewPrivileges: true,
    apparmorProfile: "web",
  },
  linux: {
    namespaces: [{ type: "mount" }, { type: "pid" }, { type: "user" }, { type: "network", path: "/run/netns/a" }],
    uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    seccomp: { defaultAction: "SCMP_ACT_ALLOW" },
  },
};
const good: ProcessConfinement = {
  pid: 7,
  namespaces: namespaces("own"),
  capabilities: KILL,
  noNewPrivileges: true,
  seccompFilter: true,
  uidMap: "0 1000 1",
  gidMap: "0 1000 1",
  label: "web (enforce)",
  cgroups: [{ hierarchy: "/sys/fs/cgroup", path: "/web/inner" }],
};
const problems = (change: Partial<ProcessConfinement>, more: Partial<RestoredInput> = {}): string[] =>
  restoredProblems({
    config,
    facts,
    host: { ...good, namespaces: namespaces("host") },
    joined: { network: "network:[own]" },
    places: [{ hierarchy: "/sys/fs/cgroup", path: "/web", version: 2, controllers: [], created: true }],
    processes: [{ ...good, ...change }],
    ...more,
  });

test("what is confined as config.json says has no problem", () => {
  expect(problems({})).toEqual([]);
  expect(problems({ capabilities: 0n, cgroups: [{ hierarchy: "/sys/fs/cgroup", path: "/web" }] })).toEqual([]);
});

test.each([
  ["the host's pid namespace", { namespaces: { ...good.namespaces, pid: "pid:[host]" } }, "host's pid namespace"],
  ["the host's root", { namespaces: { ...good.namespaces, mount: "mount:[host]" } }, "host's mount namespace"],
  ["another network", { namespaces: { ...good.namespaces, network: "network:[x]" } }, "network namespace is not"],
  ["another cgroup", { cgroups: [{ hierarchy: "/sys/fs/cgroup", path: "/webcam" }] }, "/linux/cgroupsPath"],
  ["a cgroup outside of what is seen", { cgroups: [] }, "no cgroup that is seen"],
  ["a capability more", { capabilities: KILL | NET_RAW }, "it has CAP_NET_RAW, too"],
  ["privileges to be gained", { noNewPrivileges: false }, "/process/noNewPrivileges"],
  ["no filter", { seccompFilter: false }, "/linux/seccomp"],
  ["the host's root as its own", { uidMap: "0 0 1" }, "/linux/uidMappings"],
  ["another group map", { gidMap: "0 1000 1\n1 0 1" }, "/linux/gidMappings"],
  ["another profile", { label: "unconfined" }, "/process/apparmorProfile"],
])("%s is one", (_, change, words) => {
  expect(problems(change)).toEqual([expect.stringMatching(new RegExp(`^process 7: .*${words}`))]);
});

test("every process counts, and there must be one", () => {
  expect(problems({}, { processes: [good, { ...good, pid: 8, seccompFilter: false }] })).toHaveLength(1);
  expect(problems({}, { processes: [] })).toHaveLength(1);
});
