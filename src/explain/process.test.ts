/** What this host need not have: security modules. The rest is in conformance-tests/runtime/explain.test.ts. */
import { expect, test } from "@jest/globals";
import type { Observed } from "../core/observed.ts";
import type { ExplainInput } from "./input.ts";
import { explainProcess } from "./process.ts";

const labels = (process: object, lsm: ExplainInput["facts"]["lsm"], files: Record<string, string>, atGate = false) => {
  const text = (file: string): Observed<string> => {
    const value = files[file];
    return value === undefined ? { unreadable: `no ${file}` } : { value };
  };
  const input = {
    config: { ociVersion: "1.3.0", process: { cwd: "/", ...process } },
    atGate,
    facts: { lsm },
    probe: { text, own: text },
  } as unknown as ExplainInput;
  return explainProcess(input).filter(({ name }) => /apparmor|selinux/.test(name));
};

const apparmor = { apparmor: true, selinux: false };
const current = "attr/apparmor/current";
const exec = "attr/apparmor/exec";

test.each([
  ["web", current, "web (enforce)\n", false, { verdict: "ok", actual: "web" }],
  ["web", current, "unconfined\n", false, { verdict: "differs", actual: "unconfined", configured: "web" }],
  ["web", exec, "exec web\n", true, { verdict: "ok", actual: "web" }],
  [undefined, current, "unconfined\n", false, { verdict: "info", actual: "unconfined" }],
  ["web", "none", "", false, { verdict: "unknown", configured: "web" }],
] as const)("AppArmor: %s configured, %s says %j", (apparmorProfile, file, text, atGate, wanted) => {
  expect(labels({ apparmorProfile }, apparmor, { [file]: text }, atGate)).toMatchObject([wanted]);
});

test("SELinux", () => {
  const label = "system_u:system_r:container_t:s0:c1,c2";
  const selinux = { apparmor: false, selinux: true };
  expect(labels({ selinuxLabel: label }, selinux, { "attr/current": `${label}\0` })).toMatchObject([{ verdict: "ok" }]);
  expect(labels({ selinuxLabel: label }, selinux, { "attr/current": "kernel\0" })).toMatchObject([
    { verdict: "differs", actual: "kernel" },
  ]);
});

test("without a security module there is nothing to tell", () => {
  expect(labels({}, { apparmor: false, selinux: false }, {})).toEqual([]);
});
