import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { type DBusValue, encodeCall, join, LATER, type MethodCall, typesOf } from "./dbus.ts";
import { callsText, decodeCalls } from "./dbus-text.ts";

const manager = {
  serial: 3,
  destination: "org.freedesktop.systemd1",
  path: "/org/freedesktop/systemd1",
  interface: "org.freedesktop.systemd1.Manager",
};
const start = (pids: readonly DBusValue[]): MethodCall => ({
  ...manager,
  member: "StartTransientUnit",
  signature: "ssa(sv)a(sa(sv))",
  args: [
    "a.scope",
    "replace",
    [
      ["Delegate", { signature: "b", value: true }],
      ["MemoryMax", { signature: "t", value: 0xffff_ffff_ffff_ffffn }],
      ["AllowedCPUs", { signature: "ay", value: [3, 128] }],
      ["Names", { signature: "as", value: ["x", "yz"] }],
      ["Nice", { signature: "i", value: -5 }],
      ["Rate", { signature: "d", value: 0.5 }],
      ["Byte", { signature: "y", value: 7 }],
      ["Small", { signature: "q", value: 65535 }],
      ["PIDs", { signature: "au", value: pids }],
    ],
    [],
  ],
});

describe("a call's bytes are what another implementation (jeepney 0.9) makes of it", () => {
  test("without arguments", () => {
    const { bytes } = encodeCall({
      serial: 1,
      destination: "org.freedesktop.DBus",
      path: "/org/freedesktop/DBus",
      interface: "org.freedesktop.DBus",
      member: "Hello",
      signature: "",
      args: [],
    });
    expect(Buffer.from(bytes).toString("hex")).toBe(
      "6c01000100000000010000006d00000001016f00150000002f6f72672f667265656465736b746f702f444275730000000" +
        "2017300140000006f72672e667265656465736b746f702e4442757300000000030173000500000048656c6c6f000000" +
        "06017300140000006f72672e667265656465736b746f702e4442757300000000",
    );
  });

  test("of many types", () => {
    const { bytes } = encodeCall(start([0]));
    const body =
      "BwAAAGEuc2NvcGUABwAAAHJlcGxhY2UA4AAAAAAAAAAIAAAARGVsZWdhdGUAAWIAAQAAAAAAAAAJAAAATWVtb3J5TWF4AAF0AAAAAAAAAAD/" +
      "/////////wsAAABBbGxvd2VkQ1BVcwACYXkAAgAAAAOAAAAAAAAABQAAAE5hbWVzAAJhcwAAAA8AAAABAAAAeAAAAAIAAAB5egAAAAAAAAQA" +
      "AABOaWNlAAFpAPv///8EAAAAUmF0ZQABZAAAAAAAAAAAAAAA4D8EAAAAQnl0ZQABeQAHAAAABQAAAFNtYWxsAAFxAAD//wQAAABQSURzAAJh" +
      "dQAAAAAEAAAAAAAAAAAAAAAAAAAA";
    expect(bytes.length).toBe(464);
    expect(Buffer.from(bytes.subarray(-Buffer.from(body, "base64").length)).toString("base64")).toBe(body);
  });
});

test("a number that comes later is 0, and its place is known", () => {
  const { bytes, laterAt } = encodeCall(start([LATER]));
  expect(Buffer.from(bytes)).toEqual(Buffer.from(encodeCall(start([0])).bytes));
  new DataView(bytes.buffer).setUint32(laterAt, 4711, true);
  expect(Buffer.from(bytes)).toEqual(Buffer.from(encodeCall(start([4711])).bytes));
  expect(encodeCall(start([0])).laterAt).toBe(0);
});

describe("what is encoded is decoded again", () => {
  // Values of a type, with which each signature goes.
  const typed: fc.Arbitrary<readonly [string, DBusValue]> = fc.letrec<{ any: readonly [string, DBusValue] }>((tie) => {
    const basic = fc.oneof(
      fc.string().map((value) => ["s", value.replaceAll("\0", "")] as const),
      fc.boolean().map((value) => ["b", value] as const),
      fc.nat(255).map((value) => ["y", value] as const),
      fc.integer({ min: -0x8000, max: 0x7fff }).map((value) => ["n", value] as const),
      fc.integer().map((value) => ["i", value] as const),
      fc.nat(0xffff_ffff).map((value) => ["u", value] as const),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => ["x", value] as const),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => ["t", value] as const),
      fc.double({ noNaN: true }).map((value) => ["d", value] as const),
    );
    const any = tie("any");
    return {
      any: fc.oneof(
        { maxDepth: 3 },
        basic,
        any.chain(([type, value]) => fc.nat(3).map((n) => [`a${type}`, Array(n).fill(value)] as const)),
        fc
          .array(any, { minLength: 1, maxLength: 3 })
          .map((all) => [`(${all.map(([type]) => type).join("")})`, all.map(([, value]) => value)] as const),
        any.map(([signature, value]) => ["v", { signature, value }] as const),
      ),
    };
  }).any;

  test("any arguments", () => {
    fc.assert(
      fc.property(fc.array(typed, { maxLength: 4 }), (all) => {
        const signature = all.map(([type]) => type).join("");
        const call: MethodCall = { ...manager, member: "M", signature, args: all.map(([, value]) => value) };
        expect(decodeCalls(encodeCall(call).bytes)).toEqual([call]);
        expect(typesOf(signature)).toEqual(all.map(([type]) => type));
      }),
    );
  });

  test("several calls, one after another", () => {
    const calls = [start([1]), { ...manager, serial: 4, member: "GetUnit", signature: "s", args: ["a.scope"] }];
    expect(decodeCalls(join(calls.map((call) => encodeCall(call).bytes)))).toEqual(calls);
  });
});

test("as text, properties by name", () => {
  expect(callsText(encodeCall(start([LATER])).bytes)).toBe(
    'StartTransientUnit("a.scope","replace",[Delegate=true,MemoryMax=infinity,AllowedCPUs=[3,128],Names=["x","yz"],' +
      "Nice=-5,Rate=0.5,Byte=7,Small=65535,PIDs=[0]],[])",
  );
});

test("bytes that are cut off are no calls", () => {
  const { bytes } = encodeCall(start([1]));
  for (let length = 1; length < bytes.length; length++) {
    expect(() => decodeCalls(bytes.subarray(0, length))).toThrow("cut off");
  }
});
