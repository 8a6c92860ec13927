/** What a seccomp.compile step says, to be read: actions, architectures and operators by name, system calls by their action. */
import { errnoName } from "../core/errno.ts";
import { actions, architectures, operators } from "./seccomp-codes.ts";
import type { StepOf } from "./vocabulary.ts";

type Compile = StepOf<"seccomp.compile">;

/** Without the prefix that all of them have; of two names for one number the later, which says more. */
const byCode = (entries: readonly (readonly [string, number])[]): ReadonlyMap<number, string> =>
  new Map(entries.map(([name, code]) => [code, name.replace(/^SCMP_[A-Z]+_/, "")]));
const actionNames = byCode(Object.entries(actions).map(([name, { code }]) => [name, code]));
const architectureNames = byCode(Object.entries(architectures));

const signs: Readonly<Record<keyof typeof operators, string>> = {
  SCMP_CMP_NE: "!=",
  SCMP_CMP_LT: "<",
  SCMP_CMP_LE: "<=",
  SCMP_CMP_EQ: "==",
  SCMP_CMP_GE: ">=",
  SCMP_CMP_GT: ">",
  SCMP_CMP_MASKED_EQ: "&",
};
const signOf = (operator: number): string | undefined =>
  Object.entries(signs).find(([name]) => operators[name as keyof typeof operators] === operator)?.[1];

/** `ALLOW`, `ERRNO(ENOSYS)`, `TRACE(7)`. */
export function actionText(code: number): string {
  const data = code & 0xffff;
  const name = actionNames.get(code - data);
  if (name === undefined) return `0x${code.toString(16)}`;
  if (name === "ERRNO") return `${name}(${errnoName(data) ?? data})`;
  return data === 0 ? name : `${name}(${data})`;
}

export function architecturesText(codes: readonly (number | bigint)[]): string {
  return codes.map((code) => architectureNames.get(Number(code)) ?? `0x${code.toString(16)}`).join(",");
}

/** Small numbers as people write them, masks and addresses as the headers do. */
const numberText = (value: bigint): string => (value < 256n ? String(value) : `0x${value.toString(16)}`);

/** The conditions by the index of their rule: `arg0 & 0x7e020000 == 0`. */
function conditionsOf({ conditions }: Compile): ReadonlyMap<number, readonly string[]> {
  const all = new Map<number, string[]>();
  for (let at = 0; at + 5 <= conditions.length; at += 5) {
    const [rule, argument, operator, value, second] = conditions.slice(at, at + 5).map(BigInt) as [
      bigint,
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    const sign = signOf(Number(operator)) ?? `operator ${operator}`;
    const masked = sign === "&" ? ` == ${numberText(second)}` : "";
    const text = `arg${argument} ${sign} ${numberText(BigInt.asUintN(64, value))}${masked}`;
    all.set(Number(rule), [...(all.get(Number(rule)) ?? []), text]);
  }
  return all;
}

/** A name is whatever the profile says: nothing in it may look like more than one, or act on a terminal. */
const nameText = (name: string): string => (/^\w+$/.test(name) ? name : JSON.stringify(name));

/** The rules by their action, each as `clone(arg0 & 0x7e020000 == 0)`, in the profile's order. */
export function rulesByAction(step: Compile): ReadonlyMap<string, readonly string[]> {
  const conditions = conditionsOf(step);
  const groups = new Map<string, string[]>();
  for (const [i, plain] of step.names.entries()) {
    const name = nameText(plain);
    const action = actionText(Number(step.actions[i]));
    const conditionTexts = conditions.get(i);
    const rule = conditionTexts === undefined ? name : `${name}(${conditionTexts.join(", ")})`;
    const group = groups.get(action);
    if (group === undefined) groups.set(action, [rule]);
    else group.push(rule);
  }
  return groups;
}
