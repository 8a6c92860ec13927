/** Row 16 of docs/security.md (CVE-2025-24965): a file of the runtime's own is written where somebody's link leads. */
import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { isTsrun, Sandbox } from "../harness.ts";

let box: Sandbox;
let folder: string;
beforeAll(() => {
  box = new Sandbox();
  // A folder of somebody else's, who knows what the pid file will be called until it is whole.
  folder = join(box.work, "shared");
  mkdirSync(folder);
});
afterAll(() => box.close());

const onTsrun = isTsrun ? test : test.skip; // skipped: the name is tsrun's
onTsrun.each(["create", "exec"])(
  "the pid file of %s is not written through a link under its temporary name",
  (verb) => {
    const id = box.id();
    const victim = join(folder, `victim-${verb}`);
    writeFileSync(victim, "untouched");
    const pidFile = join(folder, `pid-${verb}`);
    symlinkSync(victim, `${pidFile}.tsrun-${id}`);
    const bundle = box.bundle("sleep 1000");
    if (verb === "create") box.ok(["create", "--pid-file", pidFile, "--bundle", bundle, id]);
    else {
      box.ok(["run", "--detach", "--bundle", bundle, id]);
      box.ok(["exec", "--pid-file", pidFile, id, "true"], { suffix: "-2" });
    }
    expect(readFileSync(victim, "utf8")).toBe("untouched");
    expect(lstatSync(pidFile).isFile()).toBe(true);
    expect(readFileSync(pidFile, "utf8")).toMatch(/^\d+$/);
    expect(existsSync(`${pidFile}.tsrun-${id}`)).toBe(false);
    box.ok(["delete", "--force", id]);
  },
);
