/**
 * A value that was written to a file of a cgroup against what the kernel says there afterwards: it rounds, sorts, and
 * shows lists of which one line was written. Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
 */
import { MAX_CPU, numberSet } from "../core/number-set.ts";

export interface ValueMatch {
  readonly kind: "same" | "rounded" | "other";
  /** The part of the file that the value is about. */
  readonly actual: string;
}

/** Files with a line for each device or the like, of which a write gives one. */
const tables = /^(io\.max|rdma\.max|net_prio\.ifpriomap|blkio\..*_device)$/;
const cpuLists = /^cpuset\.(cpus|mems)$/;
const byteCounts =
  /^(memory\.(max|high|low|min|swap\.max|swap\.high)|memory\..*limit_in_bytes|hugetlb\..*(max|limit_in_bytes))$/;

/** Most of a page of any architecture, and of a huge page by its name. */
const PAGE_BYTES = 65_536n;
/** What v1 takes for "no limit": the largest number of pages. */
const NO_LIMIT = 2n ** 63n - PAGE_BYTES;

export function matchValue(file: string, wanted: string, shown: string): ValueMatch {
  if (tables.test(file)) return matchLine(wanted, shown);
  const actual = words(shown);
  if (file === "memory.oom_control") {
    const line = shown.split("\n").find((each) => each.startsWith("oom_kill_disable ")) ?? "";
    return matchText(wanted, line.split(" ")[1] ?? "");
  }
  if (/^io\.(bfq\.)?weight$/.test(file)) {
    // "default N", then lines of devices.
    if (wanted.includes(" ") || wanted.includes(":")) return matchLine(wanted, shown);
    return matchText(wanted, (shown.split("\n")[0] ?? "").replace(/^default /, ""));
  }
  if (cpuLists.test(file)) {
    const [set, has] = [wanted, actual].map((list) => numberSet(list, MAX_CPU)?.join());
    return { kind: set !== undefined && set === has ? "same" : "other", actual };
  }
  if (byteCounts.test(file)) return matchBytes(file, wanted, actual);
  // cpu.max may be written without its second part.
  return { kind: `${actual} `.startsWith(`${words(wanted)} `) ? "same" : "other", actual };
}

const words = (text: string): string => text.trim().split(/\s+/).join(" ");

const matchText = (wanted: string, actual: string): ValueMatch => ({
  kind: wanted === actual ? "same" : "other",
  actual,
});

/** A line that begins with the same word; without one the device has no limit. */
function matchLine(wanted: string, shown: string): ValueMatch {
  const [key = "", ...parts] = words(wanted).split(" ");
  const line = shown.split("\n").find((each) => each.startsWith(`${key} `));
  const has = words(line ?? "")
    .split(" ")
    .slice(1);
  const none = parts.every((part) => part === "0" || part.endsWith("=max"));
  const same = line === undefined ? none : parts.every((part) => has.includes(part));
  return { kind: same ? "same" : "other", actual: line === undefined ? `${key}: none` : words(line) };
}

function matchBytes(file: string, wanted: string, actual: string): ValueMatch {
  const [asked, has] = [bytes(wanted), bytes(actual)];
  if (asked === undefined || has === undefined) return { kind: words(wanted) === actual ? "same" : "other", actual };
  if (asked === has) return { kind: "same", actual };
  const [, size = "", unit = ""] = /^hugetlb\.(\d+)([KMG])B\./.exec(file) ?? [];
  const page = size === "" ? PAGE_BYTES : BigInt(size) * 1024n ** BigInt("KMG".indexOf(unit) + 1);
  return { kind: has < asked && asked - has < page ? "rounded" : "other", actual };
}

/** Undefined for no number; what is as good as no limit is one number. */
export function bytes(text: string): bigint | undefined {
  if (text === "max" || text === "-1") return NO_LIMIT;
  if (!/^\d+$/.test(text)) return undefined;
  const value = BigInt(text);
  return value > NO_LIMIT ? NO_LIMIT : value;
}

export const isNoLimit = (value: bigint): boolean => value >= NO_LIMIT;
