/**
 * tsrun killed (SIGKILL) at every step of its plans and at every point between them: what is left is cleaned by
 * `delete --force`, by `gc`, and does not block the next call.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun, RUNTIME, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const MB = 1_048_576;

interface PlanJson {
  readonly host: readonly { readonly kind: string }[];
  readonly container: readonly { readonly kind: string }[];
}

/** A bundle whose create has hooks on both sides, so that their steps are among those killed. */
const bundle = (program = "sleep 1000"): string =>
  box.bundle(program, (config) => {
    const hook = [{ path: "/bin/true", args: ["true"] }];
    config.hooks = {
      createRuntime: hook,
      createContainer: hook,
      startContainer: hook,
      poststart: hook,
      poststop: hook,
    };
  });

function killed(args: readonly string[], fault: string): void {
  const [command, ...rest] = args;
  const result = box.run([command as string, "--test-fault", fault, ...rest]);
  if (result.status !== null)
    throw new Error(`${args.join(" ")} was not killed at ${fault}: ${JSON.stringify(result)}`);
}

/** By turns the ways to clean up. */
const cleaners = [
  (id: string) => box.ok(["delete", "--force", id]),
  () => box.ok(["gc"]),
  (id: string, from: string) => {
    // The next create with the same id.
    const again = box.run(["create", "--bundle", from, id]);
    if (again.status === 0) box.ok(["delete", "--force", id]);
    else throw new Error(`the next create was blocked: ${again.stderr}`);
  },
];

