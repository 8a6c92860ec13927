/**
 * Row 11 of docs/security.md (CVE-2022-29162, CVE-2022-27650, CVE-2025-27612, CVE-2022-24769): an exec'd process has
 * inheritable or ambient capabilities that nobody asked for, so that a file with capabilities gives it more than it may have.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const NET_RAW = 1n << 13n;
const show = ["sh", "-c", "grep -E '^(Cap|Uid)' /proc/self/status"];
type Sets = Readonly<Record<string, bigint>>;
const parse = (text: string): Sets =>
  Object.fromEntries(
    [...text.matchAll(/^Cap(\w+):\s*([0-9a-f]+)$/gm)].map(([, name, mask]) => [name, BigInt(`0x${mask}`)]),
  );

/** A container whose process has two capabilities, none of them inheritable or ambient. */
function container(edit: (config: Config) => void = () => {}): string {
  const id = box.id();
  const bundle = box.bundle("sleep 1000", (config) => {
    const own = ["CAP_NET_RAW", "CAP_KILL"];
    config.process.capabilities = { bounding: own, effective: own, permitted: own };
    edit(config);
  });
  box.ok(["run", "--detach", "--bundle", bundle, id]);
  return id;
}
const none = { Inh: 0n, Amb: 0n };

describe("an exec'd process", () => {
  test("has no inheritable and no ambient capability, as root and as a user", () => {
    const id = container();
    for (const flags of [
      [],
      ["--user", "1000"],
      ["--cap", "CAP_CHOWN"],
      ["--user", "1000:1000", "--cap", "CAP_CHOWN"],
    ]) {
      const sets = parse(box.ok(["exec", ...flags, id, ...show]).stdout);
      expect(sets).toMatchObject(none);
    }
    box.ok(["delete", "--force", id]);
  });

  test("has no more in its bounding set than the container, and --cap adds what it names only", () => {
    const id = container();
    const own = (NET_RAW | (1n << 5n)) as bigint;
    expect(parse(box.ok(["exec", id, ...show]).stdout)).toMatchObject({ Bnd: own, Prm: own, Eff: own });
    const CHOWN = 1n;
    const more = parse(box.ok(["exec", "--cap", "CAP_CHOWN", id, ...show]).stdout);
    expect(more).toMatchObject({ Bnd: own | CHOWN, Prm: own | CHOWN, Eff: own | CHOWN, ...none });
    box.ok(["delete", "--force", id]);
  });

  test("as a user has none that counts, so a file with inheritable capabilities gives none", () => {
    const id = container();
    expect(parse(box.ok(["exec", "--user", "1000", id, ...show]).stdout)).toMatchObject({ Eff: 0n, Prm: 0n, ...none });
    box.ok(["delete", "--force", id]);
  });

  test("has inheritable and ambient ones where config.json asks for them, and --cap adds none (as runc)", () => {
    const id = container((config) => {
      config.process.capabilities.inheritable = ["CAP_NET_RAW"];
      config.process.capabilities.ambient = ["CAP_NET_RAW"];
    });
    const asked = { Inh: NET_RAW, Amb: NET_RAW };
    expect(parse(box.ok(["exec", id, ...show]).stdout)).toMatchObject(asked);
    expect(parse(box.ok(["exec", "--cap", "CAP_CHOWN", id, ...show]).stdout)).toMatchObject(asked);
    box.ok(["delete", "--force", id]);
  });

  test("of a file has what the file says, in each set", () => {
    const id = container();
    const file = join(box.work, "process.json");
    const process = (capabilities: object) => {
      writeFileSync(
        file,
        JSON.stringify({ cwd: "/", args: show, env: ["PATH=/bin"], user: { uid: 0, gid: 0 }, capabilities }),
      );
      return parse(box.ok(["exec", "--process", file, id]).stdout);
    };
    const bounding = ["CAP_NET_RAW"];
    expect(process({ bounding, effective: bounding, permitted: bounding })).toMatchObject({
      Bnd: NET_RAW,
      Prm: NET_RAW,
      ...none,
    });
    const all = { bounding, effective: bounding, permitted: bounding, inheritable: bounding, ambient: bounding };
    expect(process(all)).toMatchObject({ Inh: NET_RAW, Amb: NET_RAW });
    expect(process({})).toEqual({ Inh: 0n, Prm: 0n, Eff: 0n, Bnd: 0n, Amb: 0n });
    box.ok(["delete", "--force", id]);
  });
});

test("the container's own process has none either unless config.json says so", () => {
  const { stdout } = box.container(show);
  expect(parse(stdout)).toMatchObject(none);
});

test("no new privileges holds for exec, too", () => {
  const id = container((config) => {
    config.process.noNewPrivileges = true;
  });
  expect(box.ok(["exec", id, "grep", "NoNewPrivs", "/proc/self/status"]).stdout).toMatch(/\t1$/m);
  box.ok(["delete", "--force", id]);
});
