/** Finds programs: runtimes under test and what the suites need. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, realpathSync } from "node:fs";
import { basename, delimiter, join, resolve } from "node:path";
import type { Runtime } from "./outcome.ts";

/** The path of a program that is given by path or by name, which root's folders may have too. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  const candidates = name.includes("/") ? [resolve(name)] : folders.map((folder) => join(folder, name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function findRuntime(name: string): Runtime {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`no such runtime: ${name}`);
  const version = spawnSync(path, ["--version"], { encoding: "utf8" });
  if (version.status !== 0) throw new Error(`${path} --version: ${version.stderr}`);
  return {
    name: basename(name),
    path: realpathSync(path),
    version: /version[: ]+(\S+)/.exec(version.stdout)?.[1] ?? version.stdout.trim(),
  };
}
