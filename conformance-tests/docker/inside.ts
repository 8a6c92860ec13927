import { runScenarios } from "../scenarios.ts";
import { Docker } from "./engine.ts";
import { scenarios } from "./scenarios.ts";

runScenarios(scenarios, Docker.start);
