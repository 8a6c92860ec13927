/** All commands: a line for the help, and where each is. Only the one that is called is evaluated. */
import type { Command } from "./command.ts";

interface Entry {
  readonly summary: string;
  load(): Promise<{ readonly command: Command }>;
}

export const commands: Readonly<Record<string, Entry>> = {
  create: { summary: "make a container from a bundle; it waits for start", load: () => import("./commands/create.ts") },
  start: { summary: "run the program of a created container", load: () => import("./commands/start.ts") },
  run: { summary: "create, start and wait for the end", load: () => import("./commands/run.ts") },
  exec: { summary: "run another program in a container", load: () => import("./commands/exec.ts") },
  ps: { summary: "list the processes of a container", load: () => import("./commands/ps.ts") },
  pause: { summary: "stop every process of a container", load: () => import("./commands/pause.ts") },
  resume: { summary: "let a paused container go on", load: () => import("./commands/resume.ts") },
  update: { summary: "change the limits of a container", load: () => import("./commands/update.ts") },
  events: { summary: "print statistics and OOM events of a container", load: () => import("./commands/events.ts") },
  state: { summary: "print the state of a container", load: () => import("./commands/state.ts") },
  list: { summary: "list the containers", load: () => import("./commands/list.ts") },
  explain: {
    summary: "compare what a container is configured to be with what the kernel says it is",
    load: () => import("./commands/explain.ts"),
  },
  kill: { summary: "send a signal to a container", load: () => import("./commands/kill.ts") },
  delete: { summary: "remove what is left of a container", load: () => import("./commands/delete.ts") },
  checkpoint: {
    summary: "write a running container into an image (CRIU)",
    load: () => import("./commands/checkpoint.ts"),
  },
  restore: { summary: "make a container from such an image", load: () => import("./commands/restore.ts") },
  bundle: { summary: "make a bundle of an image, or remove one", load: () => import("./commands/bundle.ts") },
  unpack: { summary: "unpack an image or a root file system", load: () => import("./commands/unpack.ts") },
  gc: { summary: "undo what a tsrun that was killed has left", load: () => import("./commands/gc.ts") },
  spec: { summary: "write a config.json to begin with", load: () => import("./commands/spec.ts") },
  validate: { summary: "print every problem of a bundle's config.json", load: () => import("./commands/validate.ts") },
  plan: { summary: "print every step that create would take, and take none", load: () => import("./commands/plan.ts") },
  features: { summary: "print what this runtime can do", load: () => import("./commands/features.ts") },
};
