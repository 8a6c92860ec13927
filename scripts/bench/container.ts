/** A container under one of the runtimes: the command lines, and what can be seen of its init. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Bench } from "./bench.ts";
import type { Measurable } from "./programs.ts";
import { sleepMs } from "./stopwatch.ts";

export type Operation = "run" | "create" | "state" | "start" | "exec" | "kill" | "delete";

export class Container {
  readonly id: string;
  readonly #program: readonly string[];
  readonly #bundle: string;

  constructor(bench: Bench, runtime: Measurable, id: string, bundle: string) {
    this.id = id;
    this.#program = programOf(bench, runtime);
    this.#bundle = bundle;
  }

  command(operation: Operation): readonly string[] {
    const arguments_: Readonly<Record<Operation, readonly string[]>> = {
      run: ["run", "--bundle", this.#bundle, this.id],
      create: ["create", "--bundle", this.#bundle, this.id],
      state: ["state", this.id],
      start: ["start", this.id],
      exec: ["exec", this.id, "/bin/true"],
      kill: ["kill", this.id, "KILL"],
      delete: ["delete", this.id],
    };
    return [...this.#program, ...arguments_[operation]];
  }

  get runDetached(): readonly string[] {
    return [...this.#program, "run", "--detach", "--bundle", this.#bundle, this.id];
  }
  get deleteForced(): readonly string[] {
    return [...this.#program, "delete", "--force", this.id];
  }

  /** Throws when there is no such container. */
  state(): { readonly pid: number; readonly status: string } {
    const [program = "", ...args] = this.command("state");
    return JSON.parse(execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }));
  }
}

/** The runtime with a state directory of its own. */
export function programOf(bench: Bench, { name, path }: Measurable): readonly string[] {
  return [path, "--root", join(bench.options.work, `state-${name}`)];
}

/** Waits until a killed process is gone or a zombie; by looking, since it is no child of ours. */
export function waitGone(pid: number): void {
  for (let i = 0; i < 10_000; i++) {
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ESRCH") return;
      throw error;
    }
    if (stat.charAt(stat.lastIndexOf(")") + 2) === "Z") return;
    sleepMs(1);
  }
  throw new Error(`process ${pid} survives SIGKILL`);
}

export interface Memory {
  readonly residentKib: number;
  /** What would be free if it ended: pages that nobody else maps. */
  readonly privateKib: number;
  /** Private pages, and its share of the others. */
  readonly proportionalKib: number;
}

/** From proc_pid_smaps(5)'s roll-up. */
export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1]);
  return {
    residentKib: field("Rss"),
    privateKib: field("Private_Clean") + field("Private_Dirty"),
    proportionalKib: field("Pss"),
  };
}
