import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { callerBundles } from "../conformance-tests/compare/bundles/callers.ts";
import { defaultConfig } from "../src/lifecycle/spec-template.ts";
import { configSchema, processSchema, resourcesSchema } from "./config.ts";
import { accept, REFUSED, type Shape } from "./shape.ts";
import { configShape, processShape, resourcesShape } from "./shapes.gen.ts";

const seccomp = {
  defaultAction: "SCMP_ACT_ERRNO",
  architectures: ["SCMP_ARCH_X86_64"],
  syscalls: [{ names: ["read"], action: "SCMP_ACT_ALLOW", args: [{ index: 0, value: 5, op: "SCMP_CMP_EQ" }] }],
};
/** What the engines write, as JSON has it; and one with what they seldom do. */
const configs = [
  defaultConfig({ rootless: false, unifiedCgroups: true }),
  defaultConfig({ rootless: true, unifiedCgroups: false }),
  ...callerBundles.map(({ edit }) => {
    const config = JSON.parse(JSON.stringify(defaultConfig({ rootless: false, unifiedCgroups: false })));
    edit(config, { bundle: "/b", rootfs: "/b/rootfs", work: "/w", id: "id", profile: () => seccomp, sandboxPid: 1 });
    return config;
  }),
].map((config) =>
  JSON.parse(JSON.stringify(config, (_, value) => (typeof value === "bigint" ? Number(value) : value))),
);
const rare = {
  ociVersion: "1.3.0",
  annotations: { a: "b", "": "" },
  vm: { anything: [1] },
  hooks: { poststop: [{ path: "/x", args: [], timeout: 1 }] },
  process: {
    cwd: "/",
    rlimits: [{ type: "RLIMIT_CORE", soft: 2n ** 64n - 1n, hard: 0 }],
    scheduler: { policy: "SCHED_FIFO", nice: -20, flags: ["SCHED_FLAG_RECLAIM"], runtime: 5 },
    execCPUAffinity: { initial: "0-3,7" },
  },
  linux: {
    seccomp: {
      ...seccomp,
      syscalls: [{ ...seccomp.syscalls[0], args: [{ index: 5, value: 2n ** 64n - 1n, op: "SCMP_CMP_LT" }] }],
    },
    resources: {
      rdma: { mlx5: { hcaHandles: 1 } },
      hugepageLimits: [{ pageSize: "2MB", limit: 1 }],
      blockIO: { throttleReadBpsDevice: [{ major: -1, minor: 2n ** 62n }] },
      memory: { limit: -1, swappiness: 0 },
    },
    netDevices: { eth0: {} },
    timeOffsets: { monotonic: { secs: -(2n ** 63n) } },
  },
};

/** A yes must be the schema's own yes, with the schema's own result. */
function agrees(
  shape: Shape,
  schema: { safeParse(value: unknown): { success: boolean; data?: unknown } },
  value: unknown,
) {
  const accepted = accept(shape, value);
  const parsed = schema.safeParse(value);
  if (accepted !== REFUSED) expect([parsed.success, accepted]).toStrictEqual([true, parsed.data]);
  return { accepted: accepted !== REFUSED, right: parsed.success };
}

describe("what engines write is accepted without zod", () => {
  test.each([...configs, rare].map((config, i) => [i, config] as const))("configuration %i", (_, config) => {
    expect(agrees(configShape, configSchema, config)).toEqual({ accepted: true, right: true });
  });
  test("unknown properties are dropped, also below", () => {
    expect(accept(configShape, { ociVersion: "1", extra: 1, root: { path: "/", more: 2 } })).toEqual({
      ociVersion: "1",
      root: { path: "/" },
    });
  });
});

describe("whatever is changed in a configuration, a yes is the schema's", () => {
  const junk = fc.oneof(
    fc.constantFrom(
      null,
      undefined,
      true,
      0,
      -1,
      1.5,
      2 ** 53,
      2 ** 32,
      65_536,
      5n,
      2n ** 64n,
      -(2n ** 63n) - 1n,
      Number.NaN,
    ),
    fc.constantFrom(
      "",
      "x",
      "a\0b",
      "SCMP_ACT_LOG",
      "RLIMIT_CPU",
      "rslave",
      "MB:0=1",
      "MB:\n",
      "1GB",
      "0",
      "__proto__",
    ),
    fc.constantFrom([], {}, [null], [[]], ["\0"], { "\0": "x" }, { a: 1 }, { a: "b" }, { path: "/" }),
    fc.constant(JSON.parse('{"__proto__":"x"}')),
  );
  /** Every place of a value, as paths. */
  function places(value: unknown, path: readonly PropertyKey[] = []): (readonly PropertyKey[])[] {
    if (typeof value !== "object" || value === null) return [path];
    return [path, ...Object.entries(value).flatMap(([name, inner]) => places(inner, [...path, name]))];
  }
  function replaced(value: unknown, [first, ...rest]: readonly PropertyKey[], by: unknown): unknown {
    if (first === undefined) return by;
    const copy = Array.isArray(value) ? [...value] : { ...(value as object) };
    (copy as Record<PropertyKey, unknown>)[first] = replaced((value as Record<PropertyKey, unknown>)[first], rest, by);
    return copy;
  }
  const all = [...configs, rare];
  test("config.json", () => {
    const seen = { accepted: 0, refused: 0, differing: 0 };
    const change = fc.tuple(fc.nat(), fc.nat(), junk);
    fc.assert(
      fc.property(change, ([which, where, by]) => {
        const config = all[which % all.length];
        const at = places(config);
        const { accepted, right } = agrees(
          configShape,
          configSchema,
          replaced(config, at[where % at.length] ?? [], by),
        );
        seen[accepted ? "accepted" : "refused"]++;
        if (accepted !== right) seen.differing++;
      }),
      { numRuns: 1000 },
    );
    // Both answers were given, and a no that costs a call of zod was rare.
    expect([seen.accepted > 100, seen.refused > 100, seen.differing < 100]).toEqual([true, true, true]);
  });
  test("process and resources, from any JSON", () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), junk), (value) => {
        agrees(processShape, processSchema, value);
        agrees(resourcesShape, resourcesSchema, value);
        agrees(processShape, processSchema, { cwd: "/", user: value, env: value });
        agrees(resourcesShape, resourcesSchema, { unified: value, memory: { limit: value } });
      }),
    );
  });
});
