import { callsText } from "./dbus-text.ts";
import { deviceProgramRules } from "./device-program-text.ts";
import { actionText, architecturesText, rulesByAction } from "./seccomp-text.ts";
import {
  type FieldType,
  linkRules,
  type Plan,
  type RenderHint,
  type Step,
  syncPoints,
  vocabulary,
} from "./vocabulary.ts";

/** Text beyond this many characters is cut; its length and hash stand for the rest, so that two texts never look alike. */
const LONG = 160;
const KEPT = 100;

const bits = (names: Readonly<Record<string, number>>) => (value: bigint) => {
  const found: string[] = [];
  let rest = value;
  for (const name in names) {
    const bit = BigInt(names[name] as number);
    if ((rest & bit) !== bit) continue;
    found.push(name);
    rest &= ~bit;
  }
  if (rest !== 0n) found.push(`0x${rest.toString(16)}`);
  return found.length === 0 ? "0" : found.join("|");
};
const oneOf = (names: Readonly<Record<string, number>>) => (value: bigint) =>
  Object.keys(names).find((name) => BigInt(names[name] as number) === value) ?? String(value);
const numbered = (names: readonly string[]) => (value: bigint) => names[Number(value)] ?? String(value);

// Names as the kernel's headers have them, without the common prefix.
const signals =
  "0 HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(
    " ",
  );
const rlimits =
  "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME".split(" ");
const capabilities =
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE".split(
    " ",
  );

const memoryPolicies = "DEFAULT PREFERRED BIND INTERLEAVE LOCAL PREFERRED_MANY WEIGHTED_INTERLEAVE".split(" ");
const memoryPolicyFlags = bits({ NUMA_BALANCING: 1 << 13, RELATIVE_NODES: 1 << 14, STATIC_NODES: 1 << 15 });

/** A set of numbers, 64 a word, as ranges: "0-3,7". */
function ranges(words: readonly (number | bigint)[]): string {
  const has = (number: number): boolean =>
    ((BigInt(words[Math.floor(number / 64)] ?? 0) >> BigInt(number % 64)) & 1n) === 1n;
  const parts: string[] = [];
  for (let first = 0; first < words.length * 64; first++) {
    if (!has(first)) continue;
    let last = first;
    while (has(last + 1)) last++;
    parts.push(first === last ? `${first}` : `${first}-${last}`);
    first = last;
  }
  return parts.join(",");
}

const UNLIMITED = 0xffff_ffff_ffff_ffffn;

const hints: Readonly<Record<RenderHint, (value: bigint) => string>> = {
  clone: bits({
    NEWTIME: 0x80,
    NEWNS: 0x2_0000,
    NEWCGROUP: 0x200_0000,
    NEWUTS: 0x400_0000,
    NEWIPC: 0x800_0000,
    NEWUSER: 0x1000_0000,
    NEWPID: 0x2000_0000,
    NEWNET: 0x4000_0000,
  }),
  attr: bits({
    RDONLY: 0x1,
    NOSUID: 0x2,
    NODEV: 0x4,
    NOEXEC: 0x8,
    // The atime setting is a number of two bits, of which these are values.
    NOATIME: 0x10,
    STRICTATIME: 0x20,
    NODIRATIME: 0x80,
    IDMAP: 0x10_0000,
    NOSYMFOLLOW: 0x20_0000,
  }),
  prop: bits({ REC: 0x4000, UNBINDABLE: 1 << 17, PRIVATE: 1 << 18, SLAVE: 1 << 19, SHARED: 1 << 20 }),
  octal: (value) => `0${value.toString(8)}`,
  hex: (value) => `0x${value.toString(16)}`,
  signal: (value) => (signals[Number(value)] === undefined ? String(value) : `SIG${signals[Number(value)]}`),
  caps: (value) => {
    const known = (1n << BigInt(capabilities.length)) - 1n;
    if ((value & known) === known) return "all";
    return bits(Object.fromEntries(capabilities.map((name, i) => [name, 2 ** i])))(value);
  },
  rlimit: numbered(rlimits),
  point: oneOf(syncPoints),
  devtype: oneOf({ fifo: 0o10000, char: 0o20000, block: 0o60000 }),
  links: bits(linkRules),
  pivot: numbered(["pivot_root", "MS_MOVE", "chroot"]),
  sched: numbered(["OTHER", "FIFO", "RR", "BATCH", "ISO", "IDLE", "DEADLINE"]),
  schedflags: bits({
    RESET_ON_FORK: 0x1,
    RECLAIM: 0x2,
    DL_OVERRUN: 0x4,
    KEEP_POLICY: 0x8,
    KEEP_PARAMS: 0x10,
    UTIL_CLAMP_MIN: 0x20,
    UTIL_CLAMP_MAX: 0x40,
  }),
  ioclass: numbered(["NONE", "RT", "BE", "IDLE"]),
  mempolicy: (value) => {
    const mode = memoryPolicies[Number(value & 0xfffn)] ?? String(value & 0xfffn);
    const flags = value & ~0xfffn;
    return flags === 0n ? mode : `${mode}|${memoryPolicyFlags(flags)}`;
  },
  bitset: String, // of one element; renderField has the whole
  dbus: String, // never of a number
};

/** The first 16 digits of a SHA-256. node:crypto costs 5 ms to load, and few plans have anything so long. */
function shortHash(data: string | Uint8Array): string {
  const { createHash } = require("node:crypto") as typeof import("node:crypto");
  return createHash("sha256").update(data).digest("hex").slice(0, 16);
}

