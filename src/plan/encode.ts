import { TsrunError } from "../core/errors.ts";
import { vocabularyHash } from "./hash.gen.ts";
import { type FieldType, limits, type Plan, type Step, syncPoints, vocabulary } from "./vocabulary.ts";

/**
 * The wire format (docs/plan-format.md), little-endian, everything 8-byte aligned:
 *
 *     header   u64 magic, u32 vocabulary hash, u32 total bytes, u32 host steps, u32 container steps, u32 slots, u32 0
 *     record   u16 kind, u16 flags (1 = optional), u32 bytes of the record; then a cell of 8 bytes a field; then the heap
 *     cell     an integer; or u32 offset from the record's start and u32 count (bytes, or elements of a list)
 *     heap     text ends in NUL (not counted); `strs` is an array of cells; `u64s` an array of u64
 */
export const PLAN_MAGIC = 0x314e_414c_5052_5354n; // "TSRPLAN1"
export const HEADER_BYTES = 32;
const NO_SLOT = 0xffff_ffff_ffff_ffffn;

const encoder = new TextEncoder();

/** Grows by doubling; one buffer a plan, so that encoding costs no garbage per step. */
class Writer {
  bytes = new Uint8Array(16 * 1024);
  view = new DataView(this.bytes.buffer);
  length = 0;

  reserve(count: number): number {
    const at = this.length;
    const need = at + count;
    if (need > limits.planBytes) throw new TsrunError("internal", `plan is larger than ${limits.planBytes} bytes`);
    if (need > this.bytes.length) {
      const larger = new Uint8Array(Math.max(need, this.bytes.length * 2));
      larger.set(this.bytes.subarray(0, at));
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    this.length = need;
    return at;
  }

  text(value: string, what: string): { at: number; count: number } {
    if (value.includes("\0")) throw new TsrunError("config", `${what}: text contains NUL`);
    const data = encoder.encode(value);
    const at = this.reserve((data.length + 8) & ~7);
    this.bytes.set(data, at);
    return { at, count: data.length };
  }
}

/** Slots of a plan in order of first use; their index is their number in the encoded plan. */
export function slotNames(plan: Plan): string[] {
  const names = new Set<string>();
  for (const step of [...plan.host, ...plan.container]) {
    const fields: Readonly<Record<string, string>> = vocabulary[step.kind].fields;
    for (const name in fields) {
      if (fields[name] !== "slot") continue;
      const value = (step as unknown as Record<string, unknown>)[name];
      if (typeof value === "string") names.add(value);
    }
  }
  return [...names];
}

function integer(value: number | bigint, what: string): bigint {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new TsrunError("internal", `${what}: ${value} is not an exact integer`);
  }
  return BigInt.asUintN(64, BigInt(value));
}

function encodeStep(writer: Writer, step: Step, slots: ReadonlyMap<string, number>): void {
  const { code, fields } = vocabulary[step.kind] as { code: number; fields: Readonly<Record<string, string>> };
  const names = Object.keys(fields);
  const start = writer.reserve(8 + 8 * names.length);
  let cell = start + 8;
  for (const name of names) {
    const what = `${step.kind}.${name}`;
    const value = (step as unknown as Record<string, unknown>)[name];
    const type = (fields[name] as string).split(":", 1)[0] as FieldType;
    const reference = (at: number, count: number): void => {
      if (count > limits.planBytes) throw new TsrunError("internal", `${what}: too large`);
      writer.view.setUint32(cell, at - start, true);
      writer.view.setUint32(cell + 4, count, true);
    };
    const list = (count: number): number => {
      if (count > limits.elements) throw new TsrunError("config", `${what}: more than ${limits.elements} elements`);
      return writer.reserve(8 * count);
    };
    switch (type) {
      case "u64":
      case "i64":
        writer.view.setBigUint64(cell, integer(value as number | bigint, what), true);
        break;
      case "bool":
        writer.view.setBigUint64(cell, value === true ? 1n : 0n, true);
        break;
      case "slot":
        writer.view.setBigUint64(cell, value === null ? NO_SLOT : BigInt(slots.get(value as string) ?? -1), true);
        break;
      case "str": {
        const { at, count } = writer.text(value as string, what);
        reference(at, count);
        break;
      }
      case "bytes": {
        const data = value as Uint8Array;
        const at = writer.reserve((data.length + 7) & ~7);
        writer.bytes.set(data, at);
        reference(at, data.length);
        break;
      }
      case "strs": {
        const texts = value as readonly string[];
        const at = list(texts.length);
        for (const [i, text] of texts.entries()) {
          const element = writer.text(text, what);
          writer.view.setUint32(at + 8 * i, element.at - start, true);
          writer.view.setUint32(at + 8 * i + 4, element.count, true);
        }
        reference(at, texts.length);
        break;
      }
      case "u64s": {
        const numbers = value as readonly (number | bigint)[];
        const at = list(numbers.length);
        for (const [i, number] of numbers.entries()) writer.view.setBigUint64(at + 8 * i, integer(number, what), true);
        reference(at, numbers.length);
        break;
      }
    }
    cell += 8;
  }
  writer.view.setUint16(start, code, true);
  writer.view.setUint16(start + 2, step.optional === true ? 1 : 0, true);
  writer.view.setUint32(start + 4, writer.length - start, true);
}

/** Encodes a plan for the executor. Throws `config` for text that the kernel cannot take (NUL), `internal` for a bug. */
export function encodePlan(plan: Plan): Uint8Array {
  const names = slotNames(plan);
  const steps = plan.host.length + plan.container.length;
  if (names.length > limits.slots) throw new TsrunError("internal", `plan has more than ${limits.slots} slots`);
  if (steps > limits.steps) throw new TsrunError("config", `plan has ${steps} steps, more than ${limits.steps}`);
  const slots = new Map(names.map((name, i) => [name, i]));
  const writer = new Writer();
  writer.reserve(HEADER_BYTES);
  for (const step of plan.host) encodeStep(writer, step, slots);
  for (const step of plan.container) encodeStep(writer, step, slots);
  const view = writer.view;
  view.setBigUint64(0, PLAN_MAGIC, true);
  view.setUint32(8, vocabularyHash, true);
  view.setUint32(12, writer.length, true);
  view.setUint32(16, plan.host.length, true);
  view.setUint32(20, plan.container.length, true);
  view.setUint32(24, names.length, true);
  return writer.bytes.subarray(0, writer.length);
}

/** The number of a sync point for a `sync.*` step. */
export function point(name: keyof typeof syncPoints): number {
  return syncPoints[name];
}
