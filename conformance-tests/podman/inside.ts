import { runScenarios } from "../scenarios.ts";
import { Podman } from "./engine.ts";
import { scenarios } from "./scenarios.ts";

runScenarios(scenarios, Podman.start);
