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

/** The NUL that ends a text and what fills the last 8 bytes, by the text's length modulo 8. */
const paddings: readonly string[] = Array.from({ length: 8 }, (_, rest) => "\0".repeat(8 - rest));

/** Grows by doubling, which an engine's plan is not large enough for; one buffer a plan, so that encoding costs no garbage per step. */
class Writer {
  bytes = Buffer.alloc(64 * 1024);
  view = new DataView(this.bytes.buffer, this.bytes.byteOffset);
  length = 0;

  reserve(count: number): number {
    const at = this.length;
    const need = at + count;
    if (need > limits.planBytes) throw new TsrunError("internal", `plan is larger than ${limits.planBytes} bytes`);
    if (need > this.bytes.length) {
      const larger = Buffer.alloc(Math.max(need, this.bytes.length * 2));
      larger.set(this.bytes.subarray(0, at));
      this.bytes = larger;
      this.view = new DataView(larger.buffer, larger.byteOffset);
    }
    this.length = need;
    return at;
  }

  /** Writes a text behind the rest, and where it is into the cell. */
  text(cell: number, start: number, value: string, step: Step, name: string): void {
    if (value.includes("\0")) throw new TsrunError("config", `${step.kind}.${name}: text contains NUL`);
    const count = Buffer.byteLength(value);
    const at = this.reserve((count + 8) & ~7);
    this.bytes.write(value, at);
    this.reference(cell, start, at, count);
  }

  /** Writes texts and a list of where they are. Hundreds of names (seccomp) are one string for the encoder, not a call each. */
  texts(cell: number, start: number, values: readonly string[], step: Step, name: string): void {
    let at = this.list(cell, start, values.length, step, name);
    const all = values.join("");
    if (all.includes("\0") || Buffer.byteLength(all) !== all.length) {
      for (const value of values) {
        this.text(at, start, value, step, name);
        at += 8;
      }
      return;
    }
    // ASCII: as many bytes as characters.
    let heap = "";
    for (const value of values) {
      this.reference(at, start, this.length + heap.length, value.length);
      heap += value + (paddings[value.length & 7] as string);
      at += 8;
    }
    const where = this.reserve(heap.length); // which may be in another buffer then
    this.bytes.write(heap, where, "latin1");
  }

  reference(cell: number, start: number, at: number, count: number): void {
    this.view.setUint32(cell, at - start, true);
    this.view.setUint32(cell + 4, count, true);
  }

  integer(cell: number, value: number | bigint, step: Step, name: string): void {
    // Nearly all are small; a bigint for each would cost more than the rest of the encoding.
    if (typeof value === "number" && value >= 0 && value <= 0xffff_ffff && Number.isInteger(value)) {
      this.view.setUint32(cell, value, true);
      return;
    }
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      throw new TsrunError("internal", `${step.kind}.${name}: ${value} is not an exact integer`);
    }
    this.view.setBigUint64(cell, BigInt.asUintN(64, BigInt(value)), true);
  }

  /** Room for the elements of a list. */
  list(cell: number, start: number, count: number, step: Step, name: string): number {
    if (count > limits.elements) {
      throw new TsrunError("config", `${step.kind}.${name}: more than ${limits.elements} elements`);
    }
    const at = this.reserve(8 * count);
    this.reference(cell, start, at, count);
    return at;
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

function encodeField(
  writer: Writer,
  cell: number,
  start: number,
  step: Step,
  name: string,
  type: FieldType,
  slots: ReadonlyMap<string, number>,
): void {
  const value = (step as unknown as Record<string, unknown>)[name];
  switch (type) {
    case "u64":
    case "i64":
      writer.integer(cell, value as number | bigint, step, name);
      break;
    case "bool":
      writer.view.setUint32(cell, value === true ? 1 : 0, true);
      break;
    case "slot":
      if (value === null) writer.view.setBigUint64(cell, NO_SLOT, true);
      else writer.integer(cell, slots.get(value as string) ?? -1, step, name);
      break;
    case "str":
      writer.text(cell, start, value as string, step, name);
      break;
    case "bytes": {
      const data = value as Uint8Array;
      const at = writer.reserve((data.length + 7) & ~7);
      writer.bytes.set(data, at);
      writer.reference(cell, start, at, data.length);
      break;
    }
    case "strs":
      writer.texts(cell, start, value as readonly string[], step, name);
      break;
    case "u64s": {
      const numbers = value as readonly (number | bigint)[];
      let at = writer.list(cell, start, numbers.length, step, name);
      for (const number of numbers) {
        writer.integer(at, number, step, name);
        at += 8;
      }
      break;
    }
  }
}

function encodeStep(writer: Writer, step: Step, slots: ReadonlyMap<string, number>): void {
  const { code, fields } = vocabulary[step.kind] as { code: number; fields: Readonly<Record<string, string>> };
  const names = Object.keys(fields);
  const start = writer.reserve(8 + 8 * names.length);
  let cell = start + 8;
  for (const name of names) {
    const described = fields[name] as string;
    const colon = described.indexOf(":");
    const type = (colon < 0 ? described : described.slice(0, colon)) as FieldType;
    encodeField(writer, cell, start, step, name, type, slots);
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
