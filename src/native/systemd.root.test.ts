/**
 * The systemd steps against a manager that answers wrongly, late or not at all, which a real one (conformance-tests/runtime/
 * systemd) seldom does. It is a process of its own, since a step blocks this one.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { type SystemdUnit, setProperties, startUnit, stopUnit } from "../compile/systemd-unit.ts";
import { decodeCalls } from "../plan/dbus-text.ts";
import { encodePlan } from "../plan/encode.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import { openSession, type StepFailure } from "./native.ts";

/** Listens at argv[2]; answers connections as argv[3] says (JSON), one after another; appends what it gets to argv[4]. */
const SERVER = `
const { appendFileSync } = require("node:fs");
const [path, script, log] = process.argv.slice(1);
const answers = JSON.parse(script);
require("node:net").createServer((socket) => {
  const { auth = ["DATA\\r\\n", "OK 0123456789abcdef\\r\\n"], messages = [], end = false } = answers.shift() ?? {};
  let greeted = false;
  socket.on("error", () => {});
  socket.on("data", (data) => {
    if (!greeted) {
      greeted = true;
      for (const line of auth) socket.write(line);
      return;
    }
    appendFileSync(log, data);
    for (const each of messages) socket.write(Buffer.from(each, "base64"));
    if (end) socket.end();
  });
}).listen(path, () => console.log("listening"));
`;

/** A message as a manager sends it; `args` are texts, but numbers for u. */
function message(
  type: number,
  fields: readonly (readonly [number, string, string | number])[],
  signature: string,
  args: readonly (string | number)[],
): string {
  let out = Buffer.alloc(16);
  const pad = (to: number): void => {
    out = Buffer.concat([out, Buffer.alloc((to - (out.length % to)) % to)]);
  };
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const value = (kind: string, what: string | number): void => {
    if (kind === "g") out = Buffer.concat([out, Buffer.from([String(what).length]), Buffer.from(`${what}\0`)]);
    else {
      pad(4);
      out = Buffer.concat([
        out,
        typeof what === "number" ? u32(what) : Buffer.concat([u32(what.length), Buffer.from(`${what}\0`)]),
      ]);
    }
  };
  for (const [code, kind, what] of [...fields, ...(signature === "" ? [] : [[8, "g", signature] as const])]) {
    pad(8);
    out = Buffer.concat([out, Buffer.from([code, 1, kind.charCodeAt(0), 0])]);
    value(kind, what);
  }
  const fieldBytes = out.length - 16;
  pad(8);
  const body = out.length;
  for (const [i, kind] of [...signature].entries()) value(kind, args[i] as string | number);
  out.write("l");
  out.set([type, 1, 1], 1);
  out.writeUInt32LE(out.length - body, 4);
  out.writeUInt32LE(9, 8);
  out.writeUInt32LE(fieldBytes, 12);
  return out.toString("base64");
}
const answer = (serial: number, job = "/job/1", sender = ":1.1"): string =>
  message(
    2,
    [
      [5, "u", serial],
      [7, "s", sender],
    ],
    "o",
    [job],
  );
const refusal = (serial: number, name: string, text: string): string =>
  message(
    3,
    [
      [5, "u", serial],
      [4, "s", name],
    ],
    "s",
    [text],
  );
const removed = (job: string, result: string, sender = ":1.1"): string =>
  message(
    4,
    [
      [1, "o", "/org/freedesktop/systemd1"],
      [2, "s", "org.freedesktop.systemd1.Manager"],
      [3, "s", "JobRemoved"],
      [7, "s", sender],
    ],
    "uoss",
    [1, job, "a.scope", result],
  );

/** How an undo is answered that finds nothing. */
const gone: Connection = { messages: [refusal(3, "org.freedesktop.systemd1.NoSuchUnit", "not loaded")] };

interface Connection {
  readonly auth?: readonly string[];
  readonly messages?: readonly string[];
  readonly end?: boolean;
}

