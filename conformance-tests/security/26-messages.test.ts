/**
 * Row 26 of docs/security.md: what an image or a bundle says is written into the terminal of whoever runs it, where it moves
 * the cursor or gives orders, or begins a line of its own in an error or a log.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

/** A title for the terminal's window, red, an order of eight bits, backwards; and a line. */
const orders = "\u001b]2;owned\u0007\u001b[31m\u009b2J\u202e";
const forged = "\ntsrun: all is well";
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const dangerous = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;
const onTsrun = isTsrun ? describe : describe.skip; // skipped: peers write what they find

onTsrun("an error about a file of the image", () => {
  const bundle = (): string =>
    box.bundle(["/bin/evil"], (_, at) => {
      // The kernel takes the first word for the interpreter.
      writeFileSync(join(at, "rootfs/bin/evil"), `#!/no/such${orders}\n`, { mode: 0o755 });
    });

  test("has nothing of it on standard error but what can be read", () => {
    const { status, stderr } = box.run(["run", "--bundle", bundle(), box.id()]);
    expect(status).toBe(1);
    expect(stderr).toContain("/no/such\\u001b]2;owned\\u0007\\u001b[31m\\u009b2J\\u202e");
    expect(stderr).not.toMatch(dangerous);
  });

  test("nor in a log and beside it", () => {
    for (const format of ["text", "json"]) {
      const log = join(box.work, `log-${format}`);
      const { stderr } = box.run(["run", "--bundle", bundle(), box.id()], {
        global: ["--log", log, "--log-format", format],
      });
      expect(stderr).toContain("/no/such");
      expect(stderr).not.toMatch(dangerous);
      const text = readFileSync(log, "utf8");
      expect(text.trimEnd().split("\n")).toHaveLength(1);
      if (format === "text") expect(text).not.toMatch(dangerous);
      else expect(JSON.parse(text).msg).toContain("/no/such");
    }
  });
});

onTsrun("a bundle", () => {
  /** Names and values of a configuration that somebody else has written. */
  const hostile = (): string =>
    box.bundle(["true"], (config) => {
      config.process.cwd = `/${orders}${forged}`;
      config.mounts.push({ destination: `/tmp/a${orders}${forged}`, type: "tmpfs", source: "tmpfs" });
      config.linux.sysctl = { [`vm.x${orders}${forged}`]: "1" };
    });

  test.each(["run", "create", "validate", "plan"])("says nothing to the terminal through %s", (verb) => {
    const args =
      { run: ["run", "--bundle"], create: ["create", "--bundle"], validate: ["validate"], plan: ["plan"] }[verb] ?? [];
    const { stdout, stderr } = box.run([
      ...args,
      hostile(),
      ...(verb === "run" || verb === "create" ? [box.id()] : []),
    ]);
    expect(stdout + stderr).not.toBe("");
    expect(stdout + stderr).not.toMatch(dangerous);
    expect(`\n${stdout}${stderr}`).not.toContain(forged);
  });

  test("that is right has a plan that can be read", () => {
    const bundle = box.bundle(["true"], (config) => {
      config.mounts.push({ destination: `/tmp/a${orders}${forged}`, type: "tmpfs", source: "tmpfs" });
    });
    const { stdout } = box.ok(["plan", bundle]);
    expect(stdout).toContain("owned");
    expect(stdout).not.toMatch(dangerous);
    expect(stdout).not.toContain(forged);
  });

  test("whose path has orders in it is listed without them", () => {
    const id = box.id();
    const folder = join(box.work, `b${orders}`);
    mkdirSync(folder);
    const bundle = box.bundle("sleep 1000");
    writeFileSync(
      join(folder, "config.json"),
      readFileSync(join(bundle, "config.json"), "utf8").replace('"rootfs"', JSON.stringify(join(bundle, "rootfs"))),
    );
    box.ok(["create", "--bundle", folder, id]);
    const { stdout } = box.ok(["list"], { suffix: "-2" });
    expect(stdout).toContain("owned");
    expect(stdout).not.toMatch(dangerous);
    box.ok(["delete", "--force", id]);
  });
});

onTsrun("an archive", () => {
  test("with names that are orders is refused in words that are none", () => {
    // A file below another file, which cannot be made.
    const name = `a${orders}`;
    const header = (path: string, size: number): Buffer => {
      const block = Buffer.alloc(512);
      block.write(path, 0);
      block.write("0000644\u00000000000\u00000000000\u0000", 100);
      block.write(`${size.toString(8).padStart(11, "0")}\u000000000000000\u0000        0`, 124);
      block.write("ustar\u000000", 257);
      const sum = block.reduce((total, byte) => total + byte, 0);
      block.write(`${sum.toString(8).padStart(6, "0")}\u0000 `, 148);
      return block;
    };
    const archive = join(box.work, "archive.tar");
    writeFileSync(archive, Buffer.concat([header(name, 0), header(`${name}/b`, 0), Buffer.alloc(1024)]));
    const { status, stderr } = box.run(["unpack", archive, join(box.work, "unpacked")]);
    expect(status).toBe(1);
    expect(stderr).toContain("owned");
    expect(stderr).not.toMatch(dangerous);
  });
});
