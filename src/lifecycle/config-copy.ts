/** The configuration as create saw it. It was validated then, and only we write the directory it lies in. */
import type { Config } from "../../spec-schemas/config.ts";
import { parseJson } from "../bundle/json.ts";
import type { ContainerId } from "../core/brands.ts";
import { readConfigCopy, type StateRoot } from "../state/store.ts";

export function configOf(root: StateRoot, id: ContainerId): Config {
  return parseJson(readConfigCopy(root, id)) as Config;
}

export function configHooks(root: StateRoot, id: ContainerId): Config["hooks"] {
  return configOf(root, id).hooks;
}
