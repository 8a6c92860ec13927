/** --cgroup-manager disabled, crun's: the container stays in the cgroups of its caller. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, isTsrun, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());
const global = ["--cgroup-manager", "disabled"];

const plain = (config: Config): void => {
  delete config.linux.resources;
  config.linux.namespaces = config.linux.namespaces.filter(({ type }: { type: string }) => type !== "cgroup");
  config.root.readonly = false;
};

(isTsrun ? describe : describe.skip)("--cgroup-manager disabled", () => {
  test("no cgroup is made, and every verb works as far as it can", () => {
    const id = box.id();
    const bundle = box.bundle(
      "cat /proc/self/cgroup >/tmp/cgroup; (trap 'touch /tmp/told; exit' USR1; touch /tmp/ready; while :; do sleep 0.02; done) & sleep 1000",
      plain,
    );
    const inside = (name: string): string => join(bundle, "rootfs/tmp", name);
    box.ok(["run", "--detach", "--bundle", bundle, id], { global });
    waitFor("the trap", () => existsSync(inside("ready")));
    expect(readFileSync(inside("cgroup"), "utf8")).toBe(readFileSync("/proc/self/cgroup", "utf8"));
    expect(box.leftovers().filter((line) => line.startsWith("cgroup"))).toEqual([]);
    expect(box.ok(["exec", id, "echo", "here"]).stdout).toBe("here\n");
    const pids = JSON.parse(box.ok(["ps", "-f", "json", id]).stdout) as number[];
    expect(pids.length).toBeGreaterThanOrEqual(2);
    expect(pids).toContain(box.state(id).pid);
    box.ok(["kill", "--all", id, "USR1"]);
    waitFor("the other process to be told", () => existsSync(inside("told")));
    expect(JSON.parse(box.ok(["events", "--stats", id]).stdout)).toMatchObject({ type: "stats", id });
    for (const command of [["pause"], ["update", "--memory", "50m"]]) {
      expect(box.run([...command, id])).toMatchObject({ status: 1, stderr: expect.stringContaining("cgroup") });
    }
    box.ok(["kill", id, "KILL"]);
    waitFor("its end", () => box.state(id).status === "stopped");
    box.ok(["delete", id]);
    expect(box.leftovers()).toEqual([]);
  });

  test("limits are refused by name; device rules do nothing, with a warning", () => {
    const limited = box.bundle("true", (config) => {
      config.linux.resources = { memory: { limit: 50_000_000 }, pids: { limit: 5 } };
    });
    expect(box.run(["run", "--bundle", limited, box.id()], { global })).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("/linux/resources/pids, /linux/resources/memory"),
    });
    const result = box.run(["run", "--bundle", box.bundle("true"), box.id()], { global });
    expect(result).toMatchObject({ status: 0, stderr: expect.stringContaining("/linux/resources/devices") });
    expect(box.leftovers()).toEqual([]);
  });

  test("another manager is refused", () => {
    expect(box.run(["list"], { global: ["--cgroup-manager", "nonsense"] })).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("nonsense"),
    });
  });
});
