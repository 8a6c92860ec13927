/**
 * linux.readonlyPaths and linux.maskedPaths: last of the set-up, since sysctls are written to what becomes read-only here,
 * and after the root is entered, since /dev/null has to be the container's.
 *
 * Read-only first, as runc: a mask lies on top, whichever list a path or one above it is in as well.
 */
import { rootRelPath } from "../core/brands.ts";
import type { ContainerStep } from "../plan/vocabulary.ts";
import type { CompileInput } from "./input.ts";
import { mountLabel } from "./lsm.ts";

export function pathSteps(input: Pick<CompileInput, "config" | "facts">): ContainerStep[] {
  const context = mountLabel(input)?.label ?? "";
  const { readonlyPaths = [], maskedPaths = [] } = input.config.linux ?? {};
  return [
    ...readonlyPaths.map((path) => ({ kind: "path.readonly", path: rootRelPath(path) }) as const),
    ...maskedPaths.map((path) => ({ kind: "path.mask", path: rootRelPath(path), context }) as const),
  ];
}
