/** Host facts as JSON, for `tsrun plan --host-facts FILE`: a plan for another host, or for a bug report's. */
import * as z from "zod/mini";
import type { AbsPath } from "../core/brands.ts";
import { TsrunError } from "../core/errors.ts";
import type { HostFacts } from "./facts.ts";

const text = z.string().check(z.refine((value) => !value.includes("\0"), "text without NUL"));
const path = text.check(
  z.refine((value) => value.startsWith("/") && !value.split("/").includes(".."), 'an absolute path without ".."'),
);
const count = z.int().check(z.gte(0));
const absPath = z.pipe(
  path,
  z.transform((value) => value as AbsPath),
);
/** Decimal, since JSON's numbers end at 2^53. */
const uint64 = z.pipe(
  z.string().check(z.regex(/^\d{1,20}$/, "a decimal number as a string")),
  z.transform((digits) => BigInt(digits)),
);

const schema = z.strictObject({
  kernel: z.strictObject({ release: text, major: count, minor: count }),
  uid: count,
  inUserNamespace: z.boolean(),
  lastCapability: count.check(z.lte(63)),
  permittedCapabilities: uint64,
  cgroup: z.strictObject({
    mode: z.enum(["v1", "hybrid", "v2", "none"]),
    hierarchies: z.array(
      z.strictObject({
        version: z.union([z.literal(1), z.literal(2)]),
        mountPoint: absPath,
        controllers: z.array(text),
        own: path,
        writable: z.boolean(),
      }),
    ),
  }),
  resctrl: z.optional(absPath),
  systemd: z.optional(
    z.strictObject({ user: z.boolean(), managers: z.array(absPath), buses: z.array(absPath), cgroup: text }),
  ),
  lsm: z.strictObject({ apparmor: z.boolean(), selinux: z.boolean() }),
  launch: z.strictObject({
    nofile: z.strictObject({ soft: uint64, hard: uint64 }),
    ignoredSignals: uint64,
    validFds: z.optional(z.array(count)),
  }),
});

export function hostFactsToJson(facts: HostFacts): string {
  return JSON.stringify(facts, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value), 2);
}

/** Throws `usage` naming every wrong value by its JSON pointer; `file` is for the message. */
export function hostFactsFromJson(json: string, file: string): HostFacts {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new TsrunError("usage", `${file} is not JSON: ${String((error as { message?: unknown }).message)}`);
  }
  const result = schema.safeParse(value);
  if (!result.success) {
    const lines = result.error.issues.map((issue) => `/${issue.path.map(String).join("/")}: ${wanted(issue)}`);
    throw new TsrunError("usage", `${file} does not hold facts of a host\n${lines.join("\n")}`, {
      advice: "make one with: tsrun plan --print-host-facts",
    });
  }
  return { ...result.data, launch: { validFds: undefined, ...result.data.launch } };
}

/** zod/mini has no texts of its own. */
function wanted(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") return `unknown property ${issue.keys.join(", ")}`;
  if (issue.code === "invalid_type") return `not of type ${issue.expected}`;
  if (issue.code === "invalid_value") return `not one of ${issue.values.map(String).join(", ")}`;
  return issue.message;
}
