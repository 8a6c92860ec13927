import type { EngineSuite } from "../scenarios.ts";
import { Podman } from "./engine.ts";
import { scenarios } from "./scenarios.ts";

export const podman: EngineSuite<Podman> = {
  name: "podman",
  programs: ["podman", "conmon", "catatonit", "script"],
  scenarios,
  start: Podman.start,
};
