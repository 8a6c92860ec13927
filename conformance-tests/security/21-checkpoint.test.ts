/** Row 21 of docs/security.md (CVE-2026-50195, CVE-2026-53489, CVE-2026-53492): an image that comes from somebody else. */
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { criuProblem } from "../criu.ts";
import { type Config, isTsrun, Sandbox, waitFor } from "../harness.ts";

// A dump takes seconds where the machine is emulated.
jest.setTimeout(300_000);

let box: Sandbox;
let victim: string;
beforeAll(() => {
  box = new Sandbox();
  victim = join(box.work, "victim");
  writeFileSync(victim, "precious");
});
afterAll(() => {
  expect(readFileSync(victim, "utf8")).toBe("precious");
  box.close();
});

const onTsrun = isTsrun ? test : test.skip; // skipped: the attacks of this file work on peers
const directory = (name: string): string => {
  const path = join(box.work, name);
  mkdirSync(path);
  return path;
};
const refused = (image: string, words: string, ...options: string[]): void => {
  const id = box.id();
  const result = box.run([
    "restore",
    "--detach",
    "--bundle",
    box.bundle("true"),
    "--image-path",
    image,
    ...options,
    id,
  ]);
  expect(result).toMatchObject({ status: 1, stderr: expect.stringContaining(words) });
  expect(box.leftovers()).toEqual([]);
};

describe("links", () => {
  onTsrun("an image with one is refused, whatever its name is", () => {
    for (const name of ["pages-1.img", "descriptors.json", "inventory.img", "parent", "anything"]) {
      const image = directory(`link-${name}`);
      if (name !== "descriptors.json") writeFileSync(join(image, "descriptors.json"), "[]");
      symlinkSync(name === "parent" ? "/etc" : victim, join(image, name));
      refused(image, name === "parent" ? "its parent" : `${name}: it is not a regular file`);
    }
  });

  onTsrun("where CRIU's log goes, one is replaced", () => {
    const image = directory("log-image");
    writeFileSync(join(image, "descriptors.json"), "[]");
    const work = directory("log-work");
    for (const name of ["restore.log", "stats-restore", "descriptors.json"]) symlinkSync(victim, join(work, name));
    // No image at all, so that CRIU fails in any case; where it works it has written a log first.
    refused(image, "restore", "--work-path", work);
    expect(readFileSync(victim, "utf8")).toBe("precious");
    if (criuProblem === undefined) expect(readFileSync(join(work, "restore.log"), "utf8")).toContain("Error");
  });

  onTsrun("the work directory itself is none", () => {
    const image = directory("work-image");
    writeFileSync(join(image, "descriptors.json"), "[]");
    symlinkSync(directory("work-elsewhere"), join(box.work, "work-link"));
    refused(image, "--work-path", "--work-path", join(box.work, "work-link"));
  });

  onTsrun("a dump into a directory with one is refused, and changes nothing", () => {
    const id = box.id();
    box.ok(["run", "--detach", "--bundle", box.bundle("sleep 1000"), id]);
    const image = directory("dump-image");
    symlinkSync(victim, join(image, "core-1.img"));
    const result = box.run(["checkpoint", "--image-path", image, id]);
    expect(result).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("core-1.img: it is not a regular file"),
    });
    expect(box.state(id).status).toBe("running");
    box.ok(["delete", "--force", id]);
  });
});

onTsrun("descriptors.json has a bound, and names no descriptor but a standard stream", () => {
  const image = directory("descriptors");
  writeFileSync(join(image, "descriptors.json"), `["${"x".repeat(100_000)}"]`);
  refused(image, "at most 65536 bytes");
  writeFileSync(join(image, "descriptors.json"), '["a","b","c","pipe:[1]"]');
  refused(image, "at most three texts");
});

