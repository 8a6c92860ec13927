/**
 * What config.json can ask for and this version does not do: refused by name, all at once, before anything is made.
 * Nothing that protects or limits is ever left out in silence. Empty and neutral values pass.
 */
import { TsrunError } from "../core/errors.ts";
import type { CompileInput } from "./input.ts";

type Values = Readonly<Record<string, unknown>>;

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === "object" && Object.keys(value).length === 0);

/** Throws `unsupported` naming every such property by its JSON pointer. */
export function refuseUnsupported(input: Pick<CompileInput, "config" | "facts">): void {
  const { config } = input;
  const found: string[] = [];
  const linux = (config.linux ?? {}) as Values;
  for (const name of ["intelRdt", "netDevices"]) {
    if (!isEmpty(linux[name])) found.push(`/linux/${name}`);
  }
  for (const [i, mount] of (config.mounts ?? []).entries()) {
    const { uidMappings, gidMappings, options } = mount as Values;
    if (!isEmpty(uidMappings) || !isEmpty(gidMappings)) found.push(`/mounts/${i}/uidMappings`);
    else if (Array.isArray(options) && options.some((option) => option === "idmap" || option === "ridmap")) {
      found.push(`/mounts/${i}/options (idmap)`);
    }
  }
  throwUnsupported(found);
}

export function throwUnsupported(found: readonly string[]): void {
  if (found.length === 0) return;
  throw new TsrunError("unsupported", `this version of tsrun does not do: ${found.join(", ")}`, {
    advice: "remove these properties from config.json, or use a runtime that has them",
  });
}
