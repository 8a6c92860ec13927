/** Row 23 of docs/security.md (CVE-2023-25173, CVE-2025-47291): the effective state is what was asked for: groups, cgroup. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { type Config, RUNTIME, Sandbox } from "../harness.ts";

let box: Sandbox;
beforeAll(() => {
  box = new Sandbox();
});
afterAll(() => box.close());

const groups = "grep ^Groups /proc/self/status";
const parse = (text: string): string => (/^Groups:\t(.*)$/m.exec(text)?.[1] ?? "?").trim();

describe("supplementary groups", () => {
  test("are those of config.json, none of the caller's and none of the image's", () => {
    const bundle = (additionalGids?: number[]) =>
      box.bundle(groups, (config: Config) => {
        config.process.user = { uid: 1000, gid: 1000, ...(additionalGids !== undefined && { additionalGids }) };
      });
    const run = (path: string) =>
      // A caller who is in groups of the host.
      spawnSync("setpriv", ["--groups", "4,27,999", RUNTIME, "--root", box.root, "run", "--bundle", path, box.id()], {
        encoding: "utf8",
        env: { PATH: process.env.PATH },
      }).stdout;
    expect(parse(run(bundle()))).toBe("");
    expect(parse(run(bundle([5, 6])))).toBe("5 6");
  });

  test("of an exec'd process are the container's and those that are added", () => {
    const id = box.id();
    const bundle = box.bundle("sleep 1000", (config: Config) => {
      config.process.user = { uid: 1000, gid: 1000, additionalGids: [5] };
    });
    box.ok(["run", "--detach", "--bundle", bundle, id]);
    expect(parse(box.ok(["exec", id, "sh", "-c", groups]).stdout)).toBe("5");
    expect(parse(box.ok(["exec", "-g", "77", id, "sh", "-c", groups]).stdout)).toBe("5 77");
    box.ok(["delete", "--force", id]);
  });
});

test("below a user namespace the process stands in its cgroup, not in tsrun's", () => {
  let path = "";
  const bundle = box.bundle("cat /proc/self/cgroup", (config: Config) => {
    const mapping = [{ containerID: 0, hostID: 300_000, size: 65_536 }];
    path = config.linux.cgroupsPath;
    config.linux.namespaces = config.linux.namespaces.filter(({ type }: { type: string }) => type !== "cgroup");
    config.linux.namespaces.push({ type: "user" });
    config.linux.uidMappings = mapping;
    config.linux.gidMappings = mapping;
  });
  spawnSync("chown", ["-R", "300000:300000", bundle]);
  const { stdout } = box.ok(["run", "--bundle", bundle, box.id()]);
  const lines = stdout.split("\n").filter((line) => line !== "");
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(line.split(":").slice(2).join(":")).toBe(path);
});