(criuProblem === undefined && isTsrun ? describe : describe.skip)(
  `what is restored (skipped on peers; here: ${criuProblem ?? "CRIU works"})`,
  () => {
    /** An image of a container, which is gone then, and its bundle. */
    function imageOf(name: string, edit: (config: Config) => void): { image: string; bundle: string } {
      const id = box.id();
      const ran = join(box.work, `${name}-ran`);
      const bundle = box.bundle("while :; do echo x >>/data/ran; sleep 0.1; done", (config) => {
        config.mounts.push({
          destination: "/data",
          type: "bind",
          source: directory(`${name}-data`),
          options: ["bind"],
        });
        edit(config);
      });
      const image = join(box.work, `${name}-image`);
      box.ok(["run", "--detach", "--bundle", bundle, id]);
      waitFor("it to run", () => existsSync(join(box.work, `${name}-data/ran`)));
      box.ok(["checkpoint", "--image-path", image, id]);
      box.ok(["delete", id]);
      rmSync(ran, { force: true });
      return { image, bundle };
    }
    const change = (bundle: string, edit: (config: Config) => void): void => {
      const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8")) as Config;
      edit(config);
      writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
    };
    const notRestored = (image: string, bundle: string, words: RegExp): void => {
      const id = box.id();
      const result = box.run(["restore", "--detach", "--bundle", bundle, "--image-path", image, id]);
      expect(result).toMatchObject({ status: 1, stderr: expect.stringMatching(words) });
      expect(box.leftovers()).toEqual([]);
    };

    test("has no more than config.json gives: capabilities, namespaces, no_new_privs", () => {
      const { image, bundle } = imageOf("more", (config) => {
        config.process.capabilities.bounding.push("CAP_SYS_ADMIN");
        config.process.noNewPrivileges = false;
        config.linux.namespaces = config.linux.namespaces.filter(({ type }: { type: string }) => type !== "network");
      });
      const ran = readFileSync(join(box.work, "more-data/ran"), "utf8");
      change(bundle, (config) => {
        config.process.capabilities.bounding.pop();
        config.process.noNewPrivileges = true;
        config.linux.namespaces.push({ type: "network" });
      });
      notRestored(image, bundle, /host's network namespace[\s\S]*CAP_SYS_ADMIN[\s\S]*noNewPrivileges/);
      // It never ran.
      expect(readFileSync(join(box.work, "more-data/ran"), "utf8")).toBe(ran);
    });

    test("has the mounts, masks and limits of config.json", () => {
      const { image, bundle } = imageOf("mounts", (config) => {
        config.mounts.push({ destination: "/more", type: "tmpfs", source: "tmpfs" });
        config.linux.maskedPaths = [];
        config.linux.readonlyPaths = [];
        config.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 100, hard: 2000 }];
      });
      const ran = readFileSync(join(box.work, "mounts-data/ran"), "utf8");
      change(bundle, (config) => {
        config.mounts.pop();
        config.mounts.at(-1).options = ["bind", "ro"];
        config.linux.maskedPaths = ["/proc/kcore"];
        config.linux.readonlyPaths = ["/proc/sys"];
        config.process.rlimits[0].hard = 1000;
      });
      const words = [
        "RLIMIT_NOFILE: it is soft 100, hard 2000, not soft 100, hard 1000",
        "mounts /data: .*it is not ro",
        "/proc/sys: .*not mounted",
        "/proc/kcore: .*not mounted",
        "mounts /more: .*nobody asked for it",
      ];
      notRestored(image, bundle, new RegExp(words.join("[^]*")));
      expect(readFileSync(join(box.work, "mounts-data/ran"), "utf8")).toBe(ran);
    });

    test("a device that the image brings along can be used only if config.json says so", () => {
      // /dev/kmsg, made in its own /dev, whose content is in the image.
      const { image, bundle } = imageOf("device", (config) => {
        config.linux.devices = [{ path: "/dev/kmsg-of-host", type: "c", major: 1, minor: 11, fileMode: 0o666 }];
        config.linux.resources = { devices: [{ allow: true, access: "rwm" }] };
      });
      change(bundle, (config) => {
        delete config.linux.devices;
        config.linux.resources = { devices: [{ allow: false, access: "rwm" }] };
      });
      const id = box.id();
      box.ok(["restore", "--detach", "--bundle", bundle, "--image-path", image, id]);
      expect(box.ok(["exec", id, "ls", "-l", "/dev/kmsg-of-host"]).stdout).toMatch(/1, +11/);
      const read = box.run(["exec", id, "dd", "if=/dev/kmsg-of-host", "of=/dev/null", "bs=1", "count=0"]);
      expect(read.stderr).toContain("Operation not permitted");
      box.ok(["delete", "--force", id]);
    });
  },
);
