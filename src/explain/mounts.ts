/** The container's mounts: the root, those of config.json, masked and read-only paths, and what else is mounted there. */
import { MOUNT_ATTR } from "../compile/mount-options.ts";
import { hasNamespace, processShape } from "../compile/namespaces.ts";
import type { SourcePlace } from "../host/container-probe.ts";
import type { MountInfo, MountTable } from "../host/mountinfo.ts";
import { attributeWords, type ExpectedMount, expectedMounts, isBelow, propagationWord } from "./expected-mounts.ts";
import { idInside, parseIdMap } from "./id-maps.ts";
import type { ExplainInput } from "./input.ts";
import { graveIf, type Item, itemsOf } from "./item.ts";
import { sizeOf } from "./size.ts";

const { ok, adjusted, differs, info, unknown } = itemsOf("mounts");

/** Of mounts that nobody configured. */
const MAX_OTHERS = 64;

export function explainMounts(input: ExplainInput): Item[] {
  const { plan, probe, config } = input;
  if (!hasNamespace(processShape(config), "mount")) {
    return [info("all", "those of the host's mount namespace", "the container has none of its own")];
  }
  const table = probe.mounts();
  if ("unreadable" in table) return [unknown("all", undefined, table.unreadable)];
  const expected = expectedMounts(plan);
  const seen = new Set<number>();
  const items = expected.map((mount) => explainMount(input, mount, table.value, seen));
  return [...items, ...others(input, expected, table.value, seen)];
}

function explainMount({ probe }: ExplainInput, wanted: ExpectedMount, table: MountTable, seen: Set<number>): Item {
  const name = wanted.target;
  const configured = describeExpected(wanted);
  // Targets are followed through the image's links when they are mounted; a covered /proc leads nowhere.
  const found = name === "/" ? { value: { path: "/" } } : probe.look(name);
  const direct = table.at(name);
  if (direct === undefined && "unreadable" in found) return unknown(name, configured, found.unreadable);
  const place = "value" in found ? found.value?.path : name;
  const mount = direct ?? (place === undefined ? undefined : table.at(place));
  if (mount === undefined) {
    if (wanted.kind === "mask" || wanted.kind === "readonly") {
      if (place === undefined)
        return ok(name, [`not there: nothing to ${wanted.kind === "mask" ? "mask" : "protect"}`]);
      const under = table.covering(place)?.options ?? [];
      if (wanted.kind === "readonly" && under.includes("ro")) {
        return adjusted(name, { configured, actual: ["read-only"], note: "because the mount that it lies in is" });
      }
    }
    return differs(name, { configured, actual: place === undefined ? "missing" : "not mounted", grave: true });
  }
  seen.add(mount.id);
  const grave = [...kindProblems(wanted, mount, probe), ...missingAttributes(wanted, mount)];
  const problems = [...grave, ...attributeProblems(wanted, mount), ...optionProblems(wanted, mount, probe)];
  const actual = describeActual(mount);
  if (problems.length === 0) return ok(name, actual);
  return differs(name, { configured, actual, note: problems.join("; "), ...graveIf(grave.length > 0) });
}

function describeExpected({ kind, type, source, set, options, propagation }: ExpectedMount): string[] {
  const head = {
    root: `the root, from ${source}`,
    filesystem: type ?? "",
    bind: `bind of ${source}`,
    readonly: "read-only",
    mask: "masked",
    console: "the terminal",
  }[kind];
  const word = propagationWord(propagation);
  const attributes = kind === "readonly" ? [] : attributeWords(set);
  return [head, ...attributes, ...options, ...(word === undefined ? [] : [word])];
}

function describeActual({ type, root, options, propagation, superOptions }: MountInfo): string[] {
  const words = new Set([...options, ...superOptions.filter((option) => option !== "rw" && option !== "ro")]);
  return [type, ...(root === "/" ? [] : [root]), ...words, ...propagation.map((each) => each.replace(/:\d+$/, ""))];
}

function kindProblems(wanted: ExpectedMount, mount: MountInfo, probe: ExplainInput["probe"]): string[] {
  switch (wanted.kind) {
    case "filesystem":
      return mount.type === wanted.type ? [] : [`a ${mount.type} is mounted, not a ${wanted.type}`];
    case "mask": {
      // An empty directory that cannot be written, or the container's /dev/null.
      const found = probe.look(mount.point);
      const { kind, major, minor } = ("value" in found ? found.value : undefined) ?? {};
      const isNull = kind === "character" && major === 1 && minor === 3;
      const hidden = isNull || (kind === "directory" && mount.type === "tmpfs" && mount.options.includes("ro"));
      return hidden || "unreadable" in found ? [] : ["what is mounted is neither /dev/null nor an empty directory"];
    }
    case "console":
      return mount.type === "devpts" ? [] : [`a ${mount.type} is mounted, not a terminal`];
    case "root":
    case "bind":
      return [...sourceProblems(wanted, mount, probe), ...idmapProblems(wanted, mount)];
    case "readonly":
      return [];
  }
}

const DELETED = "//deleted";

const isSame = (a: SourcePlace, b: SourcePlace): boolean => a.device === b.device && a.root === b.root;

