import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type ShownProgress, showProgress } from "./progress.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tsrun-test-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const layer = `sha256:${"ab".repeat(32)}`;

function shown(isTerminal: boolean, use: (progress: ShownProgress) => void): string {
  const path = join(directory, "out");
  const fd = openSync(path, "w");
  use(showProgress(isTerminal, fd));
  closeSync(fd);
  return readFileSync(path, "utf8");
}

test("elsewhere than on a terminal: a line for each that is done", () => {
  const text = shown(false, (progress) => {
    progress.update(layer, 1, 2);
    progress.done(layer, "unpacked");
    progress.done("/a/rootfs.tar", "unpacked");
    progress.close();
  });
  expect(text).toBe("abababababab: unpacked\n/a/rootfs.tar: unpacked\n");
});

test("on a terminal: bars, taken away for what others write and at the end", () => {
  const text = shown(true, (progress) => {
    progress.update(layer, 1024 ** 2, 2 * 1024 ** 2);
    progress.aside(() => {});
    progress.done(layer, "unpacked");
    progress.close();
  });
  const bar = "abababababab [============            ] 1.0 MiB of 2.0 MiB\n";
  expect(text).toBe(`${bar}\x1b[1A\x1b[J${bar}\x1b[1A\x1b[Jabababababab unpacked\n`);
});
