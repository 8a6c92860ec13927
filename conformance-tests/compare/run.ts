/** Starts observe.ts where runtimes can be compared: a mount namespace of its own, and a view of cgroups that all can use. */
import { spawnSync } from "node:child_process";
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
import { cgroupMode } from "./host.ts";
import type { Observation, Request, Runtime } from "./observe.ts";
import { dockerProfile } from "./profiles.ts";

const project = resolve(__dirname, "../..");

/** A program by name or path; root's folders may not be in PATH. */
export function findRuntime(name: string): Runtime | undefined {
  if (name === "tsrun") return { name, path: join(project, "bin/tsrun") };
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  const path = folders.map((folder) => join(folder, name)).find((each) => existsSync(each));
  return path === undefined ? undefined : { name, path };
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

/** Runs bundles with runtimes; `unified`: with cgroup v2 alone. */
export function observeAll(bundles: readonly string[], runtimes: readonly Runtime[], unified = false): Observation[] {
  const folder = mkdtempSync("/tmp/tsrun-compare-");
  try {
    chmodSync(folder, 0o755);
    // Here, where there is a network.
    dockerProfile();
    const [work, template, output, file] = ["run", "template", "observations", "request"].map((name) =>
      join(folder, name),
    ) as [string, string, string, string];
    mkdirSync(work);
    makeTemplate(template);
    writeFileSync(output, "");
    const request: Request = { bundles, runtimes, work, template, output };
    writeFileSync(file, JSON.stringify(request));
    const mode = cgroupMode();
    const view = mode !== "hybrid" ? "host" : unified ? "v2" : "v1";
    const program = [process.execPath, join(project, "scripts/ts.cjs"), join(__dirname, "observe.ts"), file];
    const ran = spawnSync(
      "unshare",
      [
        "--mount",
        "--net",
        "--propagation",
        "private",
        "--",
        join(project, "scripts/bench/cgroup-view"),
        view,
        ...program,
      ],
      { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 24 },
    );
    if (ran.status !== 0)
      throw new Error(`observe.ts: status ${ran.status} ${ran.signal ?? ""}\n${ran.stdout}${ran.stderr}`);
    return readFileSync(output, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Observation);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
