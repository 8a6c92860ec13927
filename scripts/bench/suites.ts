/** All suites; each is a file. */
import type { Suite } from "./bench.ts";
import { suite as cli } from "./suites/cli.ts";
import { suite as concurrent } from "./suites/concurrent.ts";
import { suite as containerd } from "./suites/containerd.ts";
import { suite as floor } from "./suites/floor.ts";
import { suite as image } from "./suites/image.ts";
import { suite as memory } from "./suites/memory.ts";
import { suite as scale } from "./suites/scale.ts";
import { suite as startup } from "./suites/startup.ts";
import { suite as unpack } from "./suites/unpack.ts";

export const suites: Readonly<Record<string, Suite>> = {
  cli,
  floor,
  startup,
  memory,
  concurrent,
  scale,
  containerd,
  unpack,
  image,
};
