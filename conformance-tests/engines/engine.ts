/** Engines with docker's command line: what their scenarios ask of them. */
import { IMAGE } from "../busybox-image.ts";
import { type Ended, type ExecuteOptions, execute, until } from "../scenarios.ts";

export abstract class Engine {
  /** The runtime under test. */
  readonly runtime: string;
  /** A folder for all that the engine and the scenarios write. */
  readonly work: string;
  #count = 0;

  protected constructor(runtime: string, work: string) {
    this.runtime = runtime;
    this.work = work;
  }

  /** The exit status of `run` when the runtime cannot make the container. */
  abstract readonly cannotCreate: number;
  /** The exit status of `exec` with a program that is not there. */
  abstract readonly missingInExec: number;
  /** What `top` takes to show process id and arguments. */
  abstract readonly topColumns: readonly string[];

  /** The engine's program and its arguments for a command of the scenario's. */
  abstract command(args: readonly string[]): readonly [string, ...string[]];
  abstract environment(): NodeJS.ProcessEnv;
  /** The options of a new container besides a scenario's own; there is no network but "none" and "host". */
  protected abstract usual(flags: readonly string[]): readonly string[];
  /** The name of a container's cgroup. */
  abstract cgroupName(id: string): string;
  /** What is left besides what can be listed and removed. */
  protected abstract left(): readonly string[];
  /** Kinds of what can be left, with the commands that list and remove them. */
  protected abstract readonly kinds: readonly (readonly [string, readonly string[], readonly string[]])[];
  abstract close(): Promise<void>;

  /** Runs a command to its end. */
  call(args: readonly string[], options: ExecuteOptions = {}): Promise<Ended> {
    const [program, ...all] = this.command(args);
    return execute(program, all, { ...options, env: this.environment() });
  }

  /** Runs a command, expects success and gives its standard output. */
  async ok(args: readonly string[], options: ExecuteOptions = {}): Promise<string> {
    const { status, signal, stdout, stderr } = await this.call(args, options);
    if (status !== 0) {
      const [program] = this.command([]);
      throw new Error(`${program} ${args.join(" ")}: status ${status} ${signal ?? ""}\n${stdout}${stderr}`);
    }
    return stdout;
  }

  name(): string {
    return `c${++this.#count}`;
  }

  /** The arguments of `run` with the tests' image, or another. */
  run(flags: readonly string[], ...program: readonly string[]): string[] {
    return this.runImage(IMAGE, flags, ...program);
  }

  runImage(image: string, flags: readonly string[], ...program: readonly string[]): string[] {
    return ["run", ...this.usual(flags), ...flags, image, ...program];
  }

  /** The arguments of `create`. */
  create(flags: readonly string[], ...program: readonly string[]): string[] {
    return ["create", ...this.usual(flags), ...flags, IMAGE, ...program];
  }

  /** Starts a container in the background and gives its name. */
  async detached(flags: readonly string[], ...program: readonly string[]): Promise<string> {
    const name = this.name();
    await this.ok(this.run(["--detach", "--name", name, ...flags], ...program));
    return name;
  }

  async inspect(name: string, format: string): Promise<string> {
    return (await this.ok(["inspect", "--format", format, name])).trim();
  }

  async remove(name: string): Promise<void> {
    await this.ok(["rm", "--force", name]);
  }

  /** Removes what a scenario has left and tells what it was: with a right runtime, nothing. */
  async leftovers(): Promise<readonly string[]> {
    const left: string[] = [];
    for (const [kind, list, remove] of this.kinds) {
      for (const id of (await this.ok(list)).split("\n").filter((name) => name !== "")) {
        left.push(`${kind} ${id}`);
        await this.call([...remove, id]);
      }
    }
    // The engine's helpers clean up after the command has its answer.
    await until("nothing to be left", () => this.left().length === 0, 30).catch(() => left.push(...this.left()));
    return left;
  }
}
