import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

describe("runtime.md: lifecycle", () => {
  test("create, state, start, kill, delete", () => {
    const bundle = box.bundle("sleep 1000", (config) => {
      config.annotations = { "org.example.key": "value" };
    });
    const id = box.id();
    box.ok(["create", "--bundle", bundle, "--pid-file", join(bundle, "pid"), id]);
    const created = box.state(id);
    expect(created).toMatchObject({ id, status: "created", bundle, annotations: { "org.example.key": "value" } });
    expect(Number(readFileSync(join(bundle, "pid"), "utf8"))).toBe(created.pid);
    expect(created.ociVersion).toMatch(/^1\./);
    box.ok(["start", id]);
    expect(box.state(id)).toMatchObject({ status: "running", pid: created.pid });
    expect(box.run(["delete", id]).status).not.toBe(0);
    box.ok(["kill", id, "KILL"]);
    waitFor("the container to stop", () => box.state(id).status === "stopped");
    box.ok(["delete", id]);
    expect(box.run(["state", id])).toMatchObject({ status: 1, stderr: expect.stringContaining("does not exist") });
    expect(box.leftovers()).toEqual([]);
  });

  test("an operation in the wrong state changes nothing and says so", () => {
    const id = box.id();
    box.ok(["create", "--bundle", box.bundle("sleep 1000"), id]);
    expect(box.run(["create", "--bundle", box.bundle("true"), id])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/exist/),
    });
    expect(box.state(id).status).toBe("created");
    box.ok(["start", id]);
    expect(box.run(["start", id]).status).toBe(1);
    expect(box.state(id).status).toBe("running");
    box.ok(["delete", "--force", id]);
    expect(box.run(["start", id]).stderr).toContain("does not exist");
    expect(box.run(["kill", id]).stderr).toContain("does not exist");
    expect(box.run(["delete", id]).stderr).toContain("does not exist");
    box.ok(["delete", "--force", id]);
  });

  test("a created container can be deleted", () => {
    const id = box.id();
    box.ok(["create", "--bundle", box.bundle("true"), id]);
    box.ok(["delete", id]);
    expect(box.leftovers()).toEqual([]);
  });

  test("kill takes numbers, names and SIG names; TERM is the default", () => {
    for (const [signal, expected] of [
      [undefined, "TERM"],
      ["USR1", "USR1"],
      ["SIGHUP", "HUP"],
      ["12", "USR2"],
    ] as const) {
      const id = box.id();
      const bundle = box.bundle(
        'for s in TERM USR1 HUP USR2; do trap "echo $s > /tmp/got; exit 0" $s; done; touch /tmp/ready; while :; do sleep 0.05; done',
        (config) => {
          config.root.readonly = false;
        },
      );
      box.ok(["run", "--detach", "--bundle", bundle, id]);
      waitFor("the traps", () => existsSync(join(bundle, "rootfs/tmp/ready")));
      box.ok(signal === undefined ? ["kill", id] : ["kill", id, signal]);
      waitFor("the end", () => box.state(id).status === "stopped");
      expect(readFileSync(join(bundle, "rootfs/tmp/got"), "utf8").trim()).toBe(expected);
      expect(box.run(["kill", id]).stderr).toContain("container not running");
      box.ok(["delete", id]);
    }
  });

  test("config.json changes after create have no effect", () => {
    const bundle = box.bundle("echo first");
    const id = box.id();
    const output = join(bundle, "out");
    box.ok(["create", "--bundle", bundle, id]);
    writeFileSync(join(bundle, "config.json"), "not JSON any more");
    box.ok(["start", id]);
    waitFor("the end", () => box.state(id).status === "stopped");
    box.ok(["delete", id]);
    expect(existsSync(output)).toBe(false);
  });

  test("without process, create succeeds and start fails", () => {
    const bundle = box.bundle("true", (config) => {
      delete config.process;
    });
    const id = box.id();
    box.ok(["create", "--bundle", bundle, id]);
    expect(box.state(id).status).toBe("created");
    expect(box.run(["start", id])).toMatchObject({ status: 1, stderr: expect.stringMatching(/process/) });
    box.ok(["delete", "--force", id]);
  });

  test("ids that are not one safe path component are refused", () => {
    const bundle = box.bundle("true");
    for (const id of ["", ".", "..", "../x", "a/b", "a\nb", "ä", "x".repeat(1025)]) {
      expect(box.run(["create", "--bundle", bundle, id]).status).toBe(1);
    }
    expect(box.leftovers()).toEqual([]);
  });

  test("run gives the program's exit status, 128+n after a signal", () => {
    expect(box.container("exit 7").status).toBe(7);
    expect(box.container("exit 0").status).toBe(0);
  });

  test("a program that cannot be found fails in create, in runc's words", () => {
    const result = box.container(["no-such-program"]);
    expect(result).toMatchObject({ status: 1, stderr: expect.stringMatching(/executable file not found in \$PATH/) });
    expect(box.container(["/no/such/program"]).stderr).toMatch(/no such file or directory/);
    expect(box.container(["/etc"]).stderr).toMatch(/permission denied|is a directory/i);
    expect(box.leftovers()).toEqual([]);
  });
});
