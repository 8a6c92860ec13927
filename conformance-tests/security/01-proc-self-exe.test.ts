/**
 * Row 1 of docs/security.md (CVE-2019-5736): a container overwrites the runtime through /proc/self/exe. Tried from an
 * entrypoint, from a script's interpreter, and by a neighbour with every capability that looks at tsrun-init in the pid
 * namespace that both are in.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { type Config, isTsrun, RUNTIME, Sandbox, waitFor } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

/** Everything of the installation that a container could have in its hands. */
function installation(): string[] {
  const runtime = realpathSync(RUNTIME);
  const root = resolve(runtime, "../..");
  const programs = ["main.cjs", "control.cjs", "container.cjs", "tsrun.cjs"].map((name) => `dist/${name}`);
  const files = ["build/Release/tsrun.node", "build/Release/tsrun-init", ...programs];
  const node = join(root, "dist/node-path");
  return [
    runtime,
    ...(isTsrun ? files.map((name) => join(root, name)) : []),
    ...(isTsrun && existsSync(node) ? [readFileSync(node, "utf8").trim()] : []),
  ];
}
const hashes = () => installation().map((path) => createHash("sha256").update(readFileSync(path)).digest("hex"));
let before: string[];
beforeEach(() => {
  before = hashes();
});
afterEach(() => expect(hashes()).toEqual(before));

/** A container that may do all that a hostile image can ask for. */
function powerful(config: Config): void {
  const all = [
    ...config.process.capabilities.bounding,
    "CAP_SYS_PTRACE",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_SYS_ADMIN",
    "CAP_FOWNER",
  ];
  for (const set of ["bounding", "effective", "permitted"]) config.process.capabilities[set] = all;
  config.process.noNewPrivileges = false;
  config.root.readonly = false;
}

const onTsrun = isTsrun ? test : test.skip; // skipped: the words are tsrun's

describe("as the program", () => {
  onTsrun("/proc/self/exe is tsrun-init, which does nothing", () => {
    const { status, stderr } = box.container(["/proc/self/exe", "7"], powerful);
    expect(stderr).toContain("tsrun-init: ");
    expect(status).toBe(125);
  });

  onTsrun("a script of which it is the interpreter does nothing either, in run and in exec", () => {
    const bundle = box.bundle("sleep 1000", (config, at) => {
      powerful(config);
      writeFileSync(join(at, "rootfs/bin/evil"), "#!/proc/self/exe\n", { mode: 0o755 });
    });
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", bundle, id]);
    const { stderr } = box.run(["exec", id, "/bin/evil"]);
    expect(stderr).toContain("tsrun-init: ");
    box.ok(["delete", "--force", id]);
  });
});

describe("of tsrun-init, in the hands of a neighbour", () => {
  /**
   * The victim is created, so its tsrun-init waits as pid 1 of a pid namespace that the attacker joins. The attacker
   * holds its executable open while it runs, and writes when it has gone: until then the kernel says ETXTBSY anyhow.
   */
  test("cannot be written, neither while it runs nor afterwards, and is no file of the host", () => {
    const victim = box.id();
    box.ok(["create", "--bundle", box.bundle("sleep 1000"), victim]);
    const { pid } = box.state(victim);
    const attacker = box.id();
    const script = [
      "readlink /proc/1/exe",
      "exec 9</proc/1/exe",
      "(echo evil >/proc/1/exe) && echo wrote-running",
      "(echo evil >>/proc/1/exe) && echo wrote-running",
      "touch /tmp/holding",
      "while readlink /proc/1/exe | grep -q -e tsrun-init -e runc -e crun; do sleep 0.05; done",
      "(echo evil >/proc/self/fd/9) && echo wrote",
      "(echo evil >>/proc/self/fd/9) && echo wrote",
      "(dd if=/dev/zero of=/proc/self/fd/9 bs=16 count=1 conv=notrunc) && echo wrote",
      "truncate -s 0 /proc/self/fd/9 && echo wrote",
      "chmod 777 /proc/self/fd/9",
      "echo done",
    ].join("\n");
    const bundle = box.bundle(script, (config) => {
      powerful(config);
      config.linux.namespaces.find(({ type }: { type: string }) => type === "pid").path = `/proc/${pid}/ns/pid`;
    });
    box.ok(["run", "--detach", "--bundle", bundle, attacker]);
    // Its own files: the calls below have others.
    const output = join(box.work, "stdout");
    waitFor("the attacker to hold the file", () => existsSync(join(bundle, "rootfs/tmp/holding")));
    const said = () => readFileSync(output, "utf8");
    const link = said().split("\n")[0] ?? "";
    expect(link).toMatch(/tsrun-init|runc|crun/);
    // Not a path of the host's.
    expect(existsSync(link)).toBe(false);
    box.ok(["start", victim], { suffix: "-2" });
    waitFor("the attacker's end", () => said().includes("done\n"));
    expect(said()).not.toContain("wrote");
    box.ok(["delete", "--force", attacker], { suffix: "-2" });
    box.ok(["delete", "--force", victim]);
  });
});
