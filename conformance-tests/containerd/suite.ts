import type { EngineSuite } from "../scenarios.ts";
import { Containerd } from "./engine.ts";
import { scenarios } from "./scenarios.ts";
import { scenariosWithSystemd } from "./systemd.ts";
import { noSystemd } from "./units.ts";

export const containerd: EngineSuite<Containerd> = {
  name: "containerd",
  programs: ["containerd", "ctr", "script"],
  scenarios,
  start: (runtime, work) => Containerd.start(runtime, work),
};

/** With `SystemdCgroup = true`, as on the nodes of Kubernetes. */
export const containerdSystemd: EngineSuite<Containerd> = {
  name: "containerd-systemd",
  programs: ["containerd", "ctr", "systemctl", "busctl"],
  scenarios: scenariosWithSystemd,
  start: (runtime, work) => Containerd.start(runtime, work, "systemd"),
  systemd: true,
  missing: noSystemd,
};
