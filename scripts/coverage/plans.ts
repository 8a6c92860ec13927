/** Which steps apply a property: those that differ between the plans of a configuration with it and without it. */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { type Config, configSchema } from "../../spec-schemas/config.ts";
import { compileCreate } from "../../src/compile/create.ts";
import { plainOptions } from "../../src/compile/input.fixture.ts";
import type { AbsPath, ContainerId } from "../../src/core/brands.ts";
import { TsrunError } from "../../src/core/errors.ts";
import type { HostFacts } from "../../src/host/facts.ts";
import { hostFactsFromJson } from "../../src/host/facts-json.ts";
import type { Step, StepKind } from "../../src/plan/vocabulary.ts";
import { alternatives } from "./notes.ts";
import { changedAt, type Property } from "./schema.ts";

const golden = join(__dirname, "../../src/compile/golden");

const readFacts = (name: string): HostFacts => {
  const file = join(golden, `${name}.host.json`);
  return hostFactsFromJson(readFileSync(file, "utf8"), file);
};

/** A hybrid host and one with v2, both with every controller, resctrl, AppArmor and SELinux. */
export const hosts: readonly HostFacts[] = [readFacts("hybrid"), readFacts("v2")].map((facts) => ({
  ...facts,
  lsm: { apparmor: true, selinux: true },
  resctrl: "/sys/fs/resctrl" as AbsPath,
  cgroup: {
    ...facts.cgroup,
    hierarchies: [
      ...facts.cgroup.hierarchies,
      ...(facts.cgroup.mode === "v2" ? [] : ["hugetlb", "net_cls", "net_prio", "rdma"])
        .filter((name) => !facts.cgroup.hierarchies.some(({ controllers }) => controllers.includes(name)))
        .map((name) => ({
          version: 1 as const,
          mountPoint: `/sys/fs/cgroup/${name}` as AbsPath,
          controllers: [name],
          own: "/",
          writable: true,
        })),
    ],
  },
}));

type Compiled = ReadonlyMap<string, StepKind> | TsrunError;

/** The steps of both lists by their text; or why there is no plan. */
function compile(given: Config, facts: HostFacts): Compiled {
  // As the loader does; the compiler takes nothing else.
  const { success, data: config } = configSchema.safeParse(given);
  if (!success) return new TsrunError("config", "not as the schema has it");
  try {
    const { plan } = compileCreate({
      id: "web" as ContainerId,
      bundle: "/bundle" as AbsPath,
      rootfs: posix.resolve("/bundle", config.root?.path ?? "") as AbsPath,
      config,
      facts,
      options: {
        ...plainOptions,
        console: config.process?.terminal === true ? { kind: "socket", path: "/run/console.sock" } : { kind: "none" },
      },
    });
    const steps: readonly Step[] = [...plan.host, ...plan.container];
    return new Map(steps.map((step) => [text(step), step.kind]));
  } catch (error) {
    if (error instanceof TsrunError) return error;
    throw error;
  }
}

const text = (step: Step): string =>
  JSON.stringify(step, (_, value: unknown) =>
    typeof value === "bigint"
      ? String(value)
      : value instanceof Uint8Array
        ? Buffer.from(value).toString("hex")
        : value,
  );

const compileAll = (config: Config): readonly Compiled[] => hosts.map((facts) => compile(config, facts));

/** Other values of the same kind. */
function others(value: unknown, { pattern, values }: Property): readonly unknown[] {
  if (Array.isArray(value)) return [value.slice(0, -1), [...value, "x"]];
  const known = values ?? alternatives[pattern];
  if (known !== undefined) return known.filter((each) => each !== value);
  if (typeof value === "string") return [`${value}x`];
  if (typeof value === "number") return [value + 1];
  if (typeof value === "bigint") return [value + 1n];
  return typeof value === "boolean" ? [!value] : [];
}

/** Of a list's elements the first and the last few are enough. */
const OCCURRENCES = 3;

/** `configs` have the property. */
export function stepsOf(property: Property, configs: readonly Config[]): Set<StepKind> {
  const { pattern } = property;
  const kinds = new Set<StepKind>();
  for (const config of configs) {
    const before = compileAll(config);
    for (const changed of changedAt(config, pattern, (value) => [undefined, ...others(value, property)], OCCURRENCES)) {
      const after = compileAll(changed);
      for (const [i, was] of before.entries()) {
        const is = after[i];
        if (was instanceof TsrunError || is === undefined || is instanceof TsrunError) continue;
        for (const [step, kind] of was) if (!is.has(step)) kinds.add(kind);
        for (const [step, kind] of is) if (!was.has(step)) kinds.add(kind);
      }
    }
  }
  return kinds;
}
