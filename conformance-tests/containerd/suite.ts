import { join } from "node:path";
import type { Suite } from "../outcome.ts";
import { scenarioSuite } from "../scenarios.ts";
import { scenarios } from "./scenarios.ts";

export const containerdSuite: Suite = scenarioSuite(
  "containerd",
  join(__dirname, "inside.ts"),
  scenarios.map(({ name }) => name),
  ["containerd", "ctr", "script"],
);
