/** node scripts/ts.cjs conformance-tests/inside.ts SUITE RUNTIME SCENARIO…: runs scenarios; `scenarioSuite` starts it in `isolated`. */
import { containerd, containerdSystemd } from "./containerd/suite.ts";
import { docker } from "./docker/suite.ts";
import { podman } from "./podman/suite.ts";
import { runScenarios } from "./scenarios.ts";

const [name, runtime, ...wanted] = process.argv.slice(2);
if (runtime === undefined) throw new Error("which suite, and which runtime?");
switch (name) {
  case containerd.name:
    runScenarios(containerd, runtime, wanted);
    break;
  case containerdSystemd.name:
    runScenarios(containerdSystemd, runtime, wanted);
    break;
  case podman.name:
    runScenarios(podman, runtime, wanted);
    break;
  case docker.name:
    runScenarios(docker, runtime, wanted);
    break;
  default:
    throw new Error(`no suite ${name}`);
}
