/** Starts observe.ts where runtimes can be compared: a mount namespace of its own, and a view of cgroups that all can use. */
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join, resolve } from "node:path";
import type { Bundle } from "./bundle.ts";
import { cgroupMode } from "./host.ts";
import type { Observation, Request, Runtime } from "./observe.ts";
import { findProfile } from "./profiles.ts";

const project = resolve(__dirname, "../..");

/**
 * A runtime by name, as itself or as another program (`runc=runc-newer`). A newer one is taken where there is one, unless
 * asked otherwise; root's folders may not be in PATH.
 */
export function findRuntime(asked: string): Runtime | undefined {
  const [name = asked, program] = asked.split("=");
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  const candidates =
    name === "tsrun"
      ? [join(project, "bin/tsrun")]
      : (program === undefined ? [`${name}-newer`, name] : [program]).flatMap((each) =>
          each.includes("/") ? [resolve(each)] : folders.map((folder) => join(folder, each)),
        );
  const path = candidates.find((each) => existsSync(each));
  if (path === undefined) return undefined;
  const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
  return { name, path, version: /version[: ]+(\d[\d.]*)/.exec(stdout)?.[1] ?? "0" };
}

/** The probe, compiled when its source is newer. */
function probe(): string {
  const source = join(__dirname, "probe.c");
  const program = join(project, "build/compare/probe");
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return program;
  mkdirSync(join(project, "build/compare"), { recursive: true });
  const made = spawnSync("cc", ["-static", "-O1", "-Wall", "-Wextra", "-Werror", source, "-o", program], {
    encoding: "utf8",
  });
  if (made.status !== 0) throw new Error(`the probe could not be compiled: ${made.stderr}`);
  return program;
}

function makeTemplate(folder: string): void {
  for (const name of ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "run", "var"])
    mkdirSync(join(folder, name), { recursive: true });
  chmodSync(folder, 0o755);
  chmodSync(join(folder, "tmp"), 0o1777);
  cpSync("/bin/busybox", join(folder, "bin/busybox"));
  for (const name of ["sh", "true", "sleep", "cat", "echo", "ls", "mount", "id", "hostname", "date"])
    symlinkSync("busybox", join(folder, "bin", name));
  cpSync(probe(), join(folder, "probe"));
  writeFileSync(
    join(folder, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n",
  );
  writeFileSync(join(folder, "etc/group"), "root:x:0:\nuser:x:1000:\n");
}

/** Bundles that share a view of the cgroups, in as many processes at once as keep two processors busy. */
const SHARDS = 3;

/** Runs bundles with runtimes, a bundle with all of them in one process. */
export async function observeAll(bundles: readonly Bundle[], runtimes: readonly Runtime[]): Promise<Observation[]> {
  // Here, where there is a network.
  findProfile("docker");
  probe();
  const shards = [false, true].flatMap((unified) => {
    const names = bundles.filter((bundle) => (bundle.unified ?? false) === unified).map(({ name }) => name);
    return Array.from({ length: SHARDS }, (_, shard) => ({
      unified,
      names: names.filter((_, i) => i % SHARDS === shard),
    })).filter(({ names: some }) => some.length > 0);
  });
  const observations: Observation[] = [];
  const queue = [...shards];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift())
      observations.push(...(await observeSome(next.names, runtimes, next.unified)));
  };
  await Promise.all(Array.from({ length: SHARDS }, worker));
  return observations;
}

async function observeSome(
  bundles: readonly string[],
  runtimes: readonly Runtime[],
  unified: boolean,
): Promise<Observation[]> {
  const folder = mkdtempSync("/tmp/tsrun-compare-");
  try {
    chmodSync(folder, 0o755);
    const inside = (name: string): string => join(folder, name);
    mkdirSync(inside("run"));
    makeTemplate(inside("template"));
    mkdirSync(inside("probe"));
    cpSync(probe(), inside("probe/probe"));
    writeFileSync(inside("observations"), "");
    const request: Request = {
      bundles,
      runtimes,
      work: inside("run"),
      template: inside("template"),
      probe: inside("probe"),
      output: inside("observations"),
    };
    writeFileSync(inside("request"), JSON.stringify(request));
    const mode = cgroupMode();
    const view = mode !== "hybrid" ? "host" : unified ? "v2" : "v1";
    await inView(view, [
      process.execPath,
      join(project, "scripts/ts.cjs"),
      join(__dirname, "observe.ts"),
      inside("request"),
    ]);
    return readFileSync(inside("observations"), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Observation);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs a program with a view of the cgroups, in mount and network namespaces of its own; rejects when it fails. */
function inView(view: string, program: readonly string[]): Promise<void> {
  const args = ["--mount", "--net", "--propagation", "private", "--"];
  const child = spawn("unshare", [...args, join(project, "scripts/bench/cgroup-view"), view, ...program], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) =>
      status === 0 ? resolve() : reject(new Error(`observe.ts: status ${status} ${signal ?? ""}\n${said}`)),
    );
  });
}