function shorten(text: string): string {
  if (text.length <= LONG) return text;
  const hash = shortHash(text);
  return `${text.slice(0, KEPT)}… (${text.length} characters, sha256 ${hash})`;
}

function quote(text: string): string {
  return shorten(/^[\w@%+=:,./-]+$/.test(text) ? text : JSON.stringify(text));
}

/** Hints of masks, which say nothing when they are empty. */
const neutral: ReadonlySet<RenderHint> = new Set(["attr", "prop", "hex", "clone", "schedflags", "links"]);

/** One field as text, or undefined when it says nothing: false, no slot, an empty list or text, no flags. */
function renderField(value: unknown, type: FieldType, hint: RenderHint | undefined): string | undefined {
  switch (type) {
    case "bool":
      return value === true ? "yes" : undefined;
    case "slot":
      return value === null ? undefined : `<${value as string}>`;
    case "str":
      return value === "" ? undefined : quote(value as string);
    case "strs": {
      const texts = value as readonly string[];
      return texts.length === 0 ? undefined : shorten(JSON.stringify(texts));
    }
    case "u64s": {
      const numbers = value as readonly (number | bigint)[];
      if (numbers.length === 0) return undefined;
      return shorten(hint === "bitset" ? ranges(numbers) : `[${numbers.join(",")}]`);
    }
    case "bytes": {
      const bytes = value as Uint8Array;
      if (hint === "dbus" && bytes.length > 0) return callsText(bytes);
      return bytes.length === 0 ? undefined : `(${bytes.length} bytes, sha256 ${shortHash(bytes)})`;
    }
    case "i64":
      return String(value);
    case "u64": {
      const number = BigInt.asUintN(64, BigInt(value as number | bigint));
      if (hint === undefined) return number === UNLIMITED ? "unlimited" : String(number);
      if (number === 0n && neutral.has(hint)) return undefined;
      return hints[hint](number);
    }
  }
}

/** Fields whose codes say little: as text, or undefined when the lines of `renderRules` say it. */
function codedFields(step: Step): Readonly<Record<string, string | undefined>> {
  if (step.kind === "seccomp.compile") {
    return {
      defaultAction: `default=${actionText(Number(step.defaultAction))}`,
      newerAction: `newer=${actionText(Number(step.newerAction))}`,
      architectures:
        step.architectures.length === 0 ? undefined : `architectures=${architecturesText(step.architectures)}`,
      names: `rules=${step.names.length}`,
      actions: undefined,
      conditions: undefined,
    };
  }
  const rules = step.kind === "cgroup.devices" ? deviceProgramRules(step.program) : undefined;
  return rules === undefined ? {} : { program: `rules=${rules.length}` };
}

/** The rules that a step carries, a line each or, of system calls, as many on a line as it has room for. */
function renderRules(step: Step): string[] {
  if (step.kind === "cgroup.devices") return deviceProgramRules(step.program) ?? [];
  if (step.kind !== "seccomp.compile") return [];
  return [...rulesByAction(step)].flatMap(([action, rules]) => fill(`${action}:`, rules));
}

const LINE = 110;

/** Words after a heading, broken into lines, of which all but the first are indented. */
function fill(heading: string, words: readonly string[]): string[] {
  const lines = [heading];
  for (const word of words) {
    const last = lines[lines.length - 1] as string;
    if (last.length + 1 + word.length <= LINE) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`  ${word}`);
  }
  return lines;
}

/** A step's fields as `name=value`, in the vocabulary's order; those at their neutral value are left out. */
export function renderFields(step: Step): string {
  if (step.kind === "cgroup.write") {
    return `${quote(step.hierarchy + step.path)} ${step.file} = ${quote(step.value.trimEnd())}`;
  }
  const fields: Readonly<Record<string, string>> = vocabulary[step.kind].fields;
  const values = step as unknown as Readonly<Record<string, unknown>>;
  const coded = codedFields(step);
  const parts: string[] = [];
  for (const name in fields) {
    const [type, hint] = (fields[name] as string).split(":") as [FieldType, RenderHint | undefined];
    const text = name in coded ? undefined : renderField(values[name], type, hint);
    const part = text === undefined ? coded[name] : type === "bool" ? name : `${name}=${text}`;
    if (part !== undefined) parts.push(part);
  }
  return parts.join(" ");
}

/**
 * A plan as stable text, one line a step: the side, the index that messages name, the kind, `?` for a step whose failure
 * is passed over, and the fields; below it, indented, the rules of a filter or device program. This is `tsrun plan` and the
 * golden tests' format.
 */
export function renderPlan(plan: Plan): string {
  const lines = [`# ${plan.title}`];
  const list = (side: string, steps: readonly Step[]): void => {
    const width = String(Math.max(0, steps.length - 1)).length;
    for (const [i, step] of steps.entries()) {
      const kind = step.optional === true ? `${step.kind}?` : step.kind;
      lines.push(`${side} ${String(i).padStart(width)} ${kind.padEnd(24)} ${renderFields(step)}`.trimEnd());
      for (const rule of renderRules(step)) lines.push(`    ${rule}`);
    }
  };
  list("host", plan.host);
  list("container", plan.container);
  return `${lines.join("\n")}\n`;
}

/** A plan as JSON: integers beyond 2^53 as decimal strings, bytes as base64. */
export function planToJson(plan: Plan): string {
  return JSON.stringify(
    plan,
    (_, value: unknown) => {
      if (typeof value === "bigint") {
        return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= 0n ? Number(value) : value.toString();
      }
      return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
    },
    2,
  );
}
