import { describe, expect, test } from "@jest/globals";
import { MOUNT_ATTR, MS } from "../compile/mount-options.ts";
import { type ContainerStep, linkRules, type StepOf } from "../plan/vocabulary.ts";
import { attributeWords, expectedMounts, propagationWord } from "./expected-mounts.ts";

const filesystem = (target: string, attr = 0): StepOf<"mount.filesystem"> => ({
  kind: "mount.filesystem",
  fsType: "tmpfs",
  source: "tmpfs",
  target,
  options: ["size=1m"],
  attr,
  propagation: 0,
  noSymlinks: false,
  magic: 0,
  copyUp: false,
  keepMode: false,
  mountFlags: 0,
});
const bind = (target: string, fields: Partial<StepOf<"mount.bind">> = {}): StepOf<"mount.bind"> => ({
  kind: "mount.bind",
  source: "/host",
  slot: null,
  target,
  recursive: false,
  attrSet: 0,
  attrClear: 0,
  attrRecursive: false,
  propagation: 0,
  noSymlinks: false,
  magic: 0,
  links: 0,
  ...fields,
});
const mounts = (...container: ContainerStep[]) => expectedMounts({ title: "create x", host: [], container });
const targets = (...steps: ContainerStep[]) => mounts(...steps).map(({ target, kind }) => `${kind} ${target}`);

describe("the mounts that a plan leaves", () => {
  test("each place has what was mounted last, and what is hidden by it is gone", () => {
    expect(targets(filesystem("a/b"), filesystem("a"), filesystem("ab"), bind("ab"))).toEqual([
      "filesystem /a",
      "bind /ab",
    ]);
    const masked: ContainerStep = { kind: "path.mask", path: "a", context: "" };
    expect(targets(filesystem("a/b"), masked)).toEqual(["mask /a"]);
  });

  test("a path that is bound over itself brings along what is mounted below", () => {
    expect(targets(filesystem("a/b"), { kind: "path.readonly", path: "a" })).toEqual([
      "filesystem /a/b",
      "readonly /a",
    ]);
  });

  test("later changes count", () => {
    const { RDONLY, NOSUID } = MOUNT_ATTR;
    const change = (fields: object): ContainerStep =>
      ({
        kind: "mount.attributes",
        target: "a",
        set: 0,
        clear: 0,
        recursive: false,
        propagation: 0,
        ...fields,
      }) as const;
    const [mount] = mounts(
      filesystem("a", NOSUID),
      change({ set: RDONLY }),
      change({ clear: NOSUID }),
      change({ propagation: MS.SLAVE | MS.REC }),
    );
    expect(attributeWords(mount?.set ?? 0)).toEqual(["ro"]);
    expect(attributeWords(mount?.clear ?? 0)).toEqual(expect.arrayContaining(["nosuid", "nodev", "noexec"]));
    expect(propagationWord(mount?.propagation ?? 0)).toBe("slave");
  });

  test("a link that is copied is no mount", () => {
    expect(targets(bind("a", { links: linkRules.copy }))).toEqual([]);
  });
});
