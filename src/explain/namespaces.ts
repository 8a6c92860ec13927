/** Namespaces with what belongs to them: id maps, host and domain name, sysctls. */

import { hasNamespace, type NamespaceType, processShape } from "../compile/namespaces.ts";
import type { Observed } from "../core/observed.ts";
import { sysctlKey, sysctlNamespace } from "../core/sysctl.ts";
import { idMapLines, parseIdMap } from "./id-maps.ts";
import type { ExplainInput } from "./input.ts";
import { type Item, itemsOf } from "./item.ts";

const { ok, adjusted, compare, differs, info, unknown } = itemsOf("namespaces");

/** Names in /proc/<pid>/ns, in the order in which they are told. */
const names: readonly (readonly [type: NamespaceType, file: string])[] = [
  ["mount", "mnt"],
  ["pid", "pid"],
  ["network", "net"],
  ["ipc", "ipc"],
  ["uts", "uts"],
  ["cgroup", "cgroup"],
  ["user", "user"],
  ["time", "time"],
];

export function explainNamespaces(input: ExplainInput): Item[] {
  return [
    ...names.map(([type, file]) => namespace(input, type, file)),
    ...maps(input),
    ...uts(input),
    ...sysctls(input),
  ];
}

function namespace({ config, probe }: ExplainInput, type: NamespaceType, file: string): Item {
  const entry = config.linux?.namespaces?.find((each) => each.type === type);
  const path = entry?.path === "" ? undefined : entry?.path;
  const configured = entry === undefined ? "the host's" : path === undefined ? "its own" : `that of ${path}`;
  const theirs = probe.namespace(file);
  const host = probe.ownNamespace(file);
  for (const each of [theirs, host]) if ("unreadable" in each) return unknown(type, configured, each.unreadable);
  const [inode, ours] = [theirs, host].map((each) => ("value" in each ? each.value : ""));
  const actual = `${inode === ours ? "the host's" : "its own"}, ${inode}`;
  if (path !== undefined) {
    const named = probe.namespaceAt(path, file);
    if ("unreadable" in named) return unknown(type, configured, named.unreadable);
    if (named.value === inode) return ok(type, `that of ${path}, ${inode}`);
    return differs(type, { configured: `${configured}, ${named.value}`, actual });
  }
  if ((inode === ours) === (entry === undefined)) return ok(type, actual);
  const note = `shared is that of the tsrun that made the container; the one that asks is in ${ours}`;
  return differs(type, { configured, actual, ...(entry === undefined && { note }) });
}

function maps({ config, probe }: ExplainInput): Item[] {
  const { namespaces = [], uidMappings = [], gidMappings = [] } = config.linux ?? {};
  const own = namespaces.some(({ type, path }) => type === "user" && (path === undefined || path === ""));
  if (!own) return [];
  return (
    [
      ["uid_map", uidMappings],
      ["gid_map", gidMappings],
    ] as const
  ).map(([name, mappings]) => {
    const configured = mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}`);
    const shown = probe.text(name);
    if ("unreadable" in shown) return unknown(name, configured, shown.unreadable);
    return compare(name, configured, idMapLines(parseIdMap(shown.value)));
  });
}

function uts({ config, probe }: ExplainInput): Item[] {
  return (
    [
      ["hostname", config.hostname],
      ["domainname", config.domainname],
    ] as const
  ).map(([name, wanted]) => {
    const given = wanted === "" ? undefined : wanted;
    const shown = probe.sysctl(`kernel/${name}`);
    if ("unreadable" in shown) return unknown(name, given, shown.unreadable);
    const actual = shown.value.trim();
    return given === undefined ? info(name, actual) : compare(name, given, actual);
  });
}

/** Blanks between numbers are the kernel's choice. */
const words = (text: string): string => text.trim().split(/\s+/).join(" ");

function sysctls({ config, probe }: ExplainInput): Item[] {
  return Object.entries(config.linux?.sysctl ?? {}).map(([name, value]) => {
    const configured = words(value);
    // Of a user namespace only its members see them, and to become one is a change of all that tsrun may.
    const shown: Observed<string> =
      sysctlNamespace(sysctlKey(name)) === "user"
        ? { unreadable: "only a process in the user namespace sees it" }
        : probe.sysctl(sysctlFile(name));
    if ("unreadable" in shown) return unknown(name, configured, shown.unreadable);
    const actual = words(shown.value);
    if (actual === configured) return ok(name, actual);
    const isNumber = [actual, configured].every((each) => /^\d+$/.test(each));
    if (isNumber && BigInt(actual) === BigInt(configured)) {
      return adjusted(name, { configured, actual, note: "the kernel writes the number so" });
    }
    return differs(name, { configured, actual });
  });
}

/** Below /proc/sys: dots separate, a slash stands for a dot inside a component (sysctl(8)). */
const sysctlFile = (name: string): string => sysctlKey(name).replace(/[./]/g, (found) => (found === "." ? "/" : "."));

/** Namespaces whose sysctls are read as a member sees them: those that the container does not share. */
export function sysctlNamespaces(config: ExplainInput["config"]): string[] {
  const shape = processShape(config);
  return names
    .filter(([type]) => ["network", "ipc", "uts"].includes(type) && hasNamespace(shape, type))
    .map(([, file]) => file);
}
