/** --cap-add and --cap-drop. Pure. */
import { TsrunError } from "../core/errors.ts";

/** What docker gives a container; known to what images expect. */
export const dockerCapabilities: readonly string[] = [
  "CAP_AUDIT_WRITE",
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_MKNOD",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SETFCAP",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_CHROOT",
];

/**
 * `all`: the names that exist. `--cap-drop ALL --cap-add X` is X alone, `--cap-add ALL --cap-drop X` all but X; a name that is
 * added and dropped is added. Throws `usage` for an unknown name.
 */
export function chooseCapabilities(
  change: { readonly add: readonly string[]; readonly drop: readonly string[] },
  all: readonly string[],
): string[] {
  const named = (text: string, option: string): readonly string[] => {
    const name = text.toUpperCase();
    if (name === "ALL") return all;
    const full = name.startsWith("CAP_") ? name : `CAP_${name}`;
    if (all.includes(full)) return [full];
    throw new TsrunError("usage", `${option}: unknown capability ${JSON.stringify(text)}`, {
      advice: "such as NET_ADMIN or CAP_NET_ADMIN (capabilities(7)), or ALL",
    });
  };
  const isAll = (text: string): boolean => text.toUpperCase() === "ALL";
  const drop = change.drop.flatMap((text) => named(text, "--cap-drop"));
  const add = change.add.filter((text) => !isAll(text)).flatMap((text) => named(text, "--cap-add"));
  const kept = (change.add.some(isAll) ? all : dockerCapabilities).filter((name) => !drop.includes(name));
  return [...new Set([...kept, ...add])].sort();
}
