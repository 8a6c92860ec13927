import type { EngineSuite } from "../scenarios.ts";
import { Containerd } from "./engine.ts";
import { scenarios } from "./scenarios.ts";

export const containerd: EngineSuite<Containerd> = {
  name: "containerd",
  programs: ["containerd", "ctr", "script"],
  scenarios,
  start: Containerd.start,
};
