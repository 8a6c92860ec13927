import { runScenarios } from "../scenarios.ts";
import { Containerd } from "./engine.ts";
import { scenarios } from "./scenarios.ts";

runScenarios(scenarios, Containerd.start);
