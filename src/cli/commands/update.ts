import type { Resources } from "../../../spec-schemas/config.ts";
import { checkResources, loadResources } from "../../bundle/load.ts";
import { containerId } from "../../core/brands.ts";
import { TsrunError } from "../../core/errors.ts";
import { update } from "../../lifecycle/update.ts";
import { defineCommand, positional } from "../command.ts";
import { faultOption } from "../fault.ts";
import type { OptionTable, Values } from "../options.ts";
import { parseBytes, parseInteger } from "../values.ts";
import { withTrace } from "./create-options.ts";

const limits = {
  "blkio-weight": { type: "text", describe: "weight of block I/O, 10 to 1000" },
  "cpu-burst": { type: "text", describe: "microseconds that may be saved up and used beyond the quota" },
  "cpu-idle": { type: "text", describe: "1: run only when nobody else does (SCHED_IDLE); 0: not" },
  "cpu-period": { type: "text", describe: "microseconds that the quota is for" },
  "cpu-quota": { type: "text", describe: "microseconds of CPU time in a period; -1 for no limit" },
  "cpu-rt-period": { type: "text", describe: "microseconds that the real-time runtime is for (v1)" },
  "cpu-rt-runtime": { type: "text", describe: "microseconds of real-time scheduling in a period (v1)" },
  "cpu-share": { type: "text", describe: "weight of CPU time, normally 1024" },
  "cpuset-cpus": { type: "text", describe: "CPUs, such as 0-3,7" },
  "cpuset-mems": { type: "text", describe: "memory nodes, such as 0" },
  memory: { type: "text", describe: "limit in bytes (units k, m, g); -1 for none" },
  "memory-reservation": { type: "text", describe: "soft limit in bytes" },
  "memory-swap": { type: "text", describe: "limit of memory and swap together; -1 for none" },
  "pids-limit": { type: "text", describe: "most processes; -1 for no limit" },
} as const satisfies OptionTable;

export const command = defineCommand({
  usage: "<id>",
  options: {
    resources: {
      type: "text",
      alias: "r",
      describe: "file with linux.resources as in config.json, - for standard input; other options are ignored then",
    },
    ...limits,
    "l3-cache-schema": { type: "text", describe: "not supported: the Intel RDT class is create's to make" },
    "mem-bw-schema": { type: "text", describe: "not supported: the Intel RDT class is create's to make" },
    "kernel-memory": { type: "text", describe: "ignored, as in runc", hidden: true },
    "kernel-memory-tcp": { type: "text", describe: "ignored, as in runc", hidden: true },
    ...faultOption,
  },
  positionals: [1, 1],
  run(parsed, { context }) {
    const { options } = parsed;
    for (const name of ["l3-cache-schema", "mem-bw-schema"] as const) {
      if ((options[name] ?? "") !== "") {
        throw new TsrunError("unsupported", `--${name}: update cannot change the Intel RDT class of a container`);
      }
    }
    for (const name of ["kernel-memory", "kernel-memory-tcp"] as const) {
      if ((options[name] ?? "") !== "")
        context.log.warn(`update: --${name} is ignored: kernel memory has no limit of its own`);
    }
    const { resources: file = "" } = options;
    const resources = file === "" ? resourcesOf(options) : loadResources(file);
    withTrace(options, context, (faulty) => update(faulty, containerId(positional(parsed, 0)), resources));
    return 0;
  },
});

/** An empty value is one that is not given: callers pass those. */
function resourcesOf(options: Values<typeof limits>): Resources {
  const given = <T>(name: keyof typeof limits, parse: (text: string, option: string) => T): T | undefined => {
    const text = options[name];
    return text === undefined || text === "" ? undefined : parse(text, `--${name}`);
  };
  const signed = (text: string, option: string): bigint => parseInteger(text, option, "signed");
  const unsigned = (text: string, option: string): bigint => parseInteger(text, option, "unsigned");
  const weight = given("blkio-weight", unsigned);
  if (weight !== undefined && weight !== 0n && (weight < 10n || weight > 1000n)) {
    throw new TsrunError("usage", `--blkio-weight: ${weight} is not between 10 and 1000`);
  }
  const resources = {
    memory: defined({
      limit: given("memory", parseBytes),
      swap: given("memory-swap", parseBytes),
      reservation: given("memory-reservation", parseBytes),
    }),
    cpu: defined({
      burst: given("cpu-burst", unsigned),
      idle: given("cpu-idle", signed),
      period: given("cpu-period", unsigned),
      quota: given("cpu-quota", signed),
      realtimePeriod: given("cpu-rt-period", unsigned),
      realtimeRuntime: given("cpu-rt-runtime", signed),
      shares: given("cpu-share", unsigned),
      cpus: given("cpuset-cpus", String),
      mems: given("cpuset-mems", String),
    }),
    blockIO: defined({ weight: weight === undefined ? undefined : Number(weight) }),
    pids: defined({ limit: given("pids-limit", signed) }),
  };
  checkResources(resources);
  return resources;
}

/** Numbers where they are exact, as the loader of config.json gives them. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [
        name,
        typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value,
      ]),
  ) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
