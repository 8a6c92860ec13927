/** Id-mapped mounts: which mapping a mount gets, what is refused, and that a mapping's user namespace is made once. */
import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import type { AbsPath } from "../core/brands.ts";
import type { HostFacts } from "../host/facts.ts";
import { renderFields } from "../plan/render.ts";
import type { CompileInput } from "./input.ts";
import { mountHostSteps, mountSteps } from "./mounts.ts";

type Mount = NonNullable<Config["mounts"]>[number];
type Linux = NonNullable<Config["linux"]>;
interface Request {
  readonly linux?: Linux;
  readonly uid?: number;
  readonly kernel?: readonly [number, number];
}

const range = (containerID: number, hostID: number, size: number) => [{ containerID, hostID, size }];
const own = { uidMappings: range(0, 1000, 10), gidMappings: range(0, 2000, 10) };
const mapped: Linux = {
  namespaces: [{ type: "mount" }, { type: "user" }],
  uidMappings: range(0, 100_000, 65_536),
  gidMappings: range(0, 200_000, 65_536),
};
const bind = (options: string[], more: Partial<Mount> = {}): Mount => ({
  destination: "/data",
  type: "bind",
  source: "/srv/data",
  options: ["bind", ...options],
  ...more,
});

function input(mounts: Mount[], { linux, uid = 0, kernel: [major, minor] = [6, 1] }: Request): CompileInput {
  return {
    bundle: "/bundle" as AbsPath,
    config: { ociVersion: "1.3.0", mounts, linux: { namespaces: [{ type: "mount" }], ...linux } },
    facts: {
      kernel: { release: "", major, minor },
      uid,
      lsm: { apparmor: false, selinux: false },
      cgroup: { mode: "none", hierarchies: [] },
    } as unknown as HostFacts,
  } as CompileInput;
}
function host(mounts: Mount[], request: Request = {}): string[] {
  const it = input(mounts, request);
  mountSteps(it, []);
  return mountHostSteps(it).map((step) => `${step.kind} ${renderFields(step)}`);
}

describe("the mapping", () => {
  test("is the mount's own; the container has the source from the host then", () => {
    expect(host([bind(["idmap"], own)])).toEqual([
      "mount.openTree source=/srv/data slot=<mount-0>",
      String.raw`userns.open uidMap="0 1000 10\n" gidMap="0 2000 10\n" slot=<idmap-0>`,
      "mount.idmap tree=<mount-0> userns=<idmap-0>",
    ]);
    expect(mountSteps(input([bind(["idmap"], own)], {}), [])[0]).toMatchObject({ slot: "mount-0" });
  });

  test("is the mount's own without the option, too, and of all below it with ridmap", () => {
    expect(host([bind([], own)])[2]).toBe("mount.idmap tree=<mount-0> userns=<idmap-0>");
    expect(host([bind(["rbind", "ridmap"], own)])).toEqual([
      "mount.openTree source=/srv/data recursive slot=<mount-0>",
      expect.stringContaining("userns.open"),
      "mount.idmap tree=<mount-0> userns=<idmap-0> recursive",
    ]);
  });

  test("is the container's where the mount has none; an empty one is none", () => {
    for (const more of [{}, { uidMappings: [], gidMappings: [] }]) {
      expect(host([bind(["idmap"], more)], { linux: mapped })[1]).toBe(
        String.raw`userns.open uidMap="0 100000 65536\n" gidMap="0 200000 65536\n" slot=<idmap-0>`,
      );
    }
    const joined: Linux = { namespaces: [{ type: "mount" }, { type: "user", path: "/proc/7/ns/user" }] };
    expect(host([bind(["idmap"])], { linux: joined })).toEqual([
      "mount.openTree source=/srv/data slot=<mount-0>",
      "mount.idmap tree=<mount-0> userns=<ns-user>",
    ]);
  });

  test("has one user namespace, however many mounts it is of", () => {
    const steps = host([bind(["idmap"]), bind(["idmap"], own), bind([], own), bind(["ridmap"])], { linux: mapped });
    expect(steps.filter((step) => step.startsWith("userns.open"))).toHaveLength(2);
    expect(steps.filter((step) => step.startsWith("mount.idmap")).map((step) => step.replace(/.*userns=/, ""))).toEqual(
      ["<idmap-0>", "<idmap-1>", "<idmap-1>", "<idmap-0> recursive"],
    );
  });

  test("can be in crun's words", () => {
    expect(host([bind(["idmap=uids=0-5-1#1-9-2;gids=3-4-5"])])[1]).toContain(
      String.raw`uidMap="0 5 1\n1 9 2\n" gidMap="3 4 5\n"`,
    );
    expect(host([bind(["ridmap=uids=@1-3-10;gids=@0-0-1"])], { linux: mapped })[1]).toContain(
      String.raw`uidMap="1 100003 10\n" gidMap="0 200000 1\n"`,
    );
  });
});

