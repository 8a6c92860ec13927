import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();

describe("ps", () => {
  test("-f json: the host's pids of all processes", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1001 & sleep 1002 & wait"), id]);
    const pids = (): number[] => JSON.parse(box.ok(["ps", "--format", "json", id]).stdout);
    const wanted = "sh -c sleep 1001 & sleep 1002 & wait,sleep 1001,sleep 1002";
    waitFor("both sleeps", () => pids().map(commandOf).sort().join() === wanted);
    expect(pids()).toContain(box.state(id).pid);
    box.ok(["delete", "--force", id]);
  });

  test("a table of ps(1) with the container's lines only; its options are ps's", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle(["sleep", "1003"]), id]);
    const { pid } = box.state(id);
    waitFor("the program", () => commandOf(pid) === "sleep 1003");
    const [heading, line, ...rest] = box.ok(["ps", id]).stdout.trimEnd().split("\n");
    expect(heading?.split(/\s+/).slice(0, 3)).toEqual(["UID", "PID", "PPID"]);
    expect(line).toMatch(new RegExp(`^root +${pid} .*sleep 1003$`));
    expect(rest).toEqual([]);
    const own = box.ok(["ps", id, "-e", "-o", "pid,args"]).stdout.trimEnd().split("\n");
    expect(own.map((each) => each.trim().split(/\s+/))).toEqual([
      ["PID", "COMMAND"],
      [String(pid), "sleep", "1003"],
    ]);
    expect(box.run(["ps", id, "-o", "comm"])).toMatchObject({ status: 1, stderr: expect.stringContaining("PID") });
    expect(box.run(["ps", "--format", "xml", id]).status).toBe(1);
    box.ok(["delete", "--force", id]);
    expect(box.run(["ps", id]).stderr).toContain("does not exist");
  });

  test("of a stopped container there are none", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("true"), id]);
    waitFor("its end", () => box.state(id).status === "stopped");
    expect(box.ok(["ps", id]).stdout.trim().split("\n")).toHaveLength(1);
    box.ok(["delete", id]);
  });
});
