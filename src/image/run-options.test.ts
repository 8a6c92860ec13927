/** -v, --tmpfs, -e, --env-file, --entrypoint, --cap-add and --cap-drop: what they mean and what they refuse. */
import { describe, expect, test } from "@jest/globals";
import { capabilityNames } from "../compile/capabilities.ts";
import { parseMountOptions } from "../compile/mount-options.ts";
import { chooseCapabilities } from "./capabilities.ts";
import { mergeEnv, parseEntrypoint, parseEnv, parseEnvFile } from "./overrides.ts";
import { parseTmpfs, parseVolume } from "./volumes.ts";

describe("-v", () => {
  const volume = (text: string) => parseVolume(text, "/home/me");
  test.each([
    ["/data:/data", "/data", "/data", ["rbind", "rprivate"]],
    ["/data:/d/e:ro", "/data", "/d/e", ["rbind", "rro", "rprivate", "ro"]],
    ["/data:/d:ro,bind", "/data", "/d", ["rprivate", "ro", "bind"]],
    ["./x:/d", "/home/me/x", "/d", ["rbind", "rprivate"]],
    ["../x:/d", "/home/x", "/d", ["rbind", "rprivate"]],
    [".:/d:bind,rslave,nosuid", "/home/me", "/d", ["bind", "rslave", "nosuid"]],
  ])("%s", (text, source, destination, options) => {
    expect(volume(text)).toEqual({ destination, type: "bind", source, options });
    expect(parseMountOptions(volume(text).options ?? []).bind).not.toBe("no");
  });
  test.each([
    ["/data", /is not SRC:DST/],
    ["/a:/b:ro:x", /is not SRC:DST/],
    ["data:/data", /"data" is not a path; there are no named volumes/],
    [":/data", /not a path/],
    ["/a:b", /"b" is not an absolute path below the root/],
    ["/a:/", /"\/" is not an absolute path below the root/],
    ["/a:/x/..", /below the root/],
    ["/a:/b:rw,wat", /unknown option "wat"/],
    ["/a:/b:Z", /not labelled for SELinux/],
  ])("%s is refused", (text, message) => expect(() => volume(text)).toThrow(message));
});

test("--tmpfs", () => {
  expect(parseTmpfs("/t")).toEqual({
    destination: "/t",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "nodev", "noexec"],
  });
  expect(parseTmpfs("/t:size=1m,exec").options).toEqual(["nosuid", "nodev", "noexec", "size=1m", "exec"]);
  expect(() => parseTmpfs("t")).toThrow(/"t" is not an absolute path/);
});

describe("-e", () => {
  const own = { HOME: "/root", EMPTY: "" };
  test("takes NAME=VALUE as it is, and NAME from the caller", () => {
    expect(parseEnv("A=b=c ", own, "-e")).toEqual(["A=b=c "]);
    expect(parseEnv("A=", own, "-e")).toEqual(["A="]);
    expect(parseEnv("HOME", own, "-e")).toEqual(["HOME=/root"]);
    expect(parseEnv("EMPTY", own, "-e")).toEqual(["EMPTY="]);
    expect(parseEnv("NONE", own, "-e")).toEqual([]);
  });
  test.each(["", "=x", "A B=c", " A=b"])("%j is refused", (text) => {
    expect(() => parseEnv(text, own, "-e")).toThrow(/^-e: .* is neither NAME=VALUE nor NAME/);
  });
  test("--env-file has one a line, and names a bad line", () => {
    expect(parseEnvFile("# c\n\nA=1\r\n  B=2 \nHOME\n", own, "f")).toEqual(["A=1", "B=2 ", "HOME=/root"]);
    expect(() => parseEnvFile("A=1\nB C=2\n", own, "f")).toThrow(/^f:2: "B C=2"/);
  });
  test("wins over the image's", () => {
    expect(mergeEnv(["A=1", "A=2", "B=3"], ["A=x"])).toEqual(["A=x", "A=x", "B=3"]);
  });
});

test("--entrypoint", () => {
  expect(parseEntrypoint("/bin/sh -c")).toEqual(["/bin/sh -c"]);
  expect(parseEntrypoint('["sh","-c"]')).toEqual(["sh", "-c"]);
  expect(parseEntrypoint("")).toEqual([]);
  for (const text of ["[1]", "[", "[] x"]) expect(() => parseEntrypoint(text)).toThrow(/not a JSON array of texts/);
});

describe("capabilities", () => {
  const choose = (add: string[], drop: string[]) => chooseCapabilities({ add, drop }, capabilityNames);
  test("are docker's fourteen", () => {
    expect(choose([], [])).toHaveLength(14);
    expect(choose([], [])).not.toContain("CAP_SYS_ADMIN");
  });
  test("names go with and without CAP_, in any case", () => {
    expect(choose(["net_admin"], ["CAP_CHOWN", "Kill"])).toEqual(
      [...choose([], []).filter((name) => name !== "CAP_CHOWN" && name !== "CAP_KILL"), "CAP_NET_ADMIN"].sort(),
    );
  });
  test("ALL", () => {
    expect(choose([], ["ALL"])).toEqual([]);
    expect(choose(["CHOWN"], ["all"])).toEqual(["CAP_CHOWN"]);
    expect(choose(["ALL"], ["SYS_ADMIN"])).toEqual(
      [...capabilityNames].filter((name) => name !== "CAP_SYS_ADMIN").sort(),
    );
  });
  test("an unknown name is an error", () => {
    expect(() => choose(["ROOT"], [])).toThrow(/--cap-add: unknown capability "ROOT"/);
    expect(() => choose([], ["CAP_"])).toThrow(/--cap-drop: unknown capability/);
  });
});