describe("refused, by its pointer", () => {
  const cases: readonly (readonly [string, Mount, Request, string])[] = [
    ["no mapping at all", bind(["idmap"]), {}, "/mounts/0/options: idmap has no mapping"],
    ["half a mapping", bind([], { uidMappings: range(0, 1, 1) }), {}, "/mounts/0: uidMappings and gidMappings"],
    ["an old kernel", bind(["idmap"], own), { kernel: [5, 11] }, "needs Linux 5.12"],
    ["a user without root", bind(["idmap"], own), { uid: 1000 }, "needs root on the host"],
    [
      "a mount namespace of somebody else's",
      bind(["idmap"], own),
      { linux: { namespaces: [{ type: "mount", path: "/x" }] } },
      "not possible in a mount namespace that is joined",
    ],
    ["a file system", { destination: "/t", type: "tmpfs", options: ["idmap"], ...own }, {}, "only a bind mount"],
    ["half of crun's", bind(["idmap=uids=0-1-1"]), {}, "uids and gids go together"],
    ["no range", bind(["idmap=uids=0-1-0;gids=0-0-1"]), {}, '"0-1-0" is no range of ids'],
    ["too many", bind(["idmap=uids=0-4294967295-2;gids=0-0-1"]), {}, "is no range of ids"],
    ["no such word", bind(["idmap=pids=0-1-1"]), {}, "neither uids= nor gids="],
    ["twice", bind(["idmap=uids=0-1-1;uids=0-1-1"]), {}, "or the second one"],
    ["outside of the container", bind(["idmap=uids=@0-70000-1;gids=0-0-1"]), { linux: mapped }, "in no single range"],
  ];
  test.each(cases)("%s", (_, mount, request, message) => {
    expect(() => host([mount], request)).toThrow(message);
  });
});

describe("an overlay", () => {
  const overlay = (options: string[]): Mount => ({
    destination: "/",
    type: "overlay",
    source: "overlay",
    options: ["lowerdir=/b:/a", "upperdir=/c/upper", "workdir=/c/work", ...options],
  });
  test("has its layers mapped by the host, which makes it; the container attaches it", () => {
    const request = { linux: mapped, kernel: [6, 1] as const };
    expect(host([overlay(["idmap"])], request)).toEqual([
      String.raw`userns.open uidMap="0 100000 65536\n" gidMap="0 200000 65536\n" slot=<idmap-0>`,
      'mount.overlay lowers=["/b","/a"] writable=/c upper=upper work=work userns=<idmap-0> slot=<mount-0>',
    ]);
    expect(mountSteps(input([overlay(["idmap"])], request), [])).toMatchObject([
      { kind: "mount.bind", slot: "mount-0", target: "", magic: 0x794c_7630 },
    ]);
  });
  test("without a mapping is the container's to mount", () => {
    expect(host([overlay([])], { linux: mapped })).toEqual([]);
    expect(mountSteps(input([overlay([])], {}), [])).toMatchObject([{ kind: "mount.filesystem", target: "" }]);
  });
  test("of more layers than an older kernel's mount(2) takes is made by the host, if root is", () => {
    const lower = Array.from({ length: 80 }, (_, i) => `/${"x".repeat(60)}${i}`).join(":");
    const long = { ...overlay([]), options: [`lowerdir=${lower}`, "upperdir=/c/upper", "workdir=/c/work"] };
    expect(host([long], { kernel: [5, 10] })).toEqual([
      expect.stringMatching(/^mount\.overlay lowers=\["\/x+0",.* slot=<mount-0>$/),
    ]);
    expect(mountHostSteps(input([long], { kernel: [6, 8] }))).toEqual([]);
    expect(() => host([long], { kernel: [5, 10], uid: 1000 })).toThrow(/of which mount\(2\) takes/);
  });
  test("another file system cannot be mapped", () => {
    const tmpfs = { ...overlay(["idmap"]), type: "tmpfs" };
    expect(() => host([tmpfs], { linux: mapped })).toThrow(/only a bind mount or the layers of an overlay/);
  });
});
