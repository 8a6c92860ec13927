import type { EngineSuite } from "../scenarios.ts";
import { copyEtc, Docker } from "./engine.ts";
import { scenarios } from "./scenarios.ts";

export const docker: EngineSuite<Docker> = {
  name: "docker",
  programs: ["dockerd", "docker", "containerd", "docker-init", "script"],
  scenarios,
  start: (runtime, work) => {
    copyEtc(work);
    return Docker.start(runtime, work);
  },
};
