import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { type CriuRequest, encodeCriuRequest, encodeMessage } from "./criu-request.ts";

/** A reader of its own: every field of a message, in order. */
function decode(bytes: Uint8Array): [number: number, value: bigint | Uint8Array][] {
  const fields: [number, bigint | Uint8Array][] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    if (key % 8 === 0) fields.push([key >> 3, varint()]);
    else {
      const length = Number(varint());
      fields.push([key >> 3, bytes.subarray(at, at + length)]);
      at += length;
    }
  }
  return fields;
}
const text = (value: bigint | Uint8Array | undefined): string => Buffer.from(value as Uint8Array).toString();

test("a message is what protobuf's own documentation shows", () => {
  expect([...encodeMessage([[1, 150]])]).toEqual([0x08, 0x96, 0x01]);
  expect([...encodeMessage([[2, "testing"]])]).toEqual([0x12, 7, ...Buffer.from("testing")]);
  expect([...encodeMessage([[3, encodeMessage([[1, 150]])]])]).toEqual([0x1a, 3, 0x08, 0x96, 0x01]);
  expect([
    ...encodeMessage([
      [4, true],
      [5, undefined],
      [6, []],
    ]),
  ]).toEqual([0x20, 1]);
});

test("whatever is written is read again", () => {
  const field = fc.tuple(
    fc.integer({ min: 1, max: 2000 }),
    fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.string()),
  );
  fc.assert(
    fc.property(fc.array(field), (fields) => {
      const read = decode(encodeMessage(fields));
      expect(read.map(([number, value]) => [number, typeof value === "bigint" ? value : text(value)])).toEqual(fields);
    }),
  );
});

const request: CriuRequest = {
  kind: "dump",
  imagesFd: 21,
  options: {
    tcpEstablished: true,
    extUnixSk: false,
    shellJob: false,
    fileLocks: true,
    lazyPages: false,
    autoDedup: false,
    cgroupMode: "soft",
    emptyNamespaces: 0x4000_0000,
  },
  logFile: "dump.log",
  root: "/b/rootfs",
  configFile: "/c",
  external: ["mnt[/data]:/data", "net[1]:extRootNetNS"],
};

/** The options of a request, by their number in rpc.proto. */
function options(changes: Partial<CriuRequest>): Map<number, (bigint | Uint8Array)[]> {
  const [, [, opts] = []] = decode(encodeCriuRequest({ ...request, ...changes }));
  const found = new Map<number, (bigint | Uint8Array)[]>();
  for (const [number, value] of decode(opts as Uint8Array)) found.set(number, [...(found.get(number) ?? []), value]);
  return found;
}

test("a dump", () => {
  expect(decode(encodeCriuRequest(request))[0]).toEqual([1, 1n]);
  const opts = options({
    pid: 4711,
    leaveRunning: true,
    linkRemap: true,
    tcpSkipInFlight: true,
    parentImage: "../p",
    pageServer: { address: "::1", port: 27 },
  });
  expect([1, 2, 3, 5, 8, 15, 18, 24, 34, 38, 46].map((number) => opts.get(number))).toEqual(
    [21n, 4711n, 1n, 1n, 1n, 1n, 1n, 1n, 3n, 0x4000_0000n, 1n].map((value) => [value]),
  );
  expect(opts.get(37)?.map(text)).toEqual(request.external);
  expect(text(opts.get(13)?.[0])).toBe("/b/rootfs");
  expect(text(opts.get(14)?.[0])).toBe("../p");
  expect(decode(opts.get(11)?.[0] as Uint8Array)[1]).toEqual([2, 27n]);
  // What is a restore's alone.
  for (const number of [6, 25, 26, 27, 39]) expect(opts.has(number)).toBe(false);
});

test("a restore makes the process a child of ours, and says where cgroups and descriptors go", () => {
  expect(decode(encodeCriuRequest({ ...request, kind: "restore" }))[0]).toEqual([1, 2n]);
  const opts = options({
    kind: "restore",
    cgroupRoots: [{ controller: "", path: "/a" }],
    inherit: [{ key: "pipe:[1]", fd: 2 }],
    joinNamespaces: [{ type: "ipc", path: "/ns/ipc" }],
  });
  expect(opts.get(26)).toEqual([1n]);
  const parts = (number: number) =>
    decode(opts.get(number)?.[0] as Uint8Array).map(([, value]) => (typeof value === "bigint" ? value : text(value)));
  expect(parts(25)).toEqual(["", "/a"]);
  expect(parts(27)).toEqual(["pipe:[1]", 2n]);
  expect(parts(39)).toEqual(["ipc", "/ns/ipc"]);
  expect(opts.has(2)).toBe(false);
});

test("a memory dump is of its own type", () => {
  expect(decode(encodeCriuRequest({ ...request, kind: "pre-dump" }))[0]).toEqual([1, 4n]);
  expect(options({ options: { ...request.options, cgroupMode: "ignore" } }).get(24)).toEqual([0n]);
});
