// npm run bench -- [--suite NAME] [--runs N] [--rest MS] [--json FILE] [--runtimes tsrun,runc,crun] [--cgroups host|v1|v2]
// Measures tsrun beside its peers on this machine, all in one run, interleaved. Installs nothing: what is missing is named.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cgroupMode, describeHost, folder, Missing } from "./bench/lib.mjs";

/** One file a suite: `about`, `run(options)` → {text, data}. */
const suites = { cli: () => import("./bench/cli.mjs") };

const { values } = parseArgs({
  options: {
    suite: { type: "string", default: "cli" },
    runs: { type: "string", default: "30" },
    rest: { type: "string", default: "30" },
    json: { type: "string" },
    runtimes: { type: "string", default: "tsrun,runc,crun" },
    cgroups: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

async function main() {
  if (values.help) {
    console.log(
      "npm run bench -- [--suite NAME] [--runs N] [--rest MS] [--json FILE] [--runtimes A,B] [--cgroups host|v1|v2]",
    );
    for (const [name, load] of Object.entries(suites)) console.log(`  ${name.padEnd(8)} ${(await load()).about}`);
    return 0;
  }
  const load = suites[values.suite];
  const runs = Number(values.runs);
  const rest = Number(values.rest);
  if (load === undefined) throw new Missing(`no suite ${values.suite}: there is ${Object.keys(suites).join(", ")}`);
  if (!Number.isInteger(runs) || runs < 1) throw new Missing("--runs: a number from 1");
  if (!Number.isInteger(rest) || rest < 0) throw new Missing("--rest: milliseconds between two measurements");
  if (process.geteuid() !== 0) throw new Missing("root: containers with cgroups and devices are measured");

  // crun 1.8 refuses a hybrid host, so there everybody is measured with the v1 hierarchies alone.
  const view = values.cgroups ?? (cgroupMode() === "hybrid" ? "v1" : "host");
  if (view !== "host" && process.env.TSRUN_BENCH_VIEW === undefined) {
    const { status, signal } = spawnSync(
      join(folder, "cgroup-view"),
      [view, process.execPath, ...process.argv.slice(1)],
      { stdio: "inherit", env: { ...process.env, TSRUN_BENCH_VIEW: view } },
    );
    return signal === null ? (status ?? 1) : 1;
  }

  const host = describeHost();
  console.log(`${host.cpu}, ${host.cpus} CPUs, Linux ${host.kernel}, cgroups ${host.cgroups}, load ${host.load}`);
  const { text, data } = await (await load()).run({ runs, rest, runtimes: values.runtimes.split(",") });
  console.log(text);
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ suite: values.suite, host, ...data }, null, 2)}\n`);
  }
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 2;
}
