import { containerId } from "../../core/brands.ts";
import { TsrunError } from "../../core/errors.ts";
import { checkpoint } from "../../lifecycle/checkpoint.ts";
import { defineCommand, positional } from "../command.ts";
import { faultOption } from "../fault.ts";
import { checkpointOptions, criuOptions, paths } from "./checkpoint-options.ts";
import { withTrace } from "./create-options.ts";

export const command = defineCommand({
  usage: "<id>",
  options: {
    ...checkpointOptions,
    "parent-path": { type: "text", describe: "earlier image, of --pre-dump: ../NAME, relative to --image-path" },
    "leave-running": { type: "flag", describe: "let the container go on" },
    "link-remap": { type: "flag", describe: "keep open files whose name was removed, by one of CRIU's" },
    "tcp-skip-in-flight": { type: "flag", describe: "leave out TCP connections that are being made or ended" },
    "pre-dump": { type: "flag", describe: "save the memory only, and let the container go on" },
    "page-server": { type: "text", describe: "ADDRESS:PORT to send the memory to" },
    "status-fd": { type: "text", describe: "descriptor that gets a zero byte when lazy pages can be fetched" },
    ...faultOption,
  },
  positionals: [1, 1],
  run(parsed, { context }) {
    const { options } = parsed;
    const request = {
      id: containerId(positional(parsed, 0)),
      ...paths(options),
      options: {
        ...criuOptions(options),
        preDump: options["pre-dump"],
        leaveRunning: options["leave-running"],
        linkRemap: options["link-remap"],
        tcpSkipInFlight: options["tcp-skip-in-flight"],
        parentPath: options["parent-path"] || undefined,
        pageServer: pageServer(options["page-server"]),
        statusFd: statusFd(options["status-fd"]),
      },
    };
    withTrace(options, context, (faulty) => checkpoint(faulty, request));
    return 0;
  },
});

/** 0 for none, which runc's callers write as -1. */
function statusFd(text: string | undefined): number {
  if (text === undefined || text === "" || text === "-1") return 0;
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new TsrunError("usage", `--status-fd: ${JSON.stringify(text)} is not the number of a descriptor`);
  }
  return Number(text);
}

const MAX_PORT = 0xffff;

/** `ADDRESS:PORT`, an IPv6 address in brackets. */
function pageServer(text: string | undefined): { readonly address: string; readonly port: number } | undefined {
  if (text === undefined || text === "") return undefined;
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain;
  const port = Number(digits);
  if (address === undefined || !(port >= 1 && port <= MAX_PORT)) {
    throw new TsrunError("usage", `--page-server: ${JSON.stringify(text)} is not ADDRESS:PORT`);
  }
  return { address, port };
}