let directory: string;
let count = 0;
const servers: ChildProcess[] = [];
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tsrun-systemd-"));
});
afterEach(() => {
  for (const server of servers.splice(0)) server.kill("SIGKILL");
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Server {
  readonly path: string;
  /** The calls that it got. */
  calls(): string[];
}
async function serve(...connections: readonly Connection[]): Promise<Server> {
  const path = join(directory, `socket-${count++}`);
  const log = `${path}.log`;
  writeFileSync(log, "");
  const server = spawn(process.execPath, ["-e", SERVER, path, JSON.stringify(connections), log], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  servers.push(server);
  await new Promise((resolve) => server.stdout?.once("data", resolve));
  return { path, calls: () => decodeCalls(readFileSync(log)).map(({ member }) => member) };
}

const PROPERTIES = [{ name: "Delegate", signature: "b", value: true }];
const unitAt = (...managers: string[]): SystemdUnit => ({ name: "a.scope", managers, buses: [] });
/** As if for a process, of which there is none. */
const start = (unit: SystemdUnit, timeoutMs = 10_000): HostStep =>
  ({ ...startUnit(unit, PROPERTIES), pidAt: 0, timeoutMs }) as HostStep;

function run(...host: HostStep[]): StepFailure | undefined {
  const session = openSession();
  try {
    const { failure } = session.execute(encodePlan({ title: "test", host, container: [] }));
    if (failure === undefined) session.commit();
    return failure;
  } finally {
    session.close();
  }
}
/** Comes after what is to be undone. */
const fails: HostStep = { kind: "cgroup.write", hierarchy: "/nowhere", path: "/", file: "x", value: "y" };

describe("systemd.startUnit", () => {
  test("waits for its own job", async () => {
    const server = await serve({
      messages: [removed("/job/7", "failed"), answer(3), removed("/job/2", "failed"), removed("/job/1", "done")],
    });
    expect(run(start(unitAt(server.path)))).toBeUndefined();
    expect(server.calls()).toEqual(["StartTransientUnit"]);
  });
  test("which may end before the answer", async () => {
    const server = await serve({ messages: [removed("/job/1", "done"), answer(3)] });
    expect(run(start(unitAt(server.path)))).toBeUndefined();
  });
  test("a job that ends otherwise is a failure, and the unit is stopped", async () => {
    const server = await serve(
      { messages: [answer(3), removed("/job/1", "timeout")] },
      { messages: [refusal(3, "org.freedesktop.systemd1.NoSuchUnit", "gone")] },
    );
    expect(run(start(unitAt(server.path)))).toMatchObject({
      op: "systemd",
      path: "a.scope",
      text: 'the job ended with "timeout"',
    });
    expect(server.calls()).toEqual(["StartTransientUnit", "StopUnit"]);
  });
  test("who else says that it has ended is not believed", async () => {
    const server = await serve(
      { messages: [answer(3), removed("/job/1", "done", ":1.666"), removed("/job/1", "canceled")] },
      gone,
    );
    expect(run(start(unitAt(server.path)))).toMatchObject({ op: "systemd", text: 'the job ended with "canceled"' });
  });
  test("a refusal is told in its words, and nothing is stopped: the name may be another's", async () => {
    const server = await serve({
      messages: [refusal(3, "org.freedesktop.systemd1.UnitExists", "Unit a.scope already exists.")],
    });
    expect(run(start(unitAt(server.path)))).toMatchObject({
      op: "systemd",
      text: "org.freedesktop.systemd1.UnitExists: Unit a.scope already exists.",
    });
    expect(server.calls()).toEqual(["StartTransientUnit"]);
  });
  test("a later step's failure stops the unit", async () => {
    const done = [answer(3), removed("/job/1", "done")];
    const server = await serve({ messages: done }, { messages: done });
    expect(run(start(unitAt(server.path)), fails)?.kind).toBe("cgroup.write");
    expect(server.calls()).toEqual(["StartTransientUnit", "StopUnit"]);
  });
  test("without a process there is no pid to be put in", () => {
    expect(run(startUnit(unitAt("/nowhere"), PROPERTIES))).toMatchObject({
      op: "verify",
      text: "no process was spawned",
    });
  });
});

describe("a manager that", () => {
  test("is not there: the next socket is tried, the last one is named", async () => {
    const server = await serve({ messages: [answer(3), removed("/job/1", "done")] });
    expect(run(start(unitAt("/nowhere", server.path)))).toBeUndefined();
    expect(run(start(unitAt("/nowhere")))).toMatchObject({ op: "connect", path: "/nowhere" });
    expect(run(start(unitAt()))).toMatchObject({ op: "connect", text: "no socket is known" });
  });
  test("is on a bus is greeted there first", async () => {
    const server = await serve({ messages: [answer(1), answer(2), answer(3), removed("/job/1", "done")] });
    expect(run(start({ name: "a.scope", managers: ["/nowhere"], buses: [server.path] }))).toBeUndefined();
    expect(server.calls()).toEqual(["Hello", "AddMatch", "StartTransientUnit"]);
  });
  test("whose bus refuses the greeting", async () => {
    const server = await serve({ messages: [refusal(2, "org.freedesktop.DBus.Error.MatchRuleInvalid", "no")] });
    const unit = { name: "a.scope", managers: [], buses: [server.path] };
    expect(run(start(unit))).toMatchObject({ op: "systemd", text: expect.stringContaining("MatchRuleInvalid") });
  });
  test.each<readonly [string, Connection, object]>([
    ["does not let us in", { auth: ["REJECTED EXTERNAL\r\n"] }, { op: "verify", text: "REJECTED EXTERNAL" }],
    ["talks without an end", { auth: ["A".repeat(600)] }, { op: "limit" }],
    ["hangs up", { end: true }, { op: "peer" }],
    [
      "says something else",
      { messages: [Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n").toString("base64")] },
      { op: "verify", text: expect.stringContaining("no D-Bus message") },
    ],
    [
      "says too much",
      { messages: [Buffer.from([108, 4, 1, 1, 0, 0, 0, 127, 1, 0, 0, 0, 0, 0, 0, 0]).toString("base64")] },
      { op: "verify" },
    ],
    [
      "names no job",
      { messages: [message(2, [[5, "u", 3]], "", [])] },
      { op: "verify", text: "systemd's answer names no job" },
    ],
  ])("%s", async (_, connection, expected) => {
    const server = await serve(connection);
    expect(run(start(unitAt(server.path), 2_000))).toMatchObject({ kind: "systemd.startUnit", ...expected });
  });
  test("says nothing: the step ends, and says whether a job is on its way", async () => {
    const silent = await serve({}, {});
    expect(run(start(unitAt(silent.path), 50))).toMatchObject({
      op: "timeout",
      detail: 50,
      path: "a.scope",
      text: "systemd does not answer",
    });
    const slow = await serve({ messages: [answer(3)] }, {});
    expect(run(start(unitAt(slow.path), 500))).toMatchObject({
      op: "timeout",
      text: "systemd has not finished the job",
    });
  });
});

describe("systemd.stopUnit", () => {
  test("a unit or a manager that has gone is no error, another refusal is", async () => {
    const server = await serve(
      { messages: [refusal(3, "org.freedesktop.systemd1.NoSuchUnit", "not loaded")] },
      { messages: [refusal(3, "org.freedesktop.DBus.Error.AccessDenied", "no")] },
    );
    expect(run(stopUnit(unitAt(server.path)))).toBeUndefined();
    expect(run(stopUnit(unitAt(server.path)))).toMatchObject({
      op: "systemd",
      text: expect.stringContaining("AccessDenied"),
    });
    expect(run(stopUnit(unitAt("/nowhere")))).toBeUndefined();
  });
});

describe("systemd.setProperties", () => {
  test("waits for the last answer, and undo makes the other calls", async () => {
    const server = await serve({ messages: [answer(3), answer(4)] }, { messages: [answer(3), answer(4)] });
    const [now, before] = [
      [{ name: "TasksMax", signature: "t", value: 5n }],
      [{ name: "TasksMax", signature: "t", value: 4n }],
    ];
    expect(run(setProperties(unitAt(server.path), now, before), fails)?.kind).toBe("cgroup.write");
    expect(server.calls()).toEqual(["SetUnitProperties", "GetUnit", "SetUnitProperties", "GetUnit"]);
  });
  test("refused, it undoes nothing", async () => {
    const server = await serve({
      messages: [refusal(3, "org.freedesktop.DBus.Error.InvalidArgs", "out of range"), answer(4)],
    });
    expect(run(setProperties(unitAt(server.path), PROPERTIES, PROPERTIES))).toMatchObject({ op: "systemd" });
    expect(server.calls()).toEqual(["SetUnitProperties", "GetUnit"]);
  });
});
