/** Row 18 of docs/security.md (CVE-2020-15257): an abstract socket of the runtime's, in reach of a container of the host's network. */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { isTsrun, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

/** The unix sockets of a process by name, as its network namespace lists them; an abstract one begins with "@". */
function sockets(pid: number): string[] {
  const names = new Map(
    readFileSync(`/proc/${pid}/net/unix`, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .map(([, , , , , , inode, name]) => [`socket:[${inode}]`, name ?? ""]),
  );
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => names.get(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? []);
}

test("a container that waits and one that runs have no abstract socket", () => {
  const ids = [box.id(), box.id()];
  for (const id of ids) {
    const bundle = box.bundle("sleep 1000", (config) => {
      config.linux.namespaces = config.linux.namespaces.filter(({ type }: { type: string }) => type !== "network");
      config.mounts = config.mounts.filter(({ type }: { type: string }) => type !== "sysfs");
    });
    box.ok(["create", "--bundle", bundle, id]);
  }
  box.ok(["start", ids[1] as string]);
  const [waiting = [], running = []] = ids.map((id) => sockets(box.state(id).pid));
  expect([...waiting, ...running].filter((name) => name.startsWith("@"))).toEqual([]);
  // The list is not empty for want of looking: the gate is in it.
  if (isTsrun) expect(waiting).toEqual(expect.arrayContaining([expect.stringMatching(/\/gate$/)]));
  expect(running).toEqual([]);
  for (const id of ids) box.ok(["delete", "--force", id]);
});

const onTsrun = isTsrun ? test : test.skip; // skipped: the gate is tsrun's
onTsrun("the gate is a path that only the owner reaches", () => {
  const id = box.id();
  box.ok(["create", "--bundle", box.bundle("true"), id]);
  const gate = join(box.root, id, "gate");
  expect(statSync(gate).isSocket()).toBe(true);
  expect(statSync(join(box.root, id)).mode & 0o077).toBe(0);
  box.ok(["delete", "--force", id]);
});
