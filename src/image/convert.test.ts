/** conversion.md of image-spec, rule by rule. */
import { describe, expect, test } from "@jest/globals";
import { type ImageConfig, imageConfigSchema } from "../../spec-schemas/image.ts";
import { convertImage, DEFAULT_PATH } from "./convert.ts";
import { withOverrides } from "./overrides.ts";

const files = { passwd: () => "web:x:1000:1001::/srv:/bin/sh\n", group: () => "www:x:33:web\n" };
type Part = Partial<Omit<ImageConfig, "config">>;
const image = (config: NonNullable<ImageConfig["config"]> = {}, more: Part = {}): ImageConfig =>
  imageConfigSchema.parse({
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [] },
    config: { Cmd: ["/bin/sh"], ...config },
    ...more,
  });
const host = { os: "linux", architecture: "amd64" };
const convert = (...[config, more]: Parameters<typeof image>) => convertImage(image(config, more), files, host);

describe("verbatim", () => {
  test("WorkingDir; the root without one", () => {
    expect(convert({ WorkingDir: "/srv/../x" }).process.cwd).toBe("/srv/../x");
    for (const none of ["", null, undefined]) expect(convert({ WorkingDir: none }).process.cwd).toBe("/");
    expect(() => convert({ WorkingDir: "srv" })).toThrow(/working directory "srv" is not an absolute path/);
  });
  test("Env, in its order; PATH only where there is none", () => {
    expect(convert({ Env: ["B=1", "A=", "B=2"] }).process.env).toEqual(["B=1", "A=", "B=2", DEFAULT_PATH]);
    expect(convert({ Env: ["PATH=/x", "A=1"] }).process.env).toEqual(["PATH=/x", "A=1"]);
    // Of another name, and empty: still the image's.
    expect(convert({ Env: ["PATHS=/x"] }).process.env).toEqual(["PATHS=/x", DEFAULT_PATH]);
    expect(convert({ Env: ["PATH="] }).process.env).toEqual(["PATH="]);
    expect(convert({ Env: null }).process.env).toEqual([DEFAULT_PATH]);
  });
  test.each([
    [
      ["/init", "-v"],
      ["web", "x"],
      ["/init", "-v", "web", "x"],
    ],
    [["/init"], null, ["/init"]],
    [null, ["sh"], ["sh"]],
    [[], ["sh"], ["sh"]],
  ])("Entrypoint %j and Cmd %j", (Entrypoint, Cmd, args) => {
    expect(convert({ Entrypoint, Cmd }).process.args).toEqual(args);
  });
  test("another architecture than the host's is told of", () => {
    expect(convert({}, { architecture: "arm64" }).warnings).toEqual(["the image is for arm64, and this host is amd64"]);
    expect(convert({}).warnings).toEqual([]);
  });
  test("an image without a program is an error that says what to do", () => {
    expect(() => convert({ Cmd: null })).toThrow(/names no program/);
    expect(() => convertImage({ ...image(), config: null }, files, host)).toThrow(/names no program/);
  });
});

describe("annotations", () => {
  test("of every field that has one", () => {
    const { annotations, warnings } = convert(
      {
        StopSignal: "SIGQUIT",
        ExposedPorts: { "80/tcp": {}, "53/udp": {}, "8080": {} },
        Labels: { "com.example.a": "1", "org.opencontainers.image.title": "web" },
      },
      {
        variant: "v8",
        "os.version": "6",
        "os.features": ["a", "b"],
        author: "somebody",
        created: "2024-01-01T00:00:00Z",
      },
    );
    expect(annotations).toEqual({
      "org.opencontainers.image.os": "linux",
      "org.opencontainers.image.architecture": "amd64",
      "org.opencontainers.image.variant": "v8",
      "org.opencontainers.image.os.version": "6",
      "org.opencontainers.image.os.features": "a,b",
      "org.opencontainers.image.author": "somebody",
      "org.opencontainers.image.created": "2024-01-01T00:00:00Z",
      "org.opencontainers.image.stopSignal": "SIGQUIT",
      "org.opencontainers.image.exposedPorts": "8080,80/tcp,53/udp",
      "com.example.a": "1",
      "org.opencontainers.image.title": "web",
    });
    expect(warnings).toEqual([]);
  });
  test("fields that are not there make none", () => {
    expect(convert().annotations).toEqual({
      "org.opencontainers.image.os": "linux",
      "org.opencontainers.image.architecture": "amd64",
    });
  });
  test("a label wins over what is derived", () => {
    const Labels = { "org.opencontainers.image.author": "label", "org.opencontainers.image.exposedPorts": "none" };
    const { annotations } = convert({ Labels, ExposedPorts: { "80": {} } }, { author: "field" });
    expect(annotations).toMatchObject(Labels);
  });
  test("a label on which a runtime would act on the host is left out, and said", () => {
    const Labels = {
      "run.oci.hooks.stdout": "/etc/cron.d/x",
      "org.systemd.property.ExecStart": "x",
      "org.criu.config": "/x",
      fine: "yes",
    };
    const { annotations, warnings } = convert({ Labels });
    expect(Object.keys(annotations).sort()).toEqual([
      "fine",
      "org.opencontainers.image.architecture",
      "org.opencontainers.image.os",
    ]);
    expect(warnings).toHaveLength(3);
    expect(warnings[0]).toMatch(/"run\.oci\.hooks\.stdout" is left out/);
  });
});

test("User is resolved in the image's files; the rules are in users.test.ts", () => {
  expect(convert({ User: "web" }).process.user).toEqual({ uid: 1000, gid: 1001, additionalGids: [33] });
  expect(convert({ User: null }).process.user).toEqual({ uid: 0, gid: 0 });
  expect(() => convert({ User: "nobody" })).toThrow(/"nobody" is not in the image's \/etc\/passwd/);
});

test("an image of another system is refused", () => {
  expect(() => convert({}, { os: "windows" })).toThrow(/the image is for windows, not for linux/);
});

describe("what the caller says otherwise", () => {
  const base = image({ Entrypoint: ["/init"], Cmd: ["web"], Env: ["A=1", "B=2"], User: "web", WorkingDir: "/srv" });
  const config = (more: Partial<Parameters<typeof withOverrides>[1]>) =>
    withOverrides(base, { args: [], env: [], ...more }).config;
  test("nothing: the image's", () => {
    expect(config({})).toEqual(base.config);
  });
  test("arguments are in place of Cmd; another entrypoint makes it void", () => {
    expect(config({ args: ["x"] })).toMatchObject({ Entrypoint: ["/init"], Cmd: ["x"] });
    expect(config({ entrypoint: ["/bin/sh"] })).toMatchObject({ Entrypoint: ["/bin/sh"], Cmd: [] });
    expect(config({ entrypoint: [], args: ["ls", "-l"] })).toMatchObject({ Entrypoint: [], Cmd: ["ls", "-l"] });
  });
  test("variables keep their place, the last of a name counts", () => {
    expect(config({ env: ["C=3", "A=4", "C=5"] })?.Env).toEqual(["A=4", "B=2", "C=5"]);
  });
  test("user and directory", () => {
    expect(config({ user: "0", workdir: "/" })).toMatchObject({ User: "0", WorkingDir: "/" });
  });
});
