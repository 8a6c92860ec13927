import { readFileSync } from "node:fs";
import { loadBundle } from "../../bundle/load.ts";
import { compileCreate } from "../../compile/create.ts";
import { containerId } from "../../core/brands.ts";
import { reasonOf } from "../../core/errno.ts";
import { TsrunError } from "../../core/errors.ts";
import { printableLines } from "../../core/printable.ts";
import { hostFactsFromJson, hostFactsToJson } from "../../host/facts-json.ts";
import { readHostFacts } from "../../host/read.ts";
import { writeAll } from "../../log/log.ts";
import { planToJson, renderPlan } from "../../plan/render.ts";
import { directoryOf, seccompCacheOf } from "../../state/store.ts";
import { defineCommand } from "../command.ts";

export const command = defineCommand({
  usage: "[bundle]",
  options: {
    id: { type: "text", describe: "id of the container (default: plan)" },
    config: { type: "text", alias: "f", describe: "another file than config.json, relative to the bundle" },
    json: { type: "flag", describe: "as JSON" },
    "host-facts": { type: "text", describe: "read what is to be known of the host from this file, not from the host" },
    "print-host-facts": { type: "flag", describe: "print what is known of this host, for --host-facts" },
    "console-socket": { type: "text", describe: "as of create" },
    "pidfd-socket": { type: "text", describe: "as of create" },
    "no-pivot": { type: "flag", describe: "as of create" },
    "no-new-keyring": { type: "flag", describe: "as of create" },
    "preserve-fds": { type: "count", describe: "as of create" },
  },
  positionals: [0, 1],
  run({ options, positionals }, { context }) {
    const facts =
      options["host-facts"] === undefined
        ? readHostFacts({ resctrl: true, systemd: context.cgroupManager === "systemd" })
        : factsOf(options["host-facts"]);
    if (options["print-host-facts"]) {
      writeAll(1, `${hostFactsToJson(facts)}\n`);
      return 0;
    }
    const id = containerId(options.id ?? "plan");
    const { bundle, rootfs, config } = loadBundle(positionals[0] ?? ".", options.config);
    const socket = options["console-socket"];
    const { plan, warnings } = compileCreate({
      id,
      bundle,
      rootfs,
      config,
      facts,
      options: {
        // Without a socket the terminal is one of run's: a plan is for reading.
        console: socket !== undefined ? { kind: "socket", path: socket } : { kind: "pair" },
        noPivot: options["no-pivot"],
        noNewKeyring: options["no-new-keyring"],
        cgroupManager: context.cgroupManager,
        preserveFds: options["preserve-fds"] ?? 0,
        pidfdSocket: options["pidfd-socket"],
        stateDirectory: directoryOf(context.root, id),
        seccompCache: seccompCacheOf(context.root),
      },
    });
    for (const warning of warnings) context.log.warn(warning);
    writeAll(1, options.json ? `${planToJson(plan)}\n` : printableLines(renderPlan(plan)));
    return 0;
  },
});

function factsOf(path: string): ReturnType<typeof readHostFacts> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new TsrunError("usage", `cannot read ${path}: ${reasonOf(error)}`);
  }
  return hostFactsFromJson(text, path);
}
