/**
 * Row 10 of docs/security.md (CVE-2016-3697, CVE-2026-30892, CVE-2024-40635, CVE-2026-46680): a text for a user that is
 * parsed into root, by the command line, by config.json or by the image's passwd file.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { type Config, isTsrun, Sandbox } from "../harness.ts";

let box: Sandbox;
let id: string;
beforeAll(() => {
  box = new Sandbox();
  id = box.id();
  const bundle = box.bundle("sleep 1000", (config, at) => {
    // Names that look like numbers, and numbers that are too large for one.
    writeFileSync(
      join(at, "rootfs/etc/passwd"),
      [
        "root:x:0:0:root:/root:/bin/sh",
        "1000:x:0:0:trap:/trap:/bin/sh",
        "evil:x:4294967296:4294967296:trap:/trap:/bin/sh",
        "-1:x:0:0:trap:/trap:/bin/sh",
        ":x:0:0:trap:/trap:/bin/sh",
        "",
      ].join("\n"),
    );
    config.process.user = { uid: 0, gid: 0 };
  });
  box.ok(["run", "--detach", "--bundle", bundle, id]);
});
afterAll(() => {
  box.ok(["delete", "--force", id]);
  box.close();
});

const who = "id -u; id -g; echo $HOME";
const exec = (user: string) => box.run(["exec", "--user", user, id, "sh", "-c", who]);
const onTsrun = isTsrun ? test : test.skip; // skipped: runc and crun take some of these texts

describe("exec --user", () => {
  onTsrun.each([
    "-1",
    "-0",
    "+0",
    "4294967295", // (uid_t)-1: "as it is" to setresuid
    "4294967296",
    "18446744073709551616",
    "99999999999999999999999999",
    "0x0",
    "00x1",
    "1e3",
    "0.0",
    "1 ",
    " 1",
    "1\n",
    "١",
    "root",
    "evil",
    "",
    ":",
    ":0",
    "1:",
    "1:-1",
    "1:4294967295",
    "1:2:3",
    "1:staff",
    "NaN",
    "Infinity",
    "null",
    "__proto__",
  ])("%j is refused", (user) => {
    const { status, stdout, stderr } = exec(user);
    expect({ status, stdout }).toEqual({ status: 255, stdout: "" });
    expect(stderr).toMatch(/--user|is not|number|id/);
  });

  test.each([
    ["0", "0", "0"],
    ["1000", "1000", "0"],
    ["1000:2000", "1000", "2000"],
    ["4294967294:4294967294", "4294967294", "4294967294"],
  ])("%s is that user, whatever the image's files call so", (user, uid, gid) => {
    const { stdout } = exec(user);
    expect(stdout.split("\n").slice(0, 2)).toEqual([uid, gid]);
    if (uid !== "0") expect(stdout).not.toContain("trap");
  });

  onTsrun("whatever the text, the program runs as the number that it says or not at all", () => {
    const piece = fc.constantFrom(
      "0",
      "1",
      "00",
      "429496729",
      "4294967295",
      "-",
      "+",
      ":",
      " ",
      "x",
      "e",
      ".",
      "\t",
      "root",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
        const user = pieces.join("");
        const { status, stdout } = exec(user);
        if (status !== 0) return;
        const [, uid, gid = "0"] = /^(\d+)(?::(\d+))?$/.exec(user) ?? [];
        expect(stdout.split("\n").slice(0, 2)).toEqual([String(Number(uid)), String(Number(gid))]);
      }),
      { numRuns: 40 },
    );
  });
});

describe("config.json", () => {
  const user = (value: unknown) =>
    box.run(
      [
        "run",
        "--bundle",
        box.bundle(who, (config: Config) => {
          config.process.user = value;
        }),
        box.id(),
      ],
      { suffix: "-2" },
    );

  onTsrun.each([
    [{ uid: -1 }],
    [{ uid: 4_294_967_295 }],
    [{ uid: 4_294_967_296 }],
    [{ uid: 1.5 }],
    [{ uid: "0" }],
    [{ uid: "1000" }],
    [{ uid: null }],
    [{ uid: [1000] }],
    [{ uid: 1000, gid: -1 }],
    [{ uid: 1000, gid: 4_294_967_295 }],
    [{ uid: 1000, additionalGids: [4_294_967_295] }],
    [{ uid: 1000, additionalGids: ["0"] }],
    ["root"],
  ])("%j is refused, by its pointer", (value) => {
    const { status, stdout, stderr } = user(value);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain("/process/user");
  });

  test("the largest ids are those ids", () => {
    const { stdout } = user({ uid: 4_294_967_294, gid: 4_294_967_294, additionalGids: [4_294_967_294] });
    expect(stdout).toMatch(/^4294967294\n4294967294\n/);
  });
});
