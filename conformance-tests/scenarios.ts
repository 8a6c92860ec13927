/**
 * Suites whose cases are scenarios: functions that drive a real container engine. They run inside `isolated`, in one process
 * that starts the engine once; this is both sides of it.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { type CaseResult, isolatedArguments, type Outcome, type Runtime, type Suite } from "./outcome.ts";
import { findProgram, findRuntime } from "./runtimes.ts";

/** What the inside prints, a line each; `ready` says that the engine runs. */
export type Line = { readonly kind: "ready" } | { readonly kind: "case"; readonly result: CaseResult };

/** What a scenario does with its engine; it throws when the engine or the runtime does something else. */
export interface Scenario<Engine> {
  readonly name: string;
  /** Commands of the runtime that the engine will call: without them the scenario is skipped. */
  readonly needs?: readonly string[];
  run(engine: Engine): Promise<void>;
}

/** What a scenario's engine must be able to do besides what the scenario asks for. */
export interface Closable {
  close(): Promise<void>;
  /** Removes what a scenario has left and tells what it was. */
  leftovers(): Promise<readonly string[]>;
}

/** A suite of scenarios: an engine and what is done with it. */
export interface EngineSuite<Engine extends Closable> {
  readonly name: string;
  /** The programs that it needs. */
  readonly programs: readonly string[];
  readonly scenarios: readonly Scenario<Engine>[];
  /** Starts an engine that keeps all that it writes in the folder `work`. */
  start(runtime: string, work: string): Promise<Engine>;
  /** What it drives asks systemd for cgroups: it runs among the host's processes and cgroups, since systemd knows no others. */
  readonly systemd?: true;
  /** What the host lacks besides programs. */
  missing?(): string | undefined;
}

/** The side that stays outside: starts inside.ts isolated and turns its lines into results. */
export function scenarioSuite<Engine extends Closable>(suite: EngineSuite<Engine>): Suite {
  const { name, programs, scenarios } = suite;
  const run: Suite["run"] = async (runtime, wanted, report) => {
    const inside = [resolve(__dirname, "../scripts/ts.cjs"), join(__dirname, "inside.ts"), name, runtime.path];
    const child = spawn(
      resolve(__dirname, "isolated"),
      [...(suite.systemd ? ["--systemd"] : isolatedArguments(runtime)), process.execPath, ...inside, ...wanted],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const ended = new Promise<number | null>((done, failed) => {
      child.once("error", failed);
      child.once("close", done);
    });
    for await (const text of createInterface({ input: child.stdout })) {
      const line = JSON.parse(text) as Line;
      if (line.kind === "case") await report(line.result);
    }
    const status = await ended;
    if (status !== 0) throw new Error(`${name}: the scenarios ended with status ${status}`);
  };
  return {
    name,
    caseNames: () => scenarios.map((scenario) => scenario.name),
    prepare: () => {
      const missing = programs.filter((program) => findProgram(program) === undefined);
      return missing.length === 0 ? suite.missing?.() : `not installed here: ${missing.join(", ")}`;
    },
    run,
    // Engines have races of their own (podman unmounts /dev/shm while it removes), so a failure is tried again, in an engine of
    // its own; and what runc cannot do here either is the engine's limit, or the host's.
    judge: async (runtime, result) => {
      const first = result.outcome;
      if (first.kind !== "failed") return first;
      const alone = async (other: Runtime): Promise<Outcome> => {
        let outcome: Outcome = { kind: "failed", detail: "no result" };
        await run(other, [result.name], async (again) => {
          outcome = again.outcome;
        });
        return outcome;
      };
      const second = await alone(runtime);
      if (second.kind === "passed")
        return { kind: "passed", note: `at the second attempt; the first: ${first.detail}` };
      if (runtime.name === "runc") return first;
      const reference = await alone({ ...runtime, ...findRuntime("runc") });
      if (reference.kind !== "failed") return first;
      return { kind: "skipped", reason: `runc fails too: ${reference.detail.split("\n")[0]}` };
    },
  };
}

/** The side inside: starts the engine, runs the scenarios, and checks after each that nothing is left of it. */
export async function runScenarios<Engine extends Closable>(
  { scenarios, start }: EngineSuite<Engine>,
  runtime: string,
  wanted: readonly string[],
): Promise<void> {
  const work = mkdtempSync("/tmp/tsrun-engine-");
  // Containers in user namespaces come through here.
  chmodSync(work, 0o755);
  // conmon leaves a file where podman is called.
  process.chdir(work);
  try {
    const engine = await start(runtime, work);
    try {
      print({ kind: "ready" });
      for (const scenario of scenarios.filter(({ name }) => wanted.includes(name))) {
        const begin = process.hrtime.bigint();
        const outcome = await runScenario(scenario, engine, runtime);
        const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
        print({ kind: "case", result: { name: scenario.name, outcome, seconds } });
      }
    } finally {
      await engine.close();
    }
  } finally {
    process.chdir("/");
    rmSync(work, { recursive: true, force: true });
  }
}

async function runScenario<Engine extends Closable>(
  scenario: Scenario<Engine>,
  engine: Engine,
  runtime: string,
): Promise<Outcome> {
  const missing = (scenario.needs ?? []).filter((command) => spawnSync(runtime, [command, "--help"]).status !== 0);
  if (missing.length > 0) return { kind: "skipped", reason: `the runtime has no ${missing.join(", ")}` };
  let failure: string | undefined;
  try {
    await scenario.run(engine);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  const left = await engine.leftovers();
  if (failure !== undefined) return { kind: "failed", detail: failure };
  return left.length === 0 ? { kind: "passed" } : { kind: "failed", detail: `left behind: ${left.join("\n")}` };
}

function print(line: Line): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** A program that runs until it is killed. */
export const FOREVER = ["sleep", "100000"] as const;

export const nap = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Polls until the condition holds; throws with `what` after `seconds`: for what never comes, as emulated machines are slow. */
export async function until(what: string, condition: () => Promise<boolean> | boolean, seconds = 60): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await nap(25);
  }
}

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecuteOptions {
  /** Given to the program at once; then its standard input ends. */
  readonly input?: string;
  /** Its standard input stays open until it has printed this; then it gets the text, and the end. */
  readonly answer?: { readonly after: RegExp; readonly text: string };
  readonly env?: NodeJS.ProcessEnv;
  /** What hangs must fail: five minutes are far more than any takes, also in an emulated machine. */
  readonly seconds?: number;
}

