/** crun's annotations that callers set. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

(isTsrun ? describe : describe.skip)("annotations", () => {
  test("run.oci.hooks.stdout and .stderr: what all hooks say is appended to these files", () => {
    const [out, err] = [join(box.work, "hooks-out"), join(box.work, "hooks-err")];
    const names = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    const bundle = box.bundle("sleep 1000", (config) => {
      config.annotations = { "run.oci.hooks.stdout": out, "run.oci.hooks.stderr": err };
      config.hooks = Object.fromEntries(
        names.map((name) => [name, [{ path: "/bin/sh", args: ["sh", "-c", `echo ${name}; echo not ${name} >&2`] }]]),
      );
    });
    const id = box.id();
    box.ok(["create", "--bundle", bundle, id]);
    expect(readFileSync(out, "utf8")).toBe("prestart\ncreateRuntime\ncreateContainer\n");
    expect(statSync(out).mode & 0o777).toBe(0o600);
    box.ok(["start", id]);
    box.ok(["delete", "--force", id]);
    expect(readFileSync(out, "utf8")).toBe(names.map((name) => `${name}\n`).join(""));
    expect(readFileSync(err, "utf8")).toBe(names.map((name) => `not ${name}\n`).join(""));
  });

  test("without them a failing hook's last words are in the error; a path has to be absolute", () => {
    const hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "echo last words; exit 3"] }] };
    const said = box.container("true", (config) => {
      config.hooks = hooks;
    });
    expect(said).toMatchObject({ status: 1, stderr: expect.stringContaining("last words") });
    const relative = box.container("true", (config) => {
      config.hooks = hooks;
      config.annotations = { "run.oci.hooks.stdout": "relative" };
    });
    expect(relative).toMatchObject({ status: 1, stderr: expect.stringContaining("/annotations/run.oci.hooks.stdout") });
    expect(existsSync(join(box.work, "relative"))).toBe(false);
  });

  test("run.oci.pidfd_receiver: the socket gets a pidfd of init, as with --pidfd-socket", async () => {
    const socket = join(box.work, "pidfd");
    const script = `import array, os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1]); listener.listen(); print("listening", flush=True)
connection, _ = listener.accept()
fds = array.array("i")
_, control, _, _ = connection.recvmsg(100, socket.CMSG_SPACE(4))
fds.frombytes(control[0][2][:4])
print(open(f"/proc/self/fdinfo/{fds[0]}").read())`;
    const receiver = spawn("python3", ["-c", script, socket], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    receiver.stdout.on("data", (data) => {
      said += data;
    });
    const end = new Promise((done) => receiver.on("close", done));
    while (!said.includes("listening")) await new Promise((done) => setTimeout(done, 10));
    const id = box.id();
    const bundle = box.bundle("sleep 1000", (config) => {
      config.annotations = { "run.oci.pidfd_receiver": resolve(socket) };
    });
    box.ok(["create", "--bundle", bundle, id]);
    await end;
    expect(said).toMatch(new RegExp(`^Pid:\\t${box.state(id).pid}$`, "m"));
    box.ok(["delete", "--force", id]);
    waitFor("nothing to be left", () => box.leftovers().length === 0);
  });
});
