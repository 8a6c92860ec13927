import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { labelledOptions, labelSteps, MOUNT_CONTEXT_ANNOTATION, mountLabel, withKeyLabel } from "./lsm.ts";

const facts = (...on: ("apparmor" | "selinux")[]) => ({
  lsm: { apparmor: on.includes("apparmor"), selinux: on.includes("selinux") },
});
const LABEL = "system_u:system_r:container_t:s0:c1,c2";

describe("process labels", () => {
  test("AppArmor's profile and SELinux's label are attributes of the next execve", () => {
    expect(labelSteps({ apparmorProfile: "web" }, facts("apparmor"))).toEqual([
      { kind: "lsm.attribute", lsm: "apparmor", name: "exec", value: "exec web" },
    ]);
    expect(labelSteps({ selinuxLabel: LABEL }, facts("selinux"))).toEqual([
      { kind: "lsm.attribute", lsm: "", name: "exec", value: LABEL },
    ]);
    expect(labelSteps({ apparmorProfile: "", selinuxLabel: "" }, facts())).toEqual([]);
  });

  test("a module that is off is an error, not a container without its protection", () => {
    expect(() => labelSteps({ apparmorProfile: "web" }, facts("selinux"))).toThrow(
      '/process/apparmorProfile: "web" asks for AppArmor, which is off here',
    );
    expect(() => labelSteps({ selinuxLabel: LABEL }, facts("apparmor"))).toThrow("/process/selinuxLabel");
  });

  test("unconfined is what a host without AppArmor gives, and is asked for where there is one", () => {
    expect(labelSteps({ apparmorProfile: "unconfined" }, facts())).toEqual([]);
    expect(labelSteps({ apparmorProfile: "unconfined" }, facts("apparmor"))).toMatchObject([
      { value: "exec unconfined" },
    ]);
  });

  test("keys are made with the label, which then no longer counts", () => {
    const make = [{ kind: "keyring.join", name: "_ses.web", permissions: 8 }] as const;
    expect(withKeyLabel({ selinuxLabel: LABEL }, facts("selinux"), make)).toEqual([
      { kind: "lsm.attribute", lsm: "", name: "keycreate", value: LABEL },
      ...make,
      { kind: "lsm.attribute", lsm: "", name: "keycreate", value: "" },
    ]);
    expect(withKeyLabel({}, facts("selinux"), make)).toEqual(make);
    expect(withKeyLabel({ selinuxLabel: LABEL }, facts("selinux"), [])).toEqual([]);
  });
});

describe("linux.mountLabel", () => {
  const of = (annotations: Record<string, string> = {}, on = facts("selinux")) =>
    mountLabel({
      config: { ociVersion: "1.3.0", annotations, linux: { mountLabel: LABEL } } as Config,
      facts: on as Parameters<typeof mountLabel>[0]["facts"],
    });

  test("is an option of new file systems, but of those that cannot take it", () => {
    const label = of();
    expect(labelledOptions("tmpfs", ["size=1m"], label)).toEqual(["size=1m", `context=${LABEL}`]);
    expect(labelledOptions("devpts", [], label)).toEqual([`context=${LABEL}`]);
    for (const type of ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"]) {
      expect(labelledOptions(type, [], label)).toEqual([]);
    }
    expect(labelledOptions("tmpfs", [], undefined)).toEqual([]);
  });

  test("a label of the mount's own stays, without mount(8)'s quotes", () => {
    expect(labelledOptions("tmpfs", ['context="a:b:c:s0:c3,c4"'], of())).toEqual(["context=a:b:c:s0:c3,c4"]);
    expect(labelledOptions("tmpfs", ["rootcontext=a:b:c:d"], of())).toEqual(["rootcontext=a:b:c:d"]);
  });

  test("crun's annotation names another of SELinux's options", () => {
    const label = of({ [MOUNT_CONTEXT_ANNOTATION]: "rootcontext" });
    expect(labelledOptions("tmpfs", [], label)).toEqual([`rootcontext=${LABEL}`]);
    expect(() => of({ [MOUNT_CONTEXT_ANNOTATION]: "size" })).toThrow(`/annotations/${MOUNT_CONTEXT_ANNOTATION}`);
  });

  test("without SELinux it is an error", () => {
    expect(() => of({}, facts("apparmor"))).toThrow("/linux/mountLabel");
  });
});
