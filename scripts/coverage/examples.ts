/** Configurations with what no bundle of the comparison has. */
import type { Config } from "../../spec-schemas/config.ts";

type Edit = (config: Config) => void;

export const examples: readonly Edit[] = [
  (config) => {
    config.process = {
      ...(config.process as NonNullable<Config["process"]>),
      scheduler: { policy: "SCHED_DEADLINE", runtime: 1_000_000, deadline: 2_000_000, period: 3_000_000 },
    };
  },
  (config) => {
    config.linux = { ...config.linux, resources: { memory: { limit: 67_108_864, checkBeforeUpdate: true } } };
  },
  (config) => {
    config.linux = {
      ...config.linux,
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        listenerPath: "/run/agent.sock",
        listenerMetadata: "metadata",
        syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
      },
    };
  },
  (config) => {
    config.linux = { ...config.linux, personality: { domain: "LINUX", flags: ["ADDR_NO_RANDOMIZE"] } };
  },
];
