/** tsrun killed (SIGKILL) all along an unpack: no layer that is not whole, nothing that gc leaves, and the next run goes through. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { isTsrun, RUNTIME } from "../harness.ts";
import { hasTools, makeLayout, run } from "./layouts.ts";
import { differences, type Tree, treeOf } from "./tree.ts";

// skipped: peers unpack nothing; without umoci there is no image
const here = isTsrun && hasTools ? describe : describe.skip;
const POINTS = 12;

let work: string;
let layout: string;
let store: string;
beforeAll(() => {
  work = mkdtempSync("/tmp/tsrun-test-");
  store = join(work, "store");
  if (isTsrun && hasTools) layout = makeLayout(work, "latest");
}, 120_000);
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Runs tsrun, kills it after so long if it still runs; how long it ran. */
async function unpackFor(ms: number | undefined, ...args: string[]): Promise<{ killed: boolean; ms: number }> {
  const begin = Date.now();
  const child = spawn(RUNTIME, ["unpack", "--quiet", "--store", store, ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const timer = ms === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), ms);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once("exit", (...end) => resolve(end)),
  );
  clearTimeout(timer);
  if (signal === null) expect(code).toBe(0);
  return { killed: signal === "SIGKILL", ms: Date.now() - begin };
}

const layersIn = (path: string): string[] =>
  existsSync(join(path, "layers/sha256"))
    ? readdirSync(join(path, "layers/sha256"))
        .filter((name) => !name.includes("."))
        .sort()
    : [];

/** What is being made; a store may have been killed before it had the directory for it. */
const unfinished = (): string[] => (existsSync(join(store, "new")) ? readdirSync(join(store, "new")) : []);

/** Without the times: of whiteouts, and of directories without an entry, no archive says them. */
function layerTree(hex: string): Tree {
  const tree = treeOf(join(store, "layers/sha256", hex)) as Record<string, object>;
  return Object.fromEntries(Object.entries(tree).map(([name, entry]) => [name, { ...entry, mtime: "" }]));
}

here("killed at any moment", () => {
  test("layers are whole or not there; gc leaves nothing else; the next run makes the rest", async () => {
    const { ms } = await unpackFor(undefined, layout);
    const whole = new Map<string, Tree>(layersIn(store).map((hex) => [hex, layerTree(hex)]));
    expect(whole.size).toBe(4);
    for (let i = 0; i < POINTS; i++) {
      rmSync(store, { recursive: true });
      await unpackFor((ms * (i + 1)) / POINTS, layout);
      for (const hex of layersIn(store)) {
        expect(differences(whole.get(hex) as Tree, layerTree(hex))).toEqual([]);
      }
      if (i % 2 === 0) {
        run(RUNTIME, "gc", "--store", store);
        expect(unfinished()).toEqual([]);
      }
      await unpackFor(undefined, layout);
      expect(layersIn(store)).toEqual([...whole.keys()]);
      run(RUNTIME, "gc", "--store", store);
      expect(unfinished()).toEqual([]);
    }
  }, 300_000);

  test("a directory is whole or not there, and gc takes what is beside it", async () => {
    const target = join(work, "target");
    const { ms } = await unpackFor(undefined, layout, target);
    const whole = treeOf(target);
    for (let i = 0; i < POINTS; i++) {
      rmSync(target, { recursive: true, force: true });
      await unpackFor((ms * (i + 1)) / POINTS, layout, target);
      if (existsSync(target)) expect(differences(whole, treeOf(target))).toEqual([]);
      run(RUNTIME, "gc", "--store", store);
      expect(readdirSync(work).filter((name) => name.startsWith(".tsrun"))).toEqual([]);
      expect(unfinished()).toEqual([]);
    }
  }, 300_000);
});
