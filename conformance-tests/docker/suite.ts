import { join } from "node:path";
import type { Suite } from "../outcome.ts";
import { scenarioSuite } from "../scenarios.ts";
import { scenarios } from "./scenarios.ts";

export const dockerSuite: Suite = scenarioSuite(
  "docker",
  join(__dirname, "inside.ts"),
  scenarios.map(({ name }) => name),
  ["dockerd", "docker", "containerd", "docker-init", "script"],
);
