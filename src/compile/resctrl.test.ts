/** intelRdt: who may make what, in which order, and what delete removes. */
import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import type { AbsPath, ContainerId } from "../core/brands.ts";
import type { HostFacts } from "../host/facts.ts";
import { type ResctrlProbe, resctrlMountPoint } from "../host/resctrl.ts";
import { renderFields } from "../plan/render.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import { compileDelete } from "./delete.ts";
import { compileResctrl, joinSteps, type Resctrl, removeResctrl } from "./resctrl.ts";

type Rdt = NonNullable<NonNullable<Config["linux"]>["intelRdt"]>;
const compile = (intelRdt: Rdt | undefined, resctrl: string | undefined = "/r", id = "web") =>
  compileResctrl({
    id: id as ContainerId,
    config: { ociVersion: "1.3.0", linux: { intelRdt } } as Config,
    facts: { resctrl: resctrl as AbsPath } as HostFacts,
  });
const text = (steps: readonly HostStep[]): string[] =>
  steps.map((step) => `${step.kind} ${renderFields(step).replace("root=/r magic=0x7655821 ", "")}`);

test("nothing asked for, nothing done, resctrl or not", () => {
  expect(compile(undefined)).toEqual({ before: [], join: [], record: undefined });
  expect(compile(undefined, undefined)).toMatchObject({ before: [] });
});

describe("the class", () => {
  test("without closID is the container's: made if missing, removed on delete", () => {
    const { before, join, record } = compile({});
    expect(text(before)).toEqual(["resctrl.create path=/web make existing"]);
    expect(text(join)).toEqual(["resctrl.join path=/web"]);
    expect(record).toEqual({ root: "/r", groups: [{ path: "/web", created: true, kept: false }] });
  });

  test("closID without schemata names one that is there", () => {
    const { before, record } = compile({ closID: "gold", schemata: [] });
    expect(text(before)).toEqual(["resctrl.create path=/gold existing"]);
    expect(record?.groups).toEqual([{ path: "/gold", created: false, kept: true }]);
  });

  test("closID with schemata may be made, and stays", () => {
    for (const schema of [{ l3CacheSchema: "L3:0=f" }, { memBwSchema: "MB:0=10" }, { schemata: ["L2:0=f"] }]) {
      const { before, record } = compile({ closID: "gold", ...schema });
      expect(text(before)[0]).toBe("resctrl.create path=/gold make existing");
      expect(record?.groups).toEqual([{ path: "/gold", created: true, kept: true }]);
    }
  });

  test('closID "/" is the default class, which is there', () => {
    const { before, join, record } = compile({ closID: "/", memBwSchema: "MB:0=10", enableMonitoring: true });
    expect(text(before)).toEqual([
      "resctrl.create path=/ existing",
      'resctrl.write path=/ value="MB:0=10\\n"',
      "resctrl.create path=/mon_groups/web make",
    ]);
    expect(text(join)).toEqual(["resctrl.join path=/", "resctrl.join path=/mon_groups/web"]);
    expect(record?.groups[0]).toEqual({ path: "/", created: false, kept: true });
  });

  test("schemata in the specification's order, every line of each", () => {
    const { before } = compile({
      schemata: ["L3:0=ff", "MB:0=30"],
      memBwSchema: "MB:0=20",
      l3CacheSchema: "L3:0=f\nMB:0=10",
      enableMonitoring: true,
    });
    expect(text(before)).toEqual([
      "resctrl.create path=/web make existing",
      'resctrl.write path=/web value="L3:0=f\\nMB:0=10\\n"',
      'resctrl.write path=/web value="MB:0=20\\n"',
      'resctrl.write path=/web value="L3:0=ff\\nMB:0=30\\n"',
      "resctrl.create path=/web/mon_groups/web make",
    ]);
  });
});

describe("refused", () => {
  test("without resctrl", () => {
    expect(() =>
      compileResctrl({
        id: "web" as ContainerId,
        config: { ociVersion: "1.3.0", linux: { intelRdt: {} } } as Config,
        facts: {} as HostFacts,
      }),
    ).toThrow("/linux/intelRdt: no resctrl file system is mounted");
  });

  test("names that are no class, lines that are several", () => {
    for (const closID of ["a/b", "/a", ".", "..", "info", "mon_groups", "mon_data", "a\nb"]) {
      expect(() => compile({ closID })).toThrow("/linux/intelRdt/closID");
    }
    expect(() => compile({}, "/r", "info")).toThrow("no name of a class");
    expect(() => compile({ schemata: ["L3:0=f", "L3:0=f\nMB:0=1"] })).toThrow("/linux/intelRdt/schemata/1");
  });
});

describe("what goes away", () => {
  const resctrl: Resctrl = {
    root: "/r",
    groups: [
      { path: "/gold", created: true, kept: true },
      { path: "/gold/mon_groups/web", created: true, kept: false },
    ],
  };

  test("on delete: what create made and nobody named, the inner first", () => {
    expect(text(removeResctrl(resctrl, false))).toEqual(["resctrl.remove path=/gold/mon_groups/web"]);
    const own: Resctrl = { root: "/r", groups: resctrl.groups.map((group) => ({ ...group, kept: false })) };
    expect(text(removeResctrl(own, false))).toEqual([
      "resctrl.remove path=/gold/mon_groups/web",
      "resctrl.remove path=/gold",
    ]);
    const before: Resctrl = { root: "/r", groups: resctrl.groups.map((group) => ({ ...group, created: false })) };
    expect(removeResctrl(before, false)).toEqual([]);
    expect(removeResctrl(undefined, true)).toEqual([]);
  });

  test("of a create that was killed: all that it made", () => {
    const base = { id: "web", pid: 0, startTime: 0n, kill: false, sharesPidNamespace: true, cgroups: [] };
    expect(text(compileDelete({ ...base, resctrl, halfMade: true }).host)).toEqual([
      "resctrl.remove path=/gold/mon_groups/web",
      "resctrl.remove path=/gold",
    ]);
    expect(compileDelete({ ...base, resctrl }).host).toHaveLength(1);
  });

  test("a further process joins what is still there", () => {
    expect(text(joinSteps(resctrl, true))).toEqual([
      "resctrl.join path=/gold gone",
      "resctrl.join path=/gold/mon_groups/web gone",
    ]);
  });
});

describe("where resctrl is", () => {
  const MAGIC = 0x0765_5821;
  const probe = (mounted: string[], mountinfo: string): ResctrlProbe => ({
    magic: (path) => (mounted.includes(path) ? MAGIC : 1),
    read: () => mountinfo,
  });
  const line = (point: string, type: string) => `30 20 0:9 / ${point} rw,relatime shared:1 - ${type} resctrl rw`;

  test("at its usual place, without a look at the mounts", () => {
    const usual = { ...probe(["/sys/fs/resctrl"], ""), read: () => expect("read").toBe("not read") as never };
    expect(resctrlMountPoint(usual)).toBe("/sys/fs/resctrl");
  });

  test("elsewhere, where a mount says so and nothing covers it", () => {
    const mounts = [line("/a", "proc"), line("/covered", "resctrl"), line(String.raw`/with\040space`, "resctrl")];
    expect(resctrlMountPoint(probe(["/a", "/with space"], mounts.join("\n")))).toBe("/with space");
    expect(resctrlMountPoint(probe([], mounts.join("\n")))).toBeUndefined();
    expect(resctrlMountPoint(probe([], ""))).toBeUndefined();
  });
});