function sourceProblems({ source = "" }: ExpectedMount, mount: MountInfo, probe: ExplainInput["probe"]): string[] {
  const place = probe.source(source);
  if ("unreadable" in place) return [];
  if (mount.root.endsWith(DELETED)) return [`${source} was removed or replaced after it was mounted`];
  if (place.value === undefined) return [`${source} is not on the host any more`];
  return isSame(place.value, mount) ? [] : [`it is not what ${source} on the host leads to now`];
}

const idmapProblems = ({ idmapped }: ExpectedMount, { options }: MountInfo): string[] =>
  idmapped === true && !options.includes("idmapped") ? ["its ids are not mapped"] : [];

/** Without these it allows more; the kernel has no other that restricts. */
const RESTRICTING =
  MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC | MOUNT_ATTR.NOSYMFOLLOW;

const missingWords = (attributes: number, { options }: MountInfo): string[] =>
  attributeWords(attributes)
    .filter((word) => !options.includes(word))
    .map((word) => `it is not ${word}`);

const missingAttributes = ({ set }: ExpectedMount, mount: MountInfo): string[] =>
  missingWords(set & RESTRICTING, mount);

function attributeProblems({ set, clear, propagation }: ExpectedMount, mount: MountInfo): string[] {
  const surplus = attributeWords(clear).filter(
    (word) => !attributeWords(set).includes(word) && mount.options.includes(word),
  );
  const problems = [...missingWords(set & ~RESTRICTING, mount), ...surplus.map((word) => `it is ${word}`)];
  const word = propagationWord(propagation);
  const has = (prefix: string): boolean => mount.propagation.some((each) => each.startsWith(prefix));
  const fits = {
    shared: has("shared:"),
    // A slave of nobody is private.
    slave: !has("shared:"),
    private: mount.propagation.length === 0,
    unbindable: has("unbindable"),
  };
  return word === undefined || fits[word] ? problems : [...problems, `it is not ${word}`];
}

/** Options with values that the file system shows under the same name: what it does not show cannot be compared. */
function optionProblems(
  { options }: ExpectedMount,
  { superOptions, options: mountOptions }: MountInfo,
  probe: ExplainInput["probe"],
): string[] {
  return options.flatMap((option) => {
    const equals = option.indexOf("=");
    if (equals < 0) {
      return option === "ro" && ![...superOptions, ...mountOptions].includes("ro") ? ["it is not ro"] : [];
    }
    const name = option.slice(0, equals + 1);
    // Of one name there may be several (overlay's lowerdir+).
    const shown = superOptions.filter((each) => each.startsWith(name));
    const wanted = normal(name, option.slice(name.length));
    if (shown.length === 0 || wanted === undefined) return [];
    const has = shown.map((each) => {
      const value = each.slice(name.length);
      return normal(name, /^[ug]id=$/.test(name) ? insideId(probe, name, value) : value);
    });
    return has.includes(wanted) ? [] : [`${option} was asked for, ${shown.join(",")} is what it has`];
  });
}

/** The kernel shows the ids of a file system's options as the host counts them. */
function insideId(probe: ExplainInput["probe"], name: string, value: string): string {
  const map = probe.text(name === "uid=" ? "uid_map" : "gid_map");
  return "unreadable" in map ? value : String(idInside(parseIdMap(map.value), Number(value)) ?? value);
}

/** The kernel's words for procfs's hidepid (Linux 5.8). */
const hidepid: Readonly<Record<string, string>> = { "0": "off", "1": "noaccess", "2": "invisible", "4": "ptraceable" };

/** undefined for a value that depends on the machine. */
function normal(name: string, value: string): string | undefined {
  if (name === "hidepid=") return hidepid[value] ?? value;
  if (/mode=$/.test(name)) return value.replace(/^0+(?=\d)/, "");
  if (value.endsWith("%")) return undefined;
  return name === "size=" || name === "nr_inodes=" ? String(sizeOf(value) ?? value) : value;
}

/** What is mounted beside what was asked for. */
function others(
  { config, probe }: ExplainInput,
  expected: readonly ExpectedMount[],
  table: MountTable,
  seen: Set<number>,
): Item[] {
  const hooks = [config.hooks?.prestart, config.hooks?.createRuntime, config.hooks?.createContainer].some(
    (list) => (list ?? []).length > 0,
  );
  const trees = expected.filter(({ recursive, kind }) => recursive === true || kind === "readonly");
  const rootfs = expected.find(({ kind }) => kind === "root")?.source;
  const rest = table.all.filter((mount) => !seen.has(mount.id) && table.isVisible(mount));
  const items = rest.slice(0, MAX_OTHERS).map((mount) => {
    const actual = describeActual(mount);
    const tree = trees.find(({ target }) => isBelow(target, mount.point));
    if (tree !== undefined) return info(mount.point, actual, `part of what is mounted at ${tree.target}`);
    const host = rootfs === undefined ? undefined : probe.mountAt(rootfs + mount.point);
    if (host !== undefined && "value" in host && host.value !== undefined && isSame(host.value, mount)) {
      return info(mount.point, actual, "mounted in the root file system on the host, too");
    }
    const note = "nobody asked for it in config.json: mounted from inside, or on the host and propagated";
    if (hooks) return adjusted(mount.point, { actual, note: `${note}, or by a hook` });
    return differs(mount.point, { configured: "nothing", actual, note, grave: true });
  });
  const left = rest.length - items.length;
  if (left === 0) return items;
  return [...items, differs("others", { configured: "nothing", actual: `${left} more mounts`, grave: true })];
}
