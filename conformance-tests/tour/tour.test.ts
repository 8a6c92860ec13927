/**
 * docs/from-scratch.md: every command of it is run, in one session from its beginning to its end, and has to say what the
 * document says. It runs in mount, pid and cgroup namespaces of its own (conformance-tests/isolated), on a file system in memory.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun, RUNTIME } from "../harness.ts";
import { host } from "../host.ts";
import { type Command, matches, readBlocks } from "./transcript.ts";

const project = resolve(__dirname, "../..");
const version = host.v1Controller("memory") ? "v1" : "v2";
const blocks = readBlocks(readFileSync(resolve(project, "docs/from-scratch.md"), "utf8"));
const here = blocks.filter((block) => block.host === undefined || block.host === version);
const TIME_LIMIT_MS = 600_000;

/** Between what two commands print; bash's number of a job that it starts is not of a script's output. */
const mark = "@@ end of command ";

/** What each command printed; undefined for those that were not reached. */
function runAll(commands: readonly Command[], work: string): (string | undefined)[] {
  const prepare = [
    `mount -t tmpfs -o mode=755 tour ${work}`,
    "mount -t tmpfs -o mode=755 store /var/lib",
    `cd ${work}`,
  ];
  const input = [...prepare, ...commands.map(({ text }) => text)].map((text) => `${text}\necho '${mark}'\n`).join("");
  const isolated = resolve(project, "conformance-tests/isolated");
  // One stream for all, in the order in which it is written.
  const { stdout, error } = spawnSync(isolated, ["--cgroups", version, "bash", "-c", "exec bash 2>&1"], {
    input,
    encoding: "utf8",
    timeout: TIME_LIMIT_MS - 10_000,
    env: { PATH: `${dirname(RUNTIME)}:${process.env.PATH}`, TSRUN: project, LC_ALL: "C.UTF-8", HOME: "/root" },
  });
  if (error !== undefined && stdout === "") throw error;
  const outputs = stdout.split(`${mark}\n`);
  // What was printed behind the last mark belongs to a command that did not end.
  return commands.map((_, i) => (prepare.length + i < outputs.length - 1 ? outputs[prepare.length + i] : undefined));
}

// skipped for a peer: the document is about tsrun
(isTsrun ? describe : describe.skip)("docs/from-scratch.md", () => {
  let work: string;
  let printed: Map<Command, string | undefined>;
  beforeAll(() => {
    work = mkdtempSync("/tmp/tsrun-tour-");
    const commands = here.flatMap((block) => block.commands);
    const outputs = runAll(commands, work);
    printed = new Map(commands.map((command, i) => [command, outputs[i]]));
  }, TIME_LIMIT_MS);
  afterAll(() => rmSync(work, { recursive: true }));

  test.each(here.map((block) => [`${block.heading}, line ${block.line}`, block] as const))("%s", (_, { commands }) => {
    for (const { text, expected, line, ...command } of commands) {
      const output = printed.get(commands.find((each) => each.line === line) as Command);
      if (output !== undefined && matches(expected, output)) continue;
      expect({ line, text, ...command, printed: output?.split("\n") }).toEqual({
        line,
        text,
        printed: [...expected, ""],
      });
    }
  });

  test("both versions of cgroups are told, and the host is as it was", () => {
    expect(new Set(blocks.map((block) => block.host))).toEqual(new Set([undefined, "v1", "v2"]));
    expect(existsSync(`${work}/tour`)).toBe(false);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(work);
  });
});
