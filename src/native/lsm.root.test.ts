/**
 * Security labels are written to the kernel's own files, whatever lies over /proc (attack row 5). What the security modules
 * make of them is looked at from inside in conformance-tests/runtime/process.test.ts, where there are such modules.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { namespaceFlags } from "../compile/namespaces.ts";
import { encodePlan } from "../plan/encode.ts";
import { type ContainerStep, pivotMethods, type StepOf } from "../plan/vocabulary.ts";
import { openSession, type StepFailure } from "./native.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tsrun-lsm-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs container steps; a plan without a program ends with them. */
function attempt(container: ContainerStep[]): StepFailure | undefined {
  const session = openSession();
  try {
    return session.execute(
      encodePlan({
        title: "test",
        host: [{ kind: "process.spawn", cloneFlags: 0, cgroup: null, keepFds: 0 }, { kind: "process.waitExec" }],
        container: [
          ...container,
          { kind: "process.exec", program: "/bin/true", path: "", args: ["true"], env: [], home: false },
        ],
      }),
    ).failure;
  } finally {
    session.close();
  }
}

const PRIVATE = 0x4_4000;
const bind = (source: string, target: string): StepOf<"mount.bind"> => ({
  kind: "mount.bind",
  source,
  slot: null,
  target: target.slice(1),
  recursive: false,
  attrSet: 0,
  attrClear: 0,
  attrRecursive: false,
  propagation: 0,
  noSymlinks: true,
  magic: 0,
  links: 0,
});
/** A mount namespace of our own, as it is outside but for these. */
const mounts = (...binds: ContainerStep[]): ContainerStep[] => [
  { kind: "ns.unshare", types: namespaceFlags.mount },
  { kind: "mount.propagation", flags: PRIVATE },
  { kind: "root.bind", path: "/", isolate: false },
  ...binds,
  { kind: "root.pivot", method: pivotMethods.chroot },
];
/** What no module takes: with one or without any, the kernel's own file answers with an error. */
const attribute = (lsm: string): StepOf<"lsm.attribute"> => ({
  kind: "lsm.attribute",
  lsm,
  name: "exec",
  value: "tsrun-test no such label",
});

describe("attributes", () => {
  test.each(["", "apparmor", "no-such-module"])("reach the kernel (module %j)", (lsm) => {
    expect(attempt([attribute(lsm)])).toMatchObject({
      kind: "lsm.attribute",
      op: "write",
      path: "tsrun-test no such label",
    });
  });

  test("not the files that somebody has put into /proc (CVE-2019-16884)", () => {
    const fake = join(directory, "proc");
    for (const attr of ["thread-self/attr", "self/attr", "thread-self/attr/apparmor"]) {
      mkdirSync(join(fake, attr), { recursive: true });
      writeFileSync(join(fake, attr, "exec"), "");
    }
    for (const lsm of ["", "apparmor"]) {
      expect(attempt([...mounts(bind(fake, "/proc")), attribute(lsm)])).toMatchObject({ op: "write" });
      for (const attr of ["thread-self/attr", "self/attr", "thread-self/attr/apparmor"]) {
        expect(readFileSync(join(fake, attr, "exec"), "utf8")).toBe("");
      }
    }
  });

  test("a name that is no attribute is an error that names it", () => {
    const missing = { ...attribute("apparmor"), name: "no-such" };
    expect(attempt([missing])).toMatchObject({ op: "openat2", errno: 2, path: "thread-self/attr/no-such" });
    expect(attempt([{ ...attribute(""), name: "x".repeat(200) }])).toMatchObject({ op: "limit" });
  });
});

describe("labels of directories", () => {
  const label = (path: string, magic: number): StepOf<"fs.label"> => ({
    kind: "fs.label",
    path,
    magic,
    lsm: "tsrun-test",
    label: "a:b:c:d",
  });
  const TMPFS = 0x0102_1994;
  const tmpfs: StepOf<"mount.filesystem"> = {
    kind: "mount.filesystem",
    fsType: "tmpfs",
    source: "tmpfs",
    target: "",
    options: [],
    attr: 0,
    propagation: 0,
    noSymlinks: false,
    magic: TMPFS,
    copyUp: false,
    keepMode: false,
    mountFlags: 0,
  };

  test("are given to a file system of the right type only: a path may lead elsewhere by now", () => {
    const target = join(directory, "labelled");
    mkdirSync(target);
    const steps = [
      { kind: "ns.unshare", types: namespaceFlags.mount },
      { kind: "mount.propagation", flags: PRIVATE },
      { kind: "root.bind", path: "/", isolate: false },
      { ...tmpfs, target: target.slice(1) },
    ] as const satisfies ContainerStep[];
    expect(attempt([...steps, label(target.slice(1), TMPFS)])).toBeUndefined();
    expect(attempt([...steps, label("etc", TMPFS)])).toMatchObject({ kind: "fs.label", op: "verify", path: "etc" });
    expect(attempt([...steps, label("no/such", TMPFS)])).toMatchObject({ op: "openat2", errno: 2 });
  });
});
