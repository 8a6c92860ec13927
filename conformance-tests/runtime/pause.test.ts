import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

/** A container that counts in a file. */
function counting(): { id: string; count: () => number } {
  const bundle = box.bundle("i=0; while :; do i=$((i+1)); echo $i >/tmp/next; mv /tmp/next /tmp/i; done", (config) => {
    config.root.readonly = false;
  });
  const id = box.id();
  box.ok(["run", "--detach", "--bundle", bundle, id]);
  const count = (): number => {
    try {
      return Number(readFileSync(join(bundle, "rootfs/tmp/i"), "utf8"));
    } catch {
      return 0;
    }
  };
  waitFor("the first count", () => count() > 0);
  return { id, count };
}

describe("pause and resume", () => {
  test("every process stops, and goes on", () => {
    const { id, count } = counting();
    box.ok(["pause", id]);
    expect(box.state(id).status).toBe("paused");
    const at = count();
    const nap = new Int32Array(new SharedArrayBuffer(4));
    for (let i = 0; i < 20; i++) {
      Atomics.wait(nap, 0, 0, 10);
      expect(count()).toBe(at);
    }
    box.ok(["resume", id]);
    expect(box.state(id).status).toBe("running");
    waitFor("it to count on", () => count() > at);
    box.ok(["delete", "--force", id]);
    expect(box.leftovers()).toEqual([]);
  });

  test("in the wrong state they change nothing and say so", () => {
    const { id } = counting();
    expect(box.run(["resume", id])).toMatchObject({ status: 1, stderr: expect.stringContaining("not paused") });
    box.ok(["pause", id]);
    expect(box.run(["pause", id]).status).toBe(1);
    expect(box.run(["delete", id]).status).toBe(1);
    expect(box.run(["start", id]).status).toBe(1);
    expect(box.state(id).status).toBe("paused");
    box.ok(["resume", id]);
    box.ok(["kill", id, "KILL"]);
    waitFor("its end", () => box.state(id).status === "stopped");
    expect(box.run(["pause", id]).status).toBe(1);
    expect(box.run(["resume", id]).status).toBe(1);
    box.ok(["delete", id]);
    expect(box.run(["pause", id]).stderr).toContain("does not exist");
  });

  test("a created container can be paused; start waits for the resume", () => {
    const id = box.id();
    box.ok(["create", "--bundle", box.bundle("sleep 1000"), id]);
    box.ok(["pause", id]);
    expect(box.state(id).status).toBe("paused");
    box.ok(["resume", id]);
    expect(box.state(id).status).toBe("created");
    box.ok(["start", id]);
    expect(box.state(id).status).toBe("running");
    box.ok(["delete", "--force", id]);
  });

  test("exec in a paused container fails at once; a kill and a forced delete work", () => {
    const { id } = counting();
    box.ok(["pause", id]);
    expect(box.run(["exec", id, "true"])).toMatchObject({
      status: 255,
      stderr: expect.stringContaining("paused container"),
    });
    expect(box.run(["exec", "--detach", id, "true"]).status).toBe(255);
    box.ok(["kill", id, "KILL"]);
    if (isTsrun) waitFor("its end", () => box.state(id).status === "stopped");
    box.ok(["delete", "--force", id]);
    const other = counting();
    box.ok(["pause", other.id]);
    box.ok(["delete", "--force", other.id]);
    expect(box.leftovers()).toEqual([]);
  });
});
