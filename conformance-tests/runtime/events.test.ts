import { spawn, spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun, RUNTIME, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());
const MB = 1_048_576;

interface Event {
  readonly type: string;
  readonly id: string;
  readonly data?: Readonly<Record<string, Record<string, unknown>>>;
}

const eventsOf = (text: string): Event[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Event);

/** `events` beside the test: what it has printed so far, and its exit status once it has ended. */
function follow(id: string, ...options: string[]): { seen: Event[]; ended: Promise<number | null>; kill(): void } {
  const child = spawn(RUNTIME, ["--root", box.root, "events", ...options, id], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env.PATH },
  });
  const seen: Event[] = [];
  let rest = "";
  child.stdout.on("data", (data) => {
    rest += data;
    const end = rest.lastIndexOf("\n") + 1;
    seen.push(...eventsOf(rest.slice(0, end)));
    rest = rest.slice(end);
  });
  return { seen, ended: new Promise((done) => child.on("close", done)), kill: () => child.kill("SIGKILL") };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 6000; i++) {
    if (condition()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new Error(`waited in vain for ${what}`);
}

describe("events", () => {
  test("ends when nobody reads any more, as a program does that SIGPIPE ends", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000"), id]);
    const command = `${RUNTIME} --root ${box.root} events --interval 50ms ${id} | head -n 1`;
    const { status, stdout } = spawnSync("sh", ["-c", command], { encoding: "utf8", timeout: 60_000 });
    expect([status, eventsOf(stdout).map(({ type }) => type)]).toEqual([0, ["stats"]]);
    box.ok(["delete", "--force", id]);
  });

  test("--stats: one line with what the container has used", () => {
    const id = box.id();
    const bundle = box.bundle("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 1000", (config) => {
      config.linux.resources.memory = { limit: 64 * MB };
      config.linux.resources.pids = { limit: 17 };
    });
    box.ok(["run", "--detach", "--bundle", bundle, id]);
    const stats = () => eventsOf(box.ok(["events", "--stats", id]).stdout);
    const [{ type, id: of, data } = { type: "", id: "" }, ...more] = stats();
    expect({ type, of, more }).toEqual({ type: "stats", of: id, more: [] });
    expect(Object.keys(data ?? {})).toEqual([
      "cpu",
      "cpuset",
      "memory",
      "pids",
      "blkio",
      "hugetlb",
      "intel_rdt",
      "network_interfaces",
    ]);
    expect(data).toMatchObject({
      cpu: { usage: { total: expect.any(Number), kernel: expect.any(Number), user: expect.any(Number) } },
      memory: { usage: { limit: 64 * MB, usage: expect.any(Number), failcnt: 0 }, raw: expect.any(Object) },
      pids: { current: expect.any(Number), limit: 17 },
      network_interfaces: null,
    });
    box.ok(["delete", "--force", id]);
    expect(box.run(["events", "--stats", id]).stderr).toContain("does not exist");
  });

  test("--interval: statistics again and again, until the container stops", async () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000"), id]);
    const { seen, ended } = follow(id, "--interval", "20ms");
    await until("three lines", () => seen.length >= 3);
    expect(seen.every((event) => event.type === "stats" && event.id === id)).toBe(true);
    box.ok(["kill", id, "KILL"]);
    waitFor("its end", () => box.state(id).status === "stopped");
    box.ok(["delete", id]);
    expect(await ended).toBe(0);
  });

  test("an OOM kill is told", async () => {
    const id = box.id();
    const bundle = box.bundle(
      "read go </tmp/go; head -c 100000000 /dev/zero | tail >/dev/null; sleep 1000",
      (config) => {
        config.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmpfs" });
        config.process.args = ["sh", "-c", `mkfifo /tmp/go; ${config.process.args[2]}`];
        config.linux.resources.memory = { limit: 20 * MB, swap: 20 * MB };
      },
    );
    box.ok(["run", "--detach", "--bundle", bundle, id]);
    const { seen, ended } = follow(id, "--interval", "50ms");
    // It watches from before its first line on.
    await until("the first line", () => seen.length > 0);
    box.ok(["exec", id, "sh", "-c", "while [ ! -p /tmp/go ]; do sleep 0.01; done; echo go >/tmp/go"]);
    await until("the kill", () => seen.some(({ type }) => type === "oom"));
    expect(seen.find(({ type }) => type === "oom")).toEqual({ type: "oom", id });
    box.ok(["delete", "--force", id]);
    expect(await ended).toBe(0);
    expect(seen.filter(({ type }) => type === "oom").length).toBe(1);
  });

  (isTsrun ? test : test.skip)("init itself is killed: the kill comes before the end", async () => {
    const id = box.id();
    const bundle = box.bundle(["tail", "/dev/zero"], (config) => {
      config.linux.resources.memory = { limit: 20 * MB, swap: 20 * MB };
    });
    box.ok(["create", "--bundle", bundle, id]);
    const { seen, ended } = follow(id, "--interval", "50ms");
    await until("the first line", () => seen.length > 0);
    box.ok(["start", id]);
    expect(await ended).toBe(0);
    expect(seen.some(({ type }) => type === "oom")).toBe(true);
    box.ok(["delete", id]);
  });

  test.each(["0s", "-1s", "5", "soon"])("--interval %s is refused", (interval) => {
    expect(box.run(["events", "--interval", interval, "nobody"]).status).toBe(1);
  });

  test("not of a stopped container", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("true"), id]);
    waitFor("its end", () => box.state(id).status === "stopped");
    expect(box.run(["events", "--stats", id])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("not running"),
    });
    box.ok(["delete", id]);
  });
});
