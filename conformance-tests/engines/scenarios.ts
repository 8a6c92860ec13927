/** The scenarios of every engine that has docker's command line. What only one of them can do is in the engine's folder. */
import type { Scenario } from "../scenarios.ts";
import type { Engine } from "./engine.ts";
import { exec } from "./exec.ts";
import { life } from "./life.ts";
import { limits } from "./limits.ts";
import { namespaces } from "./namespaces.ts";
import { rights } from "./rights.ts";
import { streams } from "./streams.ts";
import { volumes } from "./volumes.ts";

export const shared: readonly Scenario<Engine>[] = [
  ...life,
  ...streams,
  ...exec,
  ...limits,
  ...rights,
  ...volumes,
  ...namespaces,
];
