import { join } from "node:path";
import type { Suite } from "../outcome.ts";
import { scenarioSuite } from "../scenarios.ts";
import { scenarios } from "./scenarios.ts";

export const podmanSuite: Suite = scenarioSuite(
  "podman",
  join(__dirname, "inside.ts"),
  scenarios.map(({ name }) => name),
  ["podman", "conmon", "catatonit", "script"],
);
