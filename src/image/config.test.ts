/** config.json of a container of an image: valid, complete, and what each option of the caller's changes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { configSchema } from "../../spec-schemas/config.ts";
import { checkRules } from "../bundle/rules.ts";
import { compileCreate } from "../compile/create.ts";
import { plainOptions } from "../compile/input.fixture.ts";
import { type AbsPath, containerId } from "../core/brands.ts";
import { hostFactsFromJson } from "../host/facts-json.ts";
import { defaultConfig } from "../lifecycle/spec-template.ts";
import { type ContainerOptions, containerConfig, type OverlayRoot } from "./config.ts";
import type { Converted } from "./convert.ts";

const root: OverlayRoot = {
  layers: ["/store/a", "/store/b"] as AbsPath[],
  upper: "/bundle/overlay/upper" as AbsPath,
  work: "/bundle/overlay/work" as AbsPath,
  idmap: false,
  userxattr: false,
};
const options: ContainerOptions = {
  hostname: "web",
  terminal: false,
  readonly: false,
  network: "none",
  capabilities: ["CAP_CHOWN"],
  noNewPrivileges: false,
  seccomp: undefined,
  mounts: [],
  resources: {},
  cgroupsPath: undefined,
  mappings: undefined,
};
const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const image: Converted = {
  process: { args: ["sh"], env: ["PATH=/bin"], cwd: "/srv", user: { uid: 0, gid: 0 } },
  annotations: { a: "1" },
  warnings: [],
};

interface Change extends Partial<ContainerOptions> {
  readonly rootless?: boolean;
  readonly volumes?: readonly string[];
  readonly overlay?: Partial<OverlayRoot>;
  readonly process?: Partial<Converted["process"]>;
}
/** Made, and checked as create checks it: by the schema, the rules between fields, and the compiler. */
function made({ rootless = false, volumes = [], overlay = {}, process, ...more }: Change = {}) {
  const config = containerConfig({
    template: defaultConfig({ rootless, unifiedCgroups: true }),
    image: { ...image, process: { ...image.process, ...process } },
    volumes,
    root: { ...root, ...overlay },
    options: { ...options, ...more },
  });
  expect(configSchema.parse(config)).toEqual(config);
  expect(checkRules(config).filter(({ severity }) => severity === "error")).toEqual([]);
  const file = join(__dirname, `../compile/golden/${rootless ? "rootless" : "v2"}.host.json`);
  compileCreate({
    id: containerId("web"),
    bundle: "/bundle" as AbsPath,
    rootfs: "/bundle/rootfs" as AbsPath,
    config,
    facts: hostFactsFromJson(readFileSync(file, "utf8"), file),
    options: { ...plainOptions, console: { kind: "pair" } },
  });
  return config;
}
const namespaces = (config: ReturnType<typeof made>) => config.linux?.namespaces?.map(({ type }) => type).sort();

test("the image's part", () => {
  const config = made();
  expect(config).toMatchObject({
    process: { args: ["sh"], env: ["PATH=/bin"], cwd: "/srv", user: { uid: 0, gid: 0 }, terminal: false },
    root: { path: "rootfs", readonly: false },
    annotations: { a: "1" },
    hostname: "web",
  });
  expect(config.process?.rlimits).toBeUndefined();
});

describe("the root", () => {
  const overlay = (change: Change) => made(change).mounts?.[0];
  test("is the first mount: the topmost layer first", () => {
    expect(overlay({})).toEqual({
      destination: "/",
      type: "overlay",
      source: "overlay",
      options: ["lowerdir=/store/b:/store/a", "upperdir=/bundle/overlay/upper", "workdir=/bundle/overlay/work"],
    });
  });
  test("has its layers' ids mapped in a user namespace, or marks of the user's own", () => {
    const mappings = { uids: ids, gids: ids };
    expect(overlay({ overlay: { idmap: true }, mappings })?.options?.at(-1)).toBe("idmap");
    const own = [{ containerID: 0, hostID: 1000, size: 1 }];
    const rootless = { rootless: true, mappings: { uids: own, gids: own } };
    expect(overlay({ ...rootless, overlay: { userxattr: true } })?.options?.at(-1)).toBe("userxattr");
  });
  test("needs a layer", () => {
    expect(() => overlay({ overlay: { layers: [] } })).toThrow(/the image has no layers/);
  });
  test.each([",", ":", "\\", '"'])("takes no path with %j, which mount options could not hold", (character) => {
    expect(() => overlay({ overlay: { layers: [`/store/${character}x`] as AbsPath[] } })).toThrow(
      /cannot be in a layer's path/,
    );
  });
});

