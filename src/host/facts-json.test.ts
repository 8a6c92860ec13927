import { describe, expect, test } from "@jest/globals";
import type { AbsPath } from "../core/brands.ts";
import type { HostFacts } from "./facts.ts";
import { hostFactsFromJson, hostFactsToJson } from "./facts-json.ts";

const facts: HostFacts = {
  kernel: { release: "6.12.0-1-amd64", major: 6, minor: 12 },
  uid: 0,
  inUserNamespace: false,
  lastCapability: 40,
  permittedCapabilities: 0x1ff_ffff_ffffn,
  cgroup: {
    mode: "v2",
    hierarchies: [
      { version: 2, mountPoint: "/sys/fs/cgroup" as AbsPath, controllers: ["cpu", "pids"], own: "/", writable: true },
    ],
  },
  lsm: { apparmor: true, selinux: false },
  launch: { nofile: { soft: 1024n, hard: 0xffff_ffff_ffff_ffffn }, ignoredSignals: 0n, validFds: undefined },
};

describe("host facts as JSON", () => {
  test("come back as they were, 64-bit numbers too", () => {
    expect(hostFactsFromJson(hostFactsToJson(facts), "f")).toEqual(facts);
  });

  test("every wrong value is named", () => {
    const wrong = { ...facts, uid: "0", launch: { ...facts.launch, ignoredSignals: 7 }, extra: 1 };
    const json = JSON.stringify(wrong, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    expect(() => hostFactsFromJson(json, "facts.json")).toThrow(/facts\.json/);
    for (const pointer of ["/uid", "/launch/ignoredSignals", "extra"]) {
      expect(() => hostFactsFromJson(json, "facts.json")).toThrow(pointer);
    }
  });

  test("paths cannot climb", () => {
    const climbing = hostFactsToJson({
      ...facts,
      cgroup: { mode: "v2", hierarchies: facts.cgroup.hierarchies.map((each) => ({ ...each, own: "/a/../../b" })) },
    });
    expect(() => hostFactsFromJson(climbing, "f")).toThrow("/cgroup/hierarchies/0/own");
  });

  test("text that is not JSON", () => expect(() => hostFactsFromJson("{", "facts.json")).toThrow(/not JSON/));
});