/** Runs a program to its end. */
export function execute(program: string, args: readonly string[], options: ExecuteOptions = {}): Promise<Ended> {
  return new Promise((done, failed) => {
    const child = spawn(program, args, {
      env: options.env ?? process.env,
      stdio: ["pipe", "pipe", "pipe"],
      timeout: (options.seconds ?? 300) * 1000,
      killSignal: "SIGKILL",
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (options.answer?.after.test(stdout) === true && !child.stdin.writableEnded)
        child.stdin.end(options.answer.text);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    // The program may end without having read it all.
    child.stdin.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") failed(error);
    });
    if (options.answer === undefined) child.stdin.end(options.input ?? "");
    child.once("error", failed);
    child.once("close", (status, signal) => done({ status, signal, stdout, stderr }));
  });
}

/** Signals a daemon and waits for its end. */
export async function end(daemon: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = new Promise((done) => daemon.once("close", done));
  daemon.kill(signal);
  await ended;
}

/** The processes of this pid namespace. */
export function processes(): readonly { readonly pid: number; readonly command: string }[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        return [
          { pid: Number(entry), command: readFileSync(`/proc/${entry}/cmdline`, "utf8").replaceAll("\0", " ").trim() },
        ];
      } catch (error) {
        if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
        throw error;
      }
    });
}

/** Waits until no process has this command line. */
export async function gone(what: string): Promise<void> {
  await until(`the end of ${what}`, () => processes().every(({ command }) => command !== what));
}

/** What a file of a process' cgroup says: `v1` in the hierarchy of the controller, or `v2`. */
export function cgroupFile(pid: number, controller: string, v1: string, v2: string): string {
  const cgroup = readFileSync(`/proc/${pid}/cgroup`, "utf8");
  const path = new RegExp(`^\\d+:(?:[\\w,]*,)?${controller}(?:,[\\w,]*)?:(.*)$`, "m").exec(cgroup)?.[1];
  const file =
    path === undefined
      ? join("/sys/fs/cgroup", /^0::(.*)$/m.exec(cgroup)?.[1] ?? "", v2)
      : join("/sys/fs/cgroup", controller, path, v1);
  return readFileSync(file, "utf8").trim();
}

/**
 * Runs a program in a terminal of 24 lines and 80 columns; `stdout` is all that it shows. It gets `answer` for its end: what
 * is typed earlier may be lost.
 */
export function inTerminal(
  command: readonly string[],
  answer: NonNullable<ExecuteOptions["answer"]>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
  const script = `stty rows 24 cols 80; ${command.map(quote).join(" ")}`;
  return execute("script", ["--quiet", "--return", "--command", script, "/dev/null"], {
    env: { ...env, SHELL: "/bin/sh" },
    answer,
  });
}
