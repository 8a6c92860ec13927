/** Network devices in the plan: where, and what is refused. */
import { expect, test } from "@jest/globals";
import { checkRules } from "../bundle/rules.ts";
import { processShape } from "./namespaces.ts";
import { announceNetwork, moveNetDevices } from "./net-devices.ts";

type Input = Parameters<typeof moveNetDevices>[0];
type Devices = Record<string, { name?: string }>;
const input = (netDevices: Devices, types: readonly ("network" | "mount")[] = ["network"], uid = 0): Input =>
  ({
    config: {
      ociVersion: "1.3.0",
      root: { path: "r" },
      linux: { namespaces: types.map((type) => ({ type })), netDevices },
    },
    facts: { uid },
  }) as unknown as Input;
const move = (it: Input) => moveNetDevices(it, processShape(it.config));

test("none: nothing, not even a meeting of the two lists", () => {
  expect(move(input({}))).toEqual([]);
  expect(announceNetwork(input({}))).toEqual([]);
});

test("each moves under its own name or the one that is given, once the container stands in its namespace", () => {
  const it = input({ eth1: {}, eth2: { name: "" }, eth3: { name: "net%d" } });
  expect(announceNetwork(it)).toEqual([{ kind: "sync.signal", point: 8 }]);
  expect(move(it)).toEqual([
    { kind: "sync.wait", point: 8 },
    { kind: "net.moveDevice", device: "eth1", name: "eth1" },
    { kind: "net.moveDevice", device: "eth2", name: "eth2" },
    { kind: "net.moveDevice", device: "eth3", name: "net%d" },
  ]);
});

test("refused without a network namespace of the container's, and without root", () => {
  expect(() => move(input({ eth1: {} }, ["mount"]))).toThrow(
    "/linux/netDevices: the container has no network namespace",
  );
  expect(() => move(input({ eth1: {} }, ["network"], 1000))).toThrow("only root on the host");
});

test("rules of names", () => {
  const problems = (netDevices: Devices) => checkRules(input(netDevices).config).map(({ pointer }) => pointer);
  expect(problems({ eth1: {}, eth2: { name: "" }, eth3: { name: "x%d" }, eth4: { name: "x%d" } })).toEqual([]);
  expect(problems({ "": {} })).toEqual(["/linux/netDevices/"]);
  expect(problems({ "sixteen-bytes-xx": {} })).toEqual(["/linux/netDevices/sixteen-bytes-xx"]);
  expect(problems({ a: { name: "äöüäöüäö" } })).toEqual(["/linux/netDevices/a/name"]);
  for (const name of ["a/b", "a:b", "a b", ".", "..", "%", "a%x", "%d%d", "%%d", "%s%d"]) {
    expect(problems({ a: { name } })).toEqual(["/linux/netDevices/a/name"]);
  }
  expect(problems({ a: { name: "same" }, b: { name: "same" } })).toEqual(["/linux/netDevices/b"]);
  expect(problems({ a: {}, b: { name: "a" } })).toEqual(["/linux/netDevices/b"]);
});
