import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { encodePlan, point } from "../plan/encode.ts";
import type { ContainerStep, HostStep } from "../plan/vocabulary.ts";
import { openSession } from "./native.ts";

const CLONE_NEWNS = 0x0002_0000;
const CLONE_NEWPID = 0x2000_0000;
const spawn: HostStep = { kind: "process.spawn", cloneFlags: CLONE_NEWPID | CLONE_NEWNS, cgroup: null, keepFds: 0 };
const wait = (name: Parameters<typeof point>[0]) => ({ kind: "sync.wait", point: point(name) }) as const;
const signal = (name: Parameters<typeof point>[0]) => ({ kind: "sync.signal", point: point(name) }) as const;
const encode = (host: HostStep[], container: ContainerStep[] = []): Uint8Array =>
  encodePlan({ title: "test", host, container });
const exec = (program: string, ...args: string[]): ContainerStep => ({
  kind: "process.exec",
  program,
  path: "/usr/bin:/bin",
  args: [program, ...args],
  env: [],
  home: false,
});

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tsrun-executor-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("the executor", () => {
  test("refuses bytes that are no plan, and does nothing", () => {
    const session = openSession();
    for (const bytes of [new Uint8Array(3), new Uint8Array(64)]) {
      expect(session.execute(bytes).failure).toMatchObject({ side: "host", op: "verify" });
    }
    const good = encode([spawn]);
    good[8] = (good[8] ?? 0) ^ 1; // the vocabulary's hash
    expect(session.execute(good).failure).toMatchObject({
      op: "verify",
      path: expect.stringContaining("another build"),
    });
    session.close();
  });

  test("refuses lengths and places that reach out of a record (CVE-2021-43784), and does nothing", () => {
    const path = join(directory, "appended");
    const list = (): Uint8Array =>
      encode([], [{ kind: "process.exec", program: "/a", path: "", args: ["a", "b"], env: [], home: false }]);
    const text = (): Uint8Array => encode([{ kind: "file.append", path, slot: null }]);
    const RECORD = 32;
    const cell = (index: number): number => RECORD + 8 + 8 * index;
    const broken: readonly (readonly [what: string, bytes: Uint8Array, edit: (view: DataView) => void])[] = [
      ["a text's length that overflows", text(), (view) => view.setUint32(cell(0) + 4, 0xffff_ffff, true)],
      ["a text longer than its record", text(), (view) => view.setUint32(cell(0) + 4, 1000, true)],
      ["a text that does not end where it says", text(), (view) => view.setUint32(cell(0) + 4, 3, true)],
      ["a text before its record", text(), (view) => view.setUint32(cell(0), 0, true)],
      ["a text behind its record", text(), (view) => view.setUint32(cell(0), 0xffff_fff8, true)],
      ["a slot that is none of the plan's", text(), (view) => view.setBigUint64(cell(1), 7n, true)],
      ["a record longer than the plan", text(), (view) => view.setUint32(RECORD + 4, 0xffff_fff8, true)],
      ["a record of nothing", text(), (view) => view.setUint32(RECORD + 4, 0, true)],
      ["a kind that is none", text(), (view) => view.setUint16(RECORD, 0xffff, true)],
      ["more steps than there are", text(), (view) => view.setUint32(16, 0xffff_ffff, true)],
      ["a list whose bytes overflow", list(), (view) => view.setUint32(cell(2) + 4, 0x2000_0001, true)],
      ["a list behind its record", list(), (view) => view.setUint32(cell(2), 0xffff_fff8, true)],
      ["a list out of step", list(), (view) => view.setUint32(cell(2), view.getUint32(cell(2), true) + 4, true)],
    ];
    const session = openSession();
    for (const [what, bytes, edit] of broken) {
      edit(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      expect({ what, ...session.execute(bytes).failure }).toMatchObject({ what, side: "host", op: "verify" });
    }
    expect(existsSync(path)).toBe(false);
    session.close();
  });

  test("runs both lists to the sync points and reports each step's time", () => {
    const session = openSession();
    const outcome = session.execute(
      encode([spawn, signal("host-ready"), wait("ready")], [wait("host-ready"), signal("ready")]),
    );
    expect(outcome.failure).toBeUndefined();
    const { host, container } = outcome.reports();
    expect(host.map((report) => report.state)).toEqual(["done", "done", "done"]);
    // What the host waits for is sent before the container's step that sends it ends.
    expect(container.map((report) => report.state)).toEqual(["done", expect.stringMatching(/^(running|done)$/)]);
    for (const report of [...host, ...container.slice(0, 1)]) {
      expect(report.beginNs).toBeGreaterThan(0n);
      expect(report.endNs).toBeGreaterThanOrEqual(report.beginNs);
    }
    session.close();
  });

  test("the second stage of process.fork is our child and the first is gone", () => {
    const session = openSession();
    const outcome = session.execute(
      encode(
        [{ kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 }, { kind: "process.adopt" }, wait("ready")],
        [{ kind: "process.fork" }, signal("ready"), wait("host-ready")],
      ),
    );
    expect(outcome.failure).toBeUndefined();
    const stat = readFileSync(`/proc/${outcome.pid}/stat`, "utf8");
    expect(Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])).toBe(process.pid);
    session.rollback();
    expect(existsSync(`/proc/${outcome.pid}`)).toBe(false);
    session.close();
  });

  test("a failing container step is reported with side, index and kind, and its process is gone", () => {
    const session = openSession();
    const outcome = session.execute(
      encode(
        [spawn, wait("ready")],
        [{ kind: "process.setsid" }, { kind: "process.cwd", path: "/does-not-exist", asUser: false }, signal("ready")],
      ),
    );
    expect(outcome.failure).toMatchObject({ side: "container", index: 1, kind: "process.cwd", errno: 2 });
    expect(outcome.pid).toBeUndefined();
    session.close();
  });

  test("every step can be made to fail, on either side, and nothing is left", () => {
    const host: HostStep[] = [
      { kind: "gate.listen", directory, name: "gate-fault", slot: "gate" },
      spawn,
      signal("host-ready"),
      wait("ready"),
    ];
    const container: ContainerStep[] = [
      wait("host-ready"),
      { kind: "process.setsid" },
      signal("ready"),
      { kind: "gate.wait", slot: "gate" },
    ];
    for (const side of ["host", "container"] as const) {
      // The container's gate.wait runs after execute has returned.
      const count = side === "host" ? host.length : container.length - 1;
      for (let index = 0; index < count; index++) {
        const session = openSession();
        const outcome = session.execute(encode(host, container), { fault: { mode: "fail", side, index } });
        expect(outcome.failure).toMatchObject({ side, index, op: "injected" });
        expect(existsSync(join(directory, "gate-fault"))).toBe(false);
        session.close();
      }
    }
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim();
    expect(
      children
        .split(" ")
        .filter((pid) => pid !== "" && readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "tsrun-init"),
    ).toEqual([]);
  });

  test("a created process waits at the gate in a sealed copy; start opens it and sees execve, then the exit status", () => {
    const session = openSession();
    const created = session.execute(
      encode(
        [{ kind: "gate.listen", directory, name: "gate", slot: "gate" }, spawn, wait("ready")],
        [signal("ready"), { kind: "gate.wait", slot: "gate" }, exec("sh", "-c", "exit 7")],
      ),
    );
    expect(created.failure).toBeUndefined();
    session.commit();
    const status = readFileSync(`/proc/${created.pid}/status`, "utf8");
    expect(readlinkSync(`/proc/${created.pid}/exe`)).toContain("memfd:tsrun-init");
    expect(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1])).toBeLessThan(1024);

    const starter = openSession();
    expect(starter.execute(encode([{ kind: "gate.open", directory, name: "gate" }])).failure).toBeUndefined();
    expect(existsSync(join(directory, "gate"))).toBe(false);
    expect(session.attach()).toEqual({ kind: "exited", value: 7 });
    starter.close();
    session.close();
  });

  test("what fails behind the gate is told to start", () => {
    const session = openSession();
    session.execute(
      encode(
        [{ kind: "gate.listen", directory, name: "gate2", slot: "gate" }, spawn, wait("ready")],
        [signal("ready"), { kind: "gate.wait", slot: "gate" }, exec("/does/not/exist")],
      ),
    );
    session.commit();
    const starter = openSession();
    expect(starter.execute(encode([{ kind: "gate.open", directory, name: "gate2" }])).failure).toMatchObject({
      side: "container",
      index: 2,
      kind: "process.exec",
      errno: 2,
    });
    session.attach();
    starter.close();
    session.close();
  });
});
