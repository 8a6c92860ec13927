import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AbsPath } from "./brands.ts";

let root: AbsPath | undefined;

/** The folder tsrun is installed in: the nearest one above the running code (dist/ or src/) that has binding.gyp. */
function installRoot(): AbsPath {
  if (root !== undefined) return root;
  let folder = __dirname;
  while (!existsSync(join(folder, "binding.gyp")) && folder !== "/") folder = dirname(folder);
  root = folder as AbsPath;
  return root;
}

/** The Node-API addon. */
export function addonPath(): AbsPath {
  return join(installRoot(), "build/Release/tsrun.node") as AbsPath;
}

/** tsrun-init, which a container's process starts as. */
export function initPath(): AbsPath {
  return join(installRoot(), "build/Release/tsrun-init") as AbsPath;
}
