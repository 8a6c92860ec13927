import { describe, expect, test } from "@jest/globals";
import type { Descriptor } from "../../spec-schemas/image.ts";
import { selectDocker, selectPlatform, selectReference } from "./select.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const amd64 = { os: "linux", architecture: "amd64" };
let count = 0;

function descriptor(fields: Partial<Descriptor> & { name?: string } = {}): Descriptor {
  const { name, ...rest } = fields;
  return {
    mediaType: MANIFEST,
    digest: `sha256:${String(count++).padStart(64, "0")}`,
    size: 1,
    ...(name !== undefined && { annotations: { "org.opencontainers.image.ref.name": name } }),
    ...rest,
  };
}

describe("index.json", () => {
  const web = descriptor({ name: "registry/web:1.0" });
  const db = descriptor({ name: "db", mediaType: INDEX });
  const other = descriptor({ mediaType: "application/json" });
  test("the only image needs no name; what is no image does not count", () => {
    expect(selectReference([web, other], undefined, amd64)).toBe(web);
  });
  test.each([
    ["registry/web:1.0", web],
    ["web:1.0", web],
    ["1.0", web],
    ["db", db],
    [db.digest, db],
  ])("%s", (reference, wanted) => {
    expect(selectReference([web, db], reference, amd64)).toBe(wanted);
  });
  test("several without a name, and one that is not there, say which there are", () => {
    expect(() => selectReference([web, db], undefined, amd64)).toThrow(
      expect.objectContaining({ code: "usage", advice: "choose one with --reference: registry/web:1.0, db" }),
    );
    expect(() => selectReference([web, db], "eb:1.0", amd64)).toThrow(expect.objectContaining({ code: "not-found" }));
    expect(() => selectReference([other], undefined, amd64)).toThrow("names no image");
  });
});

describe("platforms", () => {
  const of = (architecture: string, variant?: string): Descriptor =>
    descriptor({ platform: { os: "linux", architecture, ...(variant !== undefined && { variant }) } });
  const all = [
    of("arm", "v6"),
    of("arm", "v7"),
    of("amd64"),
    descriptor({ platform: { os: "unknown", architecture: "unknown" } }),
  ];
  test("by architecture and variant", () => {
    expect(selectPlatform(all, amd64)).toBe(all[2]);
    expect(selectPlatform(all, { os: "linux", architecture: "arm", variant: "v7" })).toBe(all[1]);
    expect(selectPlatform(all, { os: "linux", architecture: "arm" })).toBe(all[0]);
  });
  test("one that is not there", () => {
    expect(() => selectPlatform(all, { os: "linux", architecture: "arm", variant: "v8" })).toThrow(
      "no image for linux/arm/v8",
    );
    expect(() => selectPlatform(all, { os: "linux", architecture: "s390x" })).toThrow(
      expect.objectContaining({ advice: expect.stringContaining("linux/arm/v6") }),
    );
  });
  test("index.json may list the platforms of one image itself", () => {
    expect(selectReference(all.slice(0, 3), undefined, amd64)).toBe(all[2]);
  });
});

test("docker's manifest.json", () => {
  const [web, db] = [
    { Config: "ab.json", RepoTags: ["web:1", "web:latest"], Layers: [] },
    { Config: "cd.json", RepoTags: null, Layers: [] },
  ];
  expect(selectDocker([db], undefined)).toBe(db);
  expect(selectDocker([web, db], "latest")).toBe(web);
  expect(selectDocker([web, db], "cd")).toBe(db);
  expect(() => selectDocker([web, db], undefined)).toThrow(expect.objectContaining({ code: "usage" }));
  expect(() => selectDocker([web, db], "x")).toThrow(expect.objectContaining({ code: "not-found" }));
});
