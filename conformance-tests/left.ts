/** What an engine or a runtime may leave on the host, each as a line of text that names it. Caches have "@" in their names. */
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { processes, until } from "./scenarios.ts";

/** Processes whose command line has the word. */
export function leftProcesses(word: string): readonly string[] {
  return processes()
    .filter(({ command }) => command.includes(word))
    .map(({ pid, command }) => `process ${pid} ${command}`);
}

/** Where file systems are mounted below a folder. */
export function mountPoints(folder: string): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((at) => at.startsWith(`${folder}/`));
}

/** Mounts below a folder but those at `kept`. */
export function leftMounts(folder: string, kept?: RegExp): readonly string[] {
  return mountPoints(folder)
    .filter((at) => kept?.test(at) !== true)
    .map((at) => `mount ${at}`);
}

/** A cgroup in every hierarchy that has it, as paths. */
function inHierarchies(cgroup: string): readonly string[] {
  const hierarchies = readdirSync("/sys/fs/cgroup", { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return ["/sys/fs/cgroup", ...hierarchies.map(({ name }) => join("/sys/fs/cgroup", name))]
    .map((at) => join(at, cgroup))
    .filter((at) => existsSync(at));
}

/** Cgroups below one that stays. */
export function leftCgroups(parent: string): readonly string[] {
  return inHierarchies(parent).flatMap((at) =>
    readdirSync(at, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `cgroup ${at}/${name}`),
  );
}

/** Removes a cgroup and those below it from every hierarchy, as soon as nobody is in them. */
export async function removeCgroups(path: string): Promise<void> {
  const below = (at: string): readonly string[] => [
    ...readdirSync(at, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? below(join(at, entry.name)) : [],
    ),
    at,
  ];
  const all = inHierarchies(path).flatMap(below);
  await until(`the end of all in ${path}`, () =>
    all.every((at) => readFileSync(join(at, "cgroup.procs"), "utf8") === ""),
  );
  for (const at of all) rmdirSync(at);
}

/** Containers in a state root of the runtime's. */
export function leftStates(root: string): readonly string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .filter((name) => !name.startsWith("@"))
    .map((name) => `state ${root}/${name}`);
}
