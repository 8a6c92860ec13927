import { runScenarios } from "../scenarios.ts";
import { copyEtc, Docker } from "./engine.ts";
import { scenarios } from "./scenarios.ts";

runScenarios(scenarios, (runtime, work) => {
  copyEtc(work);
  return Docker.start(runtime, work);
});
