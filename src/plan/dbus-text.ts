/** Encoded D-Bus calls as text, for people who read plans. */
import { TsrunError } from "../core/errors.ts";
import {
  alignments,
  type DBusValue,
  HEADER_FIELDS,
  METHOD_CALL,
  type MethodCall,
  typesOf,
  type Variant,
} from "./dbus.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

class Reader {
  at = 0;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(count: number): number {
    const at = this.at;
    if (at + count > this.bytes.length) throw new TsrunError("internal", "D-Bus message: cut off");
    this.at = at + count;
    return at;
  }

  align(to: number): void {
    this.take((to - (this.at % to)) % to);
  }

  text(length: number): string {
    const at = this.take(length + 1);
    return decoder.decode(this.bytes.subarray(at, at + length));
  }
}

function read(from: Reader, type: string): DBusValue {
  const code = type[0] as string;
  const { view } = from;
  from.align(alignments[code] ?? 1);
  switch (code) {
    case "y":
      return view.getUint8(from.take(1));
    case "b":
      return view.getUint32(from.take(4), true) !== 0;
    case "n":
      return view.getInt16(from.take(2), true);
    case "q":
      return view.getUint16(from.take(2), true);
    case "i":
      return view.getInt32(from.take(4), true);
    case "u":
      return view.getUint32(from.take(4), true);
    case "x":
      return view.getBigInt64(from.take(8), true);
    case "t":
      return view.getBigUint64(from.take(8), true);
    case "d":
      return view.getFloat64(from.take(8), true);
    case "s":
    case "o":
      return from.text(view.getUint32(from.take(4), true));
    case "g":
      return from.text(view.getUint8(from.take(1)));
    case "v": {
      const signature = from.text(view.getUint8(from.take(1)));
      return { signature, value: read(from, signature) };
    }
    case "a": {
      const length = view.getUint32(from.take(4), true);
      const element = type.slice(1);
      from.align(alignments[element[0] as string] ?? 1);
      const end = from.at + length;
      const values: DBusValue[] = [];
      while (from.at < end) values.push(read(from, element));
      return values;
    }
    case "(":
      return typesOf(type.slice(1, -1)).map((member) => read(from, member));
    default:
      throw new TsrunError("internal", `D-Bus type ${type}: unknown`);
  }
}

/** The method calls in these bytes, which are of encodeCall. Throws `internal` for others. */
export function decodeCalls(bytes: Uint8Array): MethodCall[] {
  const calls: MethodCall[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const from = new Reader(rest);
    const { view } = from;
    from.take(12);
    if (view.getUint8(0) !== "l".charCodeAt(0) || view.getUint8(1) !== METHOD_CALL) {
      throw new TsrunError("internal", "D-Bus message: not a little-endian method call");
    }
    const fields = new Map(
      (read(from, "a(yv)") as readonly (readonly [number, Variant])[]).map(([code, { value }]) => [
        code,
        value as string,
      ]),
    );
    from.align(8);
    const body = from.at;
    const signature = fields.get(HEADER_FIELDS.signature) ?? "";
    calls.push({
      serial: view.getUint32(8, true),
      path: fields.get(HEADER_FIELDS.path) ?? "",
      destination: fields.get(HEADER_FIELDS.destination) ?? "",
      interface: fields.get(HEADER_FIELDS.interface) ?? "",
      member: fields.get(HEADER_FIELDS.member) ?? "",
      signature,
      args: typesOf(signature).map((type) => read(from, type)),
    });
    rest = rest.subarray(body + view.getUint32(4, true));
  }
  return calls;
}

const INFINITY = 0xffff_ffff_ffff_ffffn;

function textOf(value: DBusValue, type: string): string {
  if (type === "v") {
    const { signature, value: inner } = value as Variant;
    return textOf(inner, signature);
  }
  // Properties.
  if (type === "(sv)") {
    const [name, inner] = value as readonly [string, Variant];
    return `${name}=${textOf(inner, "v")}`;
  }
  if (type.startsWith("a")) {
    return `[${(value as readonly DBusValue[]).map((each) => textOf(each, type.slice(1))).join(",")}]`;
  }
  if (type.startsWith("(")) {
    const members = typesOf(type.slice(1, -1));
    return `(${(value as readonly DBusValue[]).map((each, i) => textOf(each, members[i] as string)).join(",")})`;
  }
  if (type === "t" && value === INFINITY) return "infinity"; // systemd's word
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** `StartTransientUnit("a.scope","replace",[Slice="system.slice",…],[])`, one after another. */
export function callsText(bytes: Uint8Array): string {
  return decodeCalls(bytes)
    .map(({ member, signature, args }) => {
      const types = typesOf(signature);
      return `${member}(${args.map((value, i) => textOf(value, types[i] as string)).join(",")})`;
    })
    .join(" ");
}
