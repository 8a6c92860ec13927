import { checkId } from "../../compile/identity.ts";
import { containerId } from "../../core/brands.ts";
import { TsrunError } from "../../core/errors.ts";
import { exec } from "../../lifecycle/exec.ts";
import { defineCommand, positional } from "../command.ts";
import { faultOption } from "../fault.ts";
import { unlessEmpty } from "../options.ts";
import { withTrace } from "./create-options.ts";

/** What `exec` exits with when the program could not be started; the program's own statuses are its own. */
const EXEC_FAILED = 255;

export const command = defineCommand({
  usage: "<id> <program> [args…]",
  options: {
    process: { type: "text", alias: "p", describe: "file with the process as in config.json, instead of a program" },
    cwd: { type: "text", describe: "working directory in the container" },
    env: { type: "texts", alias: "e", describe: "NAME=VALUE to add to the environment; repeatable" },
    user: { type: "text", alias: "u", describe: "uid[:gid]" },
    "additional-gids": { type: "texts", alias: "g", describe: "additional group; repeatable" },
    tty: { type: "flag", alias: "t", describe: "with a terminal" },
    detach: { type: "flag", alias: "d", describe: "do not wait for the program's end" },
    cap: { type: "texts", alias: "c", describe: "capability to add; repeatable" },
    "no-new-privs": { type: "flag", describe: "set no_new_privs" },
    apparmor: { type: "text", describe: "AppArmor profile to run below, instead of the container's" },
    "process-label": { type: "text", describe: "SELinux label to run as, instead of the container's" },
    "pid-file": { type: "text", describe: "file to write the program's pid to" },
    "console-socket": { type: "text", describe: "unix socket that gets the terminal's master" },
    "pidfd-socket": { type: "text", describe: "unix socket that gets a pidfd of the program" },
    "preserve-fds": { type: "count", describe: "descriptors from 3 on that the program keeps" },
    cgroup: {
      type: "texts",
      describe: "cgroup below the container's for the program: PATH, or CONTROLLER[,CONTROLLER]:PATH (v1, repeatable)",
    },
    "ignore-paused": { type: "flag", describe: "also if the container is paused: wait until it is resumed" },
    trace: { type: "text", describe: "file for the times of all steps (Chrome trace)" },
    ...faultOption,
  },
  positionals: [1, Number.POSITIVE_INFINITY],
  halt: true,
  failureStatus: EXEC_FAILED,
  run(parsed, { context }) {
    const { options } = parsed;
    const args = parsed.positionals.slice(1);
    const socket = unlessEmpty(options["console-socket"]);
    if (options.process === undefined && args.length === 0) {
      throw new TsrunError("usage", "exec: no program is named", { advice: "tsrun exec <id> <program> [args…]" });
    }
    return withTrace(options, context, (faulty, trace) =>
      exec(
        faulty,
        {
          id: containerId(positional(parsed, 0)),
          process:
            options.process !== undefined
              ? { kind: "file", path: options.process }
              : {
                  kind: "overrides",
                  overrides: {
                    args,
                    env: options.env,
                    cwd: parseCwd(unlessEmpty(options.cwd)),
                    // An empty one is none that could be meant, and must not become root.
                    user: options.user === undefined ? undefined : parseUser(options.user),
                    additionalGids: options["additional-gids"].map((gid) => parseId(gid, "--additional-gids")),
                    capabilities: options.cap.map(capabilityName),
                    noNewPrivileges: options["no-new-privs"] ? true : undefined,
                    terminal: options.tty,
                    apparmorProfile: unlessEmpty(options.apparmor),
                    selinuxLabel: unlessEmpty(options["process-label"]),
                  },
                },
          console: socket !== undefined ? { kind: "socket", path: socket } : { kind: "none" },
          detach: options.detach,
          pidFile: unlessEmpty(options["pid-file"]),
          preserveFds: options["preserve-fds"] ?? 0,
          pidfdSocket: unlessEmpty(options["pidfd-socket"]),
          ignorePaused: options["ignore-paused"],
          cgroups: options.cgroup,
        },
        trace,
      ),
    );
  },
});

function parseCwd(path: string | undefined): string | undefined {
  if (path === undefined || path.startsWith("/")) return path;
  throw new TsrunError("usage", `--cwd: ${JSON.stringify(path)} is not an absolute path`);
}

/** Strictly a decimal number: what is not one must never become root (CVE-2016-3697). */
function parseId(text: string, what: string): number {
  if (!/^\d{1,10}$/.test(text)) {
    throw new TsrunError("usage", `${what}: ${JSON.stringify(text)} is not a number from 0 to 4294967295`, {
      advice: "names are the image's; a runtime takes numbers only",
    });
  }
  return checkId(Number(text), what);
}

function parseUser(text: string): { uid: number; gid: number | undefined } {
  const [uid = "", gid, ...rest] = text.split(":");
  if (rest.length > 0) throw new TsrunError("usage", `--user: ${JSON.stringify(text)} is not uid[:gid]`);
  return { uid: parseId(uid, "--user"), gid: gid === undefined ? undefined : parseId(gid, "--user") };
}

/** NET_ADMIN, net_admin and CAP_NET_ADMIN are one. */
function capabilityName(text: string): string {
  const name = text.toUpperCase();
  return name.startsWith("CAP_") ? name : `CAP_${name}`;
}
