import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { validateConfig } from "../bundle/validate.ts";
import { defaultConfig } from "./spec-template.ts";

const runcThere = (() => {
  try {
    return execFileSync("runc", ["--version"], { encoding: "utf8" }) !== "";
  } catch {
    return false;
  }
})();

describe.each([false, true])("the template, rootless %s", (rootless) => {
  test("is a valid configuration and plain data", () => {
    const config = defaultConfig({ rootless });
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
    expect(validateConfig(JSON.stringify(config, null, 2))).toEqual([]);
  });

  (runcThere ? test : test.skip)("means what `runc spec` means (skipped without runc)", () => {
    const directory = mkdtempSync(join(tmpdir(), "tsrun-spec-"));
    try {
      execFileSync("runc", ["spec", ...(rootless ? ["--rootless"] : [])], { cwd: directory });
      const theirs = JSON.parse(readFileSync(join(directory, "config.json"), "utf8")) as Config;
      const ours = defaultConfig({
        rootless,
        // runc adds it by what /sys/fs/cgroup is.
        unifiedCgroups: theirs.linux?.namespaces?.some(({ type }) => type === "cgroup"),
      });
      // What differs on purpose: the version, the name, and what runc 1.1 and later versions of it do differently.
      const { ambient: _, ...capabilities } = theirs.process?.capabilities ?? {};
      const masked = new Set([...(theirs.linux?.maskedPaths ?? []), "/sys/devices/virtual/tpm"]);
      expect(ours).toEqual({
        ...theirs,
        ociVersion: "1.3.0",
        hostname: "tsrun",
        process: { ...theirs.process, capabilities },
        linux: { ...theirs.linux, maskedPaths: [...masked] },
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

test("a cgroup namespace comes with cgroup v2", () => {
  const types = (unifiedCgroups: boolean) =>
    defaultConfig({ rootless: false, unifiedCgroups }).linux?.namespaces?.map(({ type }) => type);
  expect(types(true)).toEqual([...(types(false) ?? []), "cgroup"]);
});
