/** Row 14 of docs/security.md (GHSA-g54h-m393-cpwq): devices that nobody allowed are allowed. */
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

/** Makes nodes and opens them. /dev/kmsg (1:11) and /dev/mem (1:1) are there on every host; the root disk may not be. */
const script = [
  "cd /tmp",
  "for d in 'kmsg c 1 11' 'mem c 1 1' 'port c 1 4' 'disk b 8 0' 'loop b 7 0'; do set -- $d",
  "mknod $1 $2 $3 $4 2>/dev/null && echo made $1",
  "dd if=$1 of=/dev/null bs=1 count=1 2>/dev/null && echo read $1",
  "dd if=/dev/null of=$1 2>/dev/null && test ! -f $1 && echo wrote $1",
  "done",
  "for d in null zero full random urandom; do dd if=/dev/$d of=/dev/null bs=1 count=1 2>/dev/null && echo default $d; done",
  "echo x >/dev/null && echo default write",
].join("\n");
function hostile(config: Config): void {
  for (const set of ["bounding", "effective", "permitted"])
    config.process.capabilities[set].push("CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYS_RAWIO", "CAP_DAC_OVERRIDE");
  config.root.readonly = false;
}
const defaults = ["null", "zero", "full", "random", "urandom", "write"].map((name) => `default ${name}`);

describe("only the default devices can be used", () => {
  test.each<[string, (config: Config) => void]>([
    ["with the rules of `spec`", () => {}],
    ["without device rules", (config) => delete config.linux.resources.devices],
    ["with an empty list of rules", (config) => (config.linux.resources.devices = [])],
    ["without resources", (config) => delete config.linux.resources],
    [
      "with a rule for another device",
      (config) => (config.linux.resources.devices = [{ allow: true, type: "c", major: 10, minor: 229, access: "rwm" }]),
    ],
    [
      "with a rule that allows nothing",
      (config) => (config.linux.resources.devices = [{ allow: false, access: "rwm" }]),
    ],
  ])("%s", (_, edit) => {
    const { stdout, stderr } = box.container(script, (config) => {
      hostile(config);
      edit(config);
    });
    expect(stderr).toBe("");
    const lines = stdout.split("\n").filter((line) => line !== "");
    // runc's default: nodes may be made, for images are unpacked in containers; what they stand for may not be used.
    expect(lines.filter((line) => !line.startsWith("made "))).toEqual(defaults);
  });

  test("and what a rule allows, which shows that the others are refused by the rules", () => {
    const { stdout } = box.container(script, (config) => {
      hostile(config);
      config.linux.resources.devices = [
        { allow: false, access: "rwm" },
        { allow: true, type: "c", major: 1, minor: 11, access: "rwm" },
      ];
    });
    expect(stdout).toContain("made kmsg\n");
    expect(stdout).not.toMatch(/(read|wrote) (mem|port|disk|loop)/);
  });
});

test("exec'd processes are bound by the same rules", () => {
  const id = box.id();
  box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000", hostile), id]);
  const { stdout } = box.run(["exec", id, "sh", "-c", script]);
  expect(stdout).not.toMatch(/^(read|wrote) /m);
  expect(stdout).toContain("default null\n");
  box.ok(["delete", "--force", id]);
});