(isTsrun ? describe : describe.skip)("killed at any moment", () => {
  test("create: every step, then delete --force, gc or the next create leaves nothing", () => {
    const from = bundle();
    const plan = JSON.parse(box.ok(["plan", "--json", from]).stdout) as PlanJson;
    const gate = plan.container.findIndex(({ kind }) => kind === "gate.wait");
    const faults = [
      ...plan.host.map((_, i) => `create:host:${i}:kill`),
      // What is behind the gate happens in start.
      ...plan.container.slice(0, gate).map((_, i) => `create:container:${i}:kill`),
    ];
    expect(faults.length).toBeGreaterThan(30);
    for (const [i, fault] of faults.entries()) {
      const id = box.id();
      killed(["create", "--bundle", from, "--pid-file", join(from, "pid"), id], fault);
      expect(box.run(["start", id]).status).toBe(1);
      cleaners[i % cleaners.length]?.(id, from);
      waitFor(`nothing to be left after ${fault}`, () => box.leftovers().length === 0);
    }
  }, 300_000);

  test("one who cleans up after it leaves alone what another has made under the id meanwhile", async () => {
    const from = bundle();
    const id = box.id();
    killed(["create", "--bundle", from, id], "point:directory");
    // Another one is at it: it holds the lock until we have taken its part.
    const [held, go] = ["held", "go"].map((name) => join(box.work, `${id}-${name}`)) as [string, string];
    const script = `touch ${held}; while ! test -e ${go}; do sleep 0.05; done`;
    const other = spawn("flock", [join(box.root, id, "lock"), "sh", "-c", script], { stdio: "ignore" });
    try {
      waitFor("the lock", () => existsSync(held));
      const late = spawn(RUNTIME, ["--root", box.root, "delete", "--force", id], { stdio: "ignore" });
      const end = once(late, "exit");
      waitFor("the second to wait for the lock", () =>
        readFileSync("/proc/locks", "utf8").includes(`-> FLOCK  ADVISORY  WRITE ${late.pid} `),
      );
      renameSync(join(box.root, id), join(box.work, `${id}-gone`));
      box.ok(["create", "--bundle", from, id]);
      writeFileSync(go, "");
      expect(await end).toEqual([0, null]);
    } finally {
      writeFileSync(go, "");
      if (other.exitCode === null) await once(other, "exit");
    }
    expect(box.state(id).status).toBe("created");
    box.ok(["delete", "--force", id]);
  });

  test.each(["directory-new", "directory", "executed", "recorded", "pid-file"])(
    "create: at %s, nothing runs and nothing is left",
    (point) => {
      for (const [i, clean] of cleaners.entries()) {
        const from = bundle();
        const id = box.id();
        const pidFile = join(from, `pid${i}`);
        killed(["create", "--bundle", from, "--pid-file", pidFile, id], `point:${point}`);
        if (point === "recorded" || point === "pid-file") {
          // It is recorded, so it is a container: one whose init ended with its creator.
          waitFor("init's end", () => box.state(id).status === "stopped");
          box.ok(["delete", id]);
        } else if (point === "directory-new") box.ok(["gc"]);
        else clean(id, from);
        waitFor("nothing to be left", () => box.leftovers().length === 0);
        expect(existsSync(`${pidFile}.tsrun-${id}`)).toBe(false);
      }
    },
  );

  test("create: once it is handed over, the container waits for start", () => {
    const id = box.id();
    killed(["create", "--bundle", bundle(), id], "point:committed");
    expect(box.state(id).status).toBe("created");
    box.ok(["start", id]);
    expect(box.state(id).status).toBe("running");
    box.ok(["delete", "--force", id]);
    expect(box.leftovers()).toEqual([]);
  });

  test("start: at every step, the container is either still created or runs", () => {
    // gate.open, poststart hook
    for (const fault of ["start:host:0:kill", "start:host:1:kill", "point:started"]) {
      const id = box.id();
      box.ok(["create", "--bundle", bundle(), id]);
      killed(["start", id], fault);
      if (fault === "start:host:0:kill") {
        expect(box.state(id).status).toBe("created");
        box.ok(["start", id]);
      }
      expect(box.state(id).status).toBe("running");
      box.ok(["delete", "--force", id]);
      expect(box.leftovers()).toEqual([]);
    }
  });

  test("exec: at every step, no process is left and the container runs on", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", bundle(), id]);
    const pids = (): number => box.leftovers().filter((line) => line.startsWith("process")).length;
    const before = pids();
    for (const side of ["host", "container"] as const) {
      for (let i = 0; ; i++) {
        const result = box.run(["exec", "--test-fault", `exec:${side}:${i}:kill`, id, "true"]);
        if (result.status === 0) {
          expect(i).toBeGreaterThan(3); // beyond the last step nothing kills it
          break;
        }
        expect(result.status).toBe(null);
        waitFor(`exec's process to end (${side} ${i})`, () => pids() === before);
        expect(box.state(id).status).toBe("running");
      }
    }
    box.ok(["delete", "--force", id]);
    expect(box.leftovers()).toEqual([]);
  }, 120_000);

  test("pause and resume: at every step, the container is paused or runs, and the next call works", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", bundle(), id]);
    // Each has one step: killed before it, nothing has changed.
    killed(["pause", id], "pause:host:0:kill");
    expect(box.state(id).status).toBe("running");
    box.ok(["pause", "--test-fault", "pause:host:1:kill", id]);
    killed(["resume", id], "resume:host:0:kill");
    expect(box.state(id).status).toBe("paused");
    box.ok(["resume", "--test-fault", "resume:host:1:kill", id]);
    expect(box.state(id).status).toBe("running");
    box.ok(["delete", "--force", id]);
    expect(box.leftovers()).toEqual([]);
  });

  test("update: at every step, the container runs on, each limit is old or new, and the next update completes it", () => {
    const id = box.id();
    const from = box.bundle("sleep 1000", (config) => {
      config.linux.resources = { pids: { limit: 50 }, memory: { limit: 64 * MB, swap: 64 * MB }, cpu: { shares: 100 } };
    });
    box.ok(["run", "--detach", "--bundle", from, id]);
    const resources = (): unknown =>
      JSON.parse(readFileSync(join(box.root, id, "config.json"), "utf8")).linux.resources.pids;
    let killedAt = 0;
    for (let asked = 100; ; killedAt++, asked++) {
      const wanted = ["--memory", `${asked}m`, "--memory-swap", `${asked}m`, "--cpu-share", `${asked}`];
      const options = [...wanted, "--pids-limit", `${asked}`, id];
      const result = box.run(["update", "--test-fault", `update:host:${killedAt}:kill`, ...options]);
      if (result.status === 0) break; // it has no such step
      expect(result.status).toBe(null);
      expect(box.state(id).status).toBe("running");
      // Not recorded before all of it is done; and no lock is left.
      expect(resources()).toEqual({ limit: killedAt === 0 ? 50 : asked - 1 });
      box.ok(["update", ...options]);
      expect(resources()).toEqual({ limit: asked });
    }
    expect(killedAt).toBe(4);
    box.ok(["delete", "--force", id]);
    expect(box.leftovers()).toEqual([]);
  });

  test("delete: at every step and point, the next delete or gc finishes, poststop hooks included", () => {
    const faults = ["host:0", "host:1", "host:2", "host:3"].map((step) => `delete:${step}:kill`);
    for (const fault of [...faults, "point:removed", "point:deleting", "point:poststop", "point:renamed"]) {
      const ran = join(box.work, "poststop-ran");
      writeFileSync(ran, "");
      const from = box.bundle("sleep 1000", (config) => {
        config.hooks = { poststop: [{ path: "/bin/sh", args: ["sh", "-c", `echo ran >>${ran}`] }] };
      });
      const id = box.id();
      box.ok(["run", "--detach", "--bundle", from, id]);
      killed(["delete", "--force", id], fault);
      box.ok(fault === "point:deleting" || fault === "point:renamed" ? ["gc"] : ["delete", "--force", id]);
      waitFor(`nothing to be left after ${fault}`, () => box.leftovers().length === 0);
      expect(readFileSync(ran, "utf8")).toContain("ran");
    }
  }, 60_000);

  test("run in the foreground: the container outlives it and can be deleted", () => {
    const id = box.id();
    killed(["run", "--bundle", bundle(), id], "point:started");
    expect(box.state(id).status).toBe("running");
    box.ok(["delete", "--force", id]);
    expect(box.leftovers()).toEqual([]);
  });
});
