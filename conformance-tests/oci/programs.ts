/** Runs the programs of the OCI runtime validation suite and reads what they print. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type CaseResult, isolatedArguments, type Outcome, type Runtime, type Suite } from "../outcome.ts";
import { expectations, racing } from "./expected.ts";

const buildFolder = resolve(__dirname, "../../build/oci");
const suiteFolder = join(buildFolder, "suite");
const isolated = resolve(__dirname, "../isolated");
/** For what hangs. The longest takes 20 s on an idle machine, and emulated ones are up to six times slower. */
const TIMEOUT_SECONDS = 300;
const RACE_ATTEMPTS = 3;

export const ociSuite: Suite = {
  name: "oci",
  caseNames: () => Object.keys(expectations),
  prepare: () => {
    if (!["x64", "ia32"].includes(process.arch)) return `the suite has no root file system for ${process.arch}`;
    const built = spawnSync(join(__dirname, "build"), [buildFolder], { stdio: ["ignore", "inherit", "inherit"] });
    if (built.status !== 0) throw new Error("the validation programs cannot be built");
    const programs = readdirSync(join(suiteFolder, "validation")).filter((name) => existsSync(programPath(name)));
    const unknown = programs.filter((name) => expectations[name] === undefined);
    if (unknown.length > 0) throw new Error(`expected.ts lacks ${unknown.join(", ")}`);
    return undefined;
  },
  run: async (runtime, names, report) => {
    for (const name of names) {
      let result = runProgram(runtime, name);
      for (
        let again = 0;
        again < RACE_ATTEMPTS && racing[name] !== undefined && result.outcome.kind === "failed";
        again++
      ) {
        result = runProgram(runtime, name);
      }
      await report(result);
    }
  },
  judge: async (runtime, result) => judge(runtime, result),
};

function judge(runtime: Runtime, { name, outcome }: CaseResult): Outcome {
  const expectation = expectations[name];
  if (expectation === undefined) throw new Error(`expected.ts lacks ${name}`);
  if (runtime.name === "runc" || runtime.name === "crun") {
    // A peer of another version may do better, and nobody has to repair it.
    const failsAsSeen = outcome.kind === "failed" && expectation[runtime.name] === "failed";
    return failsAsSeen ? { kind: "skipped", reason: `${runtime.name} is known to fail` } : outcome;
  }
  const race = racing[name];
  if (race !== undefined && outcome.kind === "failed" && race.detail.test(outcome.detail)) {
    return { kind: "skipped", reason: race.reason };
  }
  const reason = expectation.impossible(runtime);
  if (reason === undefined || outcome.kind === "skipped") return outcome;
  if (outcome.kind === "failed") return { kind: "skipped", reason };
  return { kind: "failed", detail: `passes, but expected.ts says that it cannot: ${reason}` };
}

function programPath(name: string): string {
  return join(suiteFolder, "validation", name, `${name}.t`);
}

function runProgram(runtime: Runtime, name: string): CaseResult {
  // On a file system of the host, not below a private mount: the containers' bundles are there.
  const work = mkdtempSync("/tmp/tsrun-oci-");
  // Containers in user namespaces come through here.
  chmodSync(work, 0o755);
  try {
    mkdirSync(join(work, "state"), { mode: 0o700 });
    mkdirSync(join(work, "bundles"));
    // The programs call "$RUNTIME create …" without global options.
    const wrapper = join(work, "runtime");
    writeFileSync(wrapper, `#!/bin/sh\nexec '${runtime.path}' --root '${join(work, "state")}' "$@"\n`, { mode: 0o755 });
    const begin = process.hrtime.bigint();
    // One program's leaked mounts or cgroups must not reach the next one, so each is isolated.
    const ended = spawnSync(
      isolated,
      [...isolatedArguments(runtime), "timeout", "-k", "5", String(TIMEOUT_SECONDS), programPath(name)],
      {
        cwd: suiteFolder,
        encoding: "utf8",
        env: { PATH: process.env.PATH, HOME: work, RUNTIME: wrapper, TMPDIR: join(work, "bundles") },
        stdio: ["ignore", "pipe", "pipe"],
        maxBuffer: 64 * 1024 * 1024,
      },
    );
    const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
    if (ended.error !== undefined) throw ended.error;
    return { name, seconds, outcome: read(ended.status, ended.stdout, ended.stderr) };
  } finally {
    // The mounts of this path are gone with the mount namespace.
    rmSync(work, { recursive: true, force: true });
  }
}

/** What a program's output and exit status say together. */
export function read(status: number | null, stdout: string, stderr: string): Outcome {
  const lines = stdout.split("\n");
  const failed = lines.filter((line) => line.startsWith("not ok ") && !/# *todo/i.test(line));
  const skipped = lines.filter((line) => /^ok .*# *skip/i.test(line));
  const passed = lines.filter((line) => line.startsWith("ok ") && !skipped.includes(line));
  // Some programs print no result at all when they fail, only the data that goes with one.
  const errors = lines.filter((line) => /^ +"error": *"./.test(line));
  const diagnostics = [...errors.map((line) => line.trim()), stderr.trim()].filter((text) => text !== "").join("\n");
  if (status === 124 || status === 137) {
    return { kind: "failed", detail: `did not end within ${TIMEOUT_SECONDS} s` };
  }
  if (failed.length > 0) {
    return { kind: "failed", detail: [...failed, diagnostics].join("\n") };
  }
  if (status !== 0) return { kind: "failed", detail: `exit status ${status}\n${diagnostics}` };
  if (passed.length === 0 && skipped.length === 0 && errors.length > 0) return { kind: "failed", detail: diagnostics };
  if (passed.length === 0 && skipped.length > 0) {
    return { kind: "skipped", reason: skipped[0]?.replace(/.*# *skip */i, "") ?? "" };
  }
  return { kind: "passed" };
}
