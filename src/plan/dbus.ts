/**
 * Calls of D-Bus methods as bytes (D-Bus Specification, "Message Protocol"), little-endian as the plan is. The executor
 * sends them as they are.
 */
import { TsrunError } from "../core/errors.ts";

export interface Variant {
  readonly signature: string;
  readonly value: DBusValue;
}
/** A structure is a list, as an array is; the signature tells them apart. */
export type DBusValue = string | number | bigint | boolean | Variant | Later | readonly DBusValue[];

/** A number of 32 bits that only the executor knows: 0 in the bytes, whose place `encodeCall` gives. */
interface Later {
  readonly later: true;
}
export const LATER: Later = { later: true };

export interface MethodCall {
  /** Of the message; the answer refers to it. Not 0. */
  readonly serial: number;
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature: string;
  readonly args: readonly DBusValue[];
}

export interface EncodedCall {
  readonly bytes: Uint8Array;
  /** Offset of the number that is LATER, or 0 without one. */
  readonly laterAt: number;
}

/** "Summary of types": what the position of a value is a multiple of. */
export const alignments: Readonly<Record<string, number>> = {
  y: 1,
  g: 1,
  v: 1,
  n: 2,
  q: 2,
  b: 4,
  i: 4,
  u: 4,
  s: 4,
  o: 4,
  a: 4,
  x: 8,
  t: 8,
  d: 8,
  "(": 8,
};

export const METHOD_CALL = 1;
const PROTOCOL_VERSION = 1;
export const HEADER_FIELDS = { path: 1, interface: 2, member: 3, destination: 6, signature: 8 } as const;

const encoder = new TextEncoder();

class Writer {
  bytes = new Uint8Array(1024);
  view = new DataView(this.bytes.buffer);
  length = 0;
  laterAt = 0;

  reserve(count: number): number {
    const at = this.length;
    if (at + count > this.bytes.length) {
      const larger = new Uint8Array(Math.max(at + count, this.bytes.length * 2));
      larger.set(this.bytes.subarray(0, at));
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    this.length = at + count;
    return at;
  }

  /** `set` gets the view as it is after growing. */
  number(bytes: number, set: (view: DataView, at: number) => void): number {
    const at = this.reserve(bytes);
    set(this.view, at);
    return at;
  }

  align(to: number): void {
    this.reserve((to - (this.length % to)) % to);
  }

  text(value: string, lengthBytes: 1 | 4): void {
    const data = encoder.encode(value);
    this.number(lengthBytes, (view, at) => {
      if (lengthBytes === 1) view.setUint8(at, data.length);
      else view.setUint32(at, data.length, true);
    });
    const at = this.reserve(data.length + 1); // and a NUL
    this.bytes.set(data, at);
  }
}

/** Splits a signature into its single complete types: "sa(sv)" is "s" and "a(sv)". */
export function typesOf(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length; ) {
    let end = at;
    while (signature[end] === "a") end++;
    if (signature[end] === "(") {
      for (let depth = 0; end < signature.length; end++) {
        if (signature[end] === "(") depth++;
        else if (signature[end] === ")" && --depth === 0) break;
      }
    }
    if (end >= signature.length) throw new TsrunError("internal", `D-Bus signature ${signature}: unfinished`);
    types.push(signature.slice(at, end + 1));
    at = end + 1;
  }
  return types;
}

function write(out: Writer, type: string, value: DBusValue): void {
  const code = type[0] as string;
  const alignment = alignments[code];
  if (alignment === undefined) throw new TsrunError("internal", `D-Bus type ${type}: unknown`);
  out.align(alignment);
  switch (code) {
    case "y":
      out.number(1, (view, at) => view.setUint8(at, Number(value)));
      break;
    case "b":
      out.number(4, (view, at) => view.setUint32(at, value === true ? 1 : 0, true));
      break;
    case "n":
    case "q":
      out.number(2, (view, at) => view.setUint16(at, Number(value) & 0xffff, true));
      break;
    case "i":
    case "u": {
      const later = value === LATER;
      const at = out.number(4, (view, here) => view.setUint32(here, later ? 0 : Number(value) >>> 0, true));
      if (later) out.laterAt = at;
      break;
    }
    case "x":
    case "t":
      out.number(8, (view, at) => view.setBigUint64(at, BigInt.asUintN(64, BigInt(value as number | bigint)), true));
      break;
    case "d":
      out.number(8, (view, at) => view.setFloat64(at, Number(value), true));
      break;
    case "s":
    case "o":
      out.text(value as string, 4);
      break;
    case "g":
      out.text(value as string, 1);
      break;
    case "v": {
      const { signature, value: inner } = value as Variant;
      out.text(signature, 1);
      write(out, signature, inner);
      break;
    }
    case "a": {
      const element = type.slice(1);
      const length = out.reserve(4);
      // "Arrays": the padding before the first element does not count, and is there without elements, too.
      out.align(alignments[element[0] as string] ?? 1);
      const begin = out.length;
      for (const each of value as readonly DBusValue[]) write(out, element, each);
      out.view.setUint32(length, out.length - begin, true);
      break;
    }
    case "(": {
      const values = value as readonly DBusValue[];
      for (const [i, member] of typesOf(type.slice(1, -1)).entries()) write(out, member, values[i] as DBusValue);
    }
  }
}

export function encodeCall(call: MethodCall): EncodedCall {
  const field = (code: number, signature: string, value: string): DBusValue => [code, { signature, value }];
  const fields = [
    field(HEADER_FIELDS.path, "o", call.path),
    field(HEADER_FIELDS.interface, "s", call.interface),
    field(HEADER_FIELDS.member, "s", call.member),
    field(HEADER_FIELDS.destination, "s", call.destination),
  ];
  if (call.signature !== "") fields.push(field(HEADER_FIELDS.signature, "g", call.signature));
  const out = new Writer();
  out.reserve(12); // filled in below
  write(out, "a(yv)", fields);
  out.align(8);
  const body = out.length;
  for (const [i, type] of typesOf(call.signature).entries()) write(out, type, call.args[i] as DBusValue);
  out.view.setUint8(0, "l".charCodeAt(0));
  out.view.setUint8(1, METHOD_CALL);
  out.view.setUint8(3, PROTOCOL_VERSION);
  out.view.setUint32(4, out.length - body, true);
  out.view.setUint32(8, call.serial, true);
  return { bytes: out.bytes.slice(0, out.length), laterAt: out.laterAt };
}

/** Messages one after another, as they go over a socket. */
export function join(calls: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(calls.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const each of calls) {
    all.set(each, at);
    at += each.length;
  }
  return all;
}