describe("namespaces", () => {
  test("all, with loopback only", () => {
    expect(namespaces(made())).toEqual(["cgroup", "ipc", "mount", "network", "pid", "uts"]);
  });
  test("the host's network brings the files that names are looked up by", () => {
    const config = made({ network: "host" });
    expect(namespaces(config)).toEqual(["cgroup", "ipc", "mount", "pid", "uts"]);
    expect(config.mounts?.slice(-2).map(({ destination }) => destination)).toEqual(["/etc/hosts", "/etc/resolv.conf"]);
  });
  test("a user's; the host's network has no new sysfs then", () => {
    const mappings = { uids: ids, gids: ids };
    const sys = (change: Change) => made(change).mounts?.find(({ destination }) => destination === "/sys");
    expect(namespaces(made({ mappings }))).toContain("user");
    expect(made({ mappings }).linux).toMatchObject({ uidMappings: ids, gidMappings: ids });
    expect(sys({ mappings })?.type).toBe("sysfs");
    expect(sys({ mappings, network: "host" })).toMatchObject({
      source: "/sys",
      options: expect.arrayContaining(["rbind", "ro"]),
    });
    expect(sys({ network: "host" })?.type).toBe("sysfs");
  });
  test("without an id for the group tty, terminals belong to no group", () => {
    const pts = (size: number) => {
      const mappings = { uids: ids, gids: [{ containerID: 0, hostID: 100_000, size }] };
      return made({ mappings }).mounts?.find(({ type }) => type === "devpts")?.options;
    };
    expect(pts(6)).toContain("gid=5");
    expect(pts(5)).not.toContain("gid=5");
  });
  test("a user who is not mapped there is an error that names every id", () => {
    const mappings = { uids: ids, gids: [{ containerID: 0, hostID: 1, size: 1 }] };
    const user = { uid: 70_000, gid: 5, additionalGids: [0, 7] };
    expect(() => made({ mappings, process: { user } })).toThrow(/^user 70000, group 5, group 7: not among the ids/);
  });
});

describe("privileges", () => {
  test("root has what was chosen, another user only the bounding set", () => {
    const chosen = ["CAP_CHOWN"];
    expect(made().process?.capabilities).toEqual({ bounding: chosen, effective: chosen, permitted: chosen });
    const user = { uid: 1, gid: 1 };
    expect(made({ process: { user } }).process?.capabilities).toEqual({
      bounding: chosen,
      effective: [],
      permitted: [],
    });
  });
  test("new ones only if they are not forbidden; a filter only if one is given", () => {
    expect(made().process?.noNewPrivileges).toBe(false);
    expect(made({ noNewPrivileges: true }).process?.noNewPrivileges).toBe(true);
    expect(made().linux?.seccomp).toBeUndefined();
    const seccomp = { defaultAction: "SCMP_ACT_ALLOW" as const };
    expect(made({ seccomp }).linux?.seccomp).toEqual(seccomp);
  });
  test("what the specification's template hides is hidden", () => {
    const { maskedPaths, readonlyPaths, resources } =
      defaultConfig({ rootless: false, unifiedCgroups: true }).linux ?? {};
    expect(made({ resources: { pids: { limit: 5 } } }).linux).toMatchObject({
      maskedPaths,
      readonlyPaths,
      resources: { ...resources, pids: { limit: 5 } },
    });
  });
});

describe("mounts", () => {
  const bind = (destination: string) => ({ destination, type: "bind", source: "/host", options: ["rbind"] });
  const behind = (change: Change) =>
    made(change)
      .mounts?.slice(made().mounts?.length)
      .map(({ destination, type }) => `${destination} ${type}`);
  test("come behind the usual ones, parents first", () => {
    expect(behind({ mounts: [bind("/a/b/c"), bind("/z"), bind("/a/b")] })).toEqual([
      "/z bind",
      "/a/b bind",
      "/a/b/c bind",
    ]);
  });
  test("of a read-only root include the image's volumes, but where the caller has something else", () => {
    const change = { volumes: ["/data", "var/lib/x/", "/", "/.."], mounts: [bind("/data/")] };
    expect(behind(change)).toEqual(["/data/ bind"]);
    expect(made({ readonly: true }).root?.readonly).toBe(true);
    expect(behind({ ...change, readonly: true })).toEqual(["/data/ bind", "/var/lib/x tmpfs"]);
  });
});

test("a terminal's programs are told its kind, unless the image does", () => {
  expect(made({ terminal: true }).process).toMatchObject({ terminal: true, env: ["PATH=/bin", "TERM=xterm"] });
  expect(made({ terminal: true, process: { env: ["TERM=x"] } }).process?.env).toEqual(["TERM=x"]);
});
