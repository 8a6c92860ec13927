/** Network devices that move into a container, seen from inside, and that come back when create fails. */
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { namespaceFlags } from "../compile/namespaces.ts";
import { encodePlan, point } from "../plan/encode.ts";
import {
  ContainerFixture,
  type ContainerRequest,
  defaultMounts,
  defaultNamespaces,
  kernelAtLeast,
  userMappings,
} from "./container.fixture.ts";
import { openSession } from "./native.ts";

let fixture: ContainerFixture;
beforeAll(() => {
  fixture = new ContainerFixture();
});
afterAll(() => fixture.close());

const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });

/** A network namespace under a path, as `ip netns` makes one; but that leaves the directory of all of them mounted. */
function networkNamespace() {
  const path = fixture.outside("network");
  writeFileSync(path, "");
  execFileSync("unshare", [`--net=${path}`, "true"]);
  return {
    path,
    ip: (...args: string[]): string => execFileSync("nsenter", [`--net=${path}`, "ip", ...args], { encoding: "utf8" }),
    close: (): void => {
      execFileSync("umount", [path]);
      rmSync(path);
    },
  };
}

/** A pair of devices: `device` is to move, `peer` stays on the host. */
const device = `tsrm${process.pid % 100_000}`;
const peer = `tsrp${process.pid % 100_000}`;
const exists = (name: string): boolean =>
  ip("-br", "link")
    .split("\n")
    .some((line) => line.split(/[@ ]/)[0] === name);

interface Address {
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly label?: string;
  readonly broadcast?: string;
  readonly metric?: number;
  readonly address?: string;
}
interface Link {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
  readonly address: string;
  readonly master?: string;
  readonly flags: readonly string[];
  readonly addr_info: readonly (Address & Record<string, unknown>)[];
}
const link = (name: string): Link => (JSON.parse(ip("-j", "addr", "show", "dev", name)) as [Link])[0];
/** What must be the same again after a failure; the state of carrier and duplicate detection comes with time. */
const described = (name: string) => {
  const { ifindex, mtu, address, flags, addr_info, master } = link(name);
  const addresses = addr_info
    .filter(({ local }) => !local.startsWith("fe80:"))
    .map(({ tentative: _, ...rest }) => rest);
  const routes = ip("route", "show", "table", "all", "dev", name);
  return {
    ifindex,
    mtu,
    address,
    master,
    up: flags.includes("UP"),
    addresses,
    routes: routes
      .split("\n")
      .filter((line) => line !== "" && !/local|broadcast|multicast|fe80/.test(line))
      .sort(),
  };
};

/** The kernel ends a network namespace, and what is in it, some time after its last process. */
function removePair(): void {
  while (exists(peer) || exists(device)) spawnSync("ip", ["link", "del", exists(peer) ? peer : device]);
}
function makePair(): void {
  removePair();
  ip("link", "add", device, "mtu", "1420", "address", "02:00:00:00:00:77", "type", "veth", "peer", "name", peer);
  ip("link", "set", peer, "up");
}
beforeEach(() => {
  fixture.newRootfs();
  makePair();
});
afterEach(removePair);

const run = (netDevices: Record<string, { name?: string }>, script: string, more: ContainerRequest["linux"] = {}) =>
  fixture.run({ linux: { namespaces: defaultNamespaces, ...more, netDevices }, script });

describe("a device that moves", () => {
  test.each([
    ["its name", {}, device],
    ["its name when another one is empty", { name: "" }, device],
    ["another one", { name: "net1" }, "net1"],
  ])("has %s, its own attributes, and is up; it is gone from the host", (_, name, seen) => {
    const { output, failure } = run({ [device]: name }, `ip link show ${seen}; ip -o link | grep -c :`);
    expect(failure).toBeUndefined();
    expect(output).toMatch(new RegExp(`${seen}@\\S+: <.*\\bUP\\b.*> mtu 1420`));
    expect(output).toContain("02:00:00:00:00:77");
    expect(output).toMatch(/^2$/m);
    expect(exists(device)).toBe(false);
  });

  test("has its permanent global addresses of every family, and no others", () => {
    for (const args of [
      ["198.51.100.7/24", "broadcast", "+"],
      ["198.51.100.8/24"],
      ["203.0.113.1", "peer", "203.0.113.2/32", "label", `${device}:p`],
      ["192.0.2.1/25", "scope", "link"],
      ["192.0.2.200/26", "valid_lft", "3000", "preferred_lft", "3000"],
    ])
      ip("addr", "add", "dev", device, ...args);
    ip("-6", "addr", "add", "2001:db8::7/64", "nodad", "dev", device);
    ip("-6", "addr", "add", "2001:db8:1::7/64", "nodad", "noprefixroute", "dev", device);
    ip("-6", "addr", "add", "2001:db8:2::7/64", "nodad", "valid_lft", "3000", "preferred_lft", "3000", "dev", device);
    const { output, failure } = run({ [device]: { name: "net1" } }, "ip addr show net1; ip route; ip -6 route");
    expect(failure).toBeUndefined();
    const addresses = output.match(/inet6? .*/g)?.filter((line) => !line.includes("fe80"));
    expect(addresses).toEqual([
      "inet 198.51.100.7/24 brd 198.51.100.255 scope global net1",
      "inet 203.0.113.1 peer 203.0.113.2/32 scope global net1:p",
      "inet 198.51.100.8/24 scope global secondary net1",
      expect.stringMatching(/^inet6 2001:db8(:1)?::7\/64 scope global/),
      expect.stringMatching(/^inet6 2001:db8(:1)?::7\/64 scope global/),
    ]);
    expect(output).toContain("198.51.100.0/24 dev net1");
    expect(output).toContain("2001:db8::/64 dev net1");
    expect(output).not.toContain("2001:db8:1::/64");
  });

  const user = [...defaultNamespaces, { type: "user" as const }];
  test.each<[string, NonNullable<ContainerRequest["linux"]>]>([
    ["of a user namespace", { namespaces: user, ...userMappings }],
    ["of a user namespace, in one process", { namespaces: user.filter(({ type }) => type !== "pid"), ...userMappings }],
    ["in a second process", { namespaces: [...defaultNamespaces, { type: "time" }] }],
  ])("moves into a network namespace %s", (_, shape) => {
    ip("addr", "add", "198.51.100.7/24", "dev", device);
    if (shape.uidMappings !== undefined) fixture.giveToMappedRoot();
    const { output, failure } = fixture.run({
      linux: { ...shape, netDevices: { [device]: {} } },
      // A procfs of a pid namespace of the host's is not for a user namespace to mount.
      mounts: defaultMounts.filter(({ type }) => type !== "proc"),
      script: `ip addr show ${device}`,
    });
    expect(failure).toBeUndefined();
    expect(output).toMatch(/\bUP\b.*198\.51\.100\.7\/24/s);
  });

  test("moves into a network namespace that is joined, and stays there", () => {
    ip("addr", "add", "198.51.100.7/24", "dev", device);
    const namespace = networkNamespace();
    try {
      const namespaces = defaultNamespaces.map((each) =>
        each.type === "network" ? { ...each, path: namespace.path } : each,
      );
      const { output, failure } = run({ [device]: {} }, `ip addr show ${device}`, { namespaces });
      expect(failure).toBeUndefined();
      expect(output).toMatch(/\bUP\b.*198\.51\.100\.7\/24/s);
      expect(namespace.ip("-br", "addr", "show", device)).toContain("198.51.100.7/24");
    } finally {
      namespace.close();
    }
  });

  test("takes the first free number of a template", () => {
    const namespace = networkNamespace();
    try {
      for (const name of ["eth0", "eth2"]) {
        namespace.ip("link", "add", name, "type", "veth", "peer", "name", `p-${name}`);
      }
      const namespaces = defaultNamespaces.map((each) =>
        each.type === "network" ? { ...each, path: namespace.path } : each,
      );
      const { output, failure } = run({ [device]: { name: "eth%d" } }, "ip -o link", { namespaces });
      expect(failure).toBeUndefined();
      expect(output).toMatch(/: eth1@.*\bUP\b/);
      expect(output).not.toContain("eth3");
    } finally {
      namespace.close();
    }
  });
});

describe("a create that fails", () => {
  const addresses = (): void => {
    ip("addr", "add", "198.51.100.7/24", "broadcast", "+", "dev", device);
    ip("addr", "add", "198.51.100.8/24", "dev", device, "label", `${device}:2`);
    ip("addr", "add", "192.0.2.1/25", "scope", "link", "metric", "77", "dev", device);
    ip("-6", "addr", "add", "2001:db8::7/64", "nodad", "dev", device);
  };
  const failing = (netDevices: Record<string, { name?: string }>, more: ContainerRequest["linux"] = {}) =>
    fixture.run({
      linux: { namespaces: defaultNamespaces, ...more, netDevices },
      mounts: [{ destination: "/x", type: "nosuchfs" }],
      script: "true",
    }).failure;

  test("leaves the device with its name, number, addresses and routes, up", () => {
    ip("link", "set", device, "up");
    addresses();
    ip("route", "add", "203.0.113.0/24", "via", "198.51.100.1", "dev", device, "metric", "5", "table", "777");
    ip("route", "add", "198.51.100.1", "dev", device, "proto", "static", "src", "198.51.100.8", "table", "777");
    ip("route", "add", "203.0.113.128/25", "via", "198.51.100.1");
    ip("-6", "route", "add", "2001:db8:5::/48", "via", "2001:db8::1", "dev", device);
    const before = described(device);
    expect(before.routes).toHaveLength(7);
    for (const name of [{}, { name: "other" }, { name: "x%d" }]) {
      expect(failing({ [device]: name })).toMatchObject({ side: "container", op: "fsopen" });
      expect(described(device)).toEqual(before);
    }
  });

  test("leaves a device that was down as it was, and a port with its bridge", () => {
    addresses();
    const bridge = `tsrb${process.pid % 100_000}`;
    const before = described(device);
    expect(failing({ [device]: {} })).toBeDefined();
    expect(described(device)).toEqual(before);
    ip("link", "add", bridge, "type", "bridge");
    try {
      ip("link", "set", device, "master", bridge, "up");
      const port = described(device);
      expect(port.master).toBe(bridge);
      expect(failing({ [device]: {} })).toBeDefined();
      expect(described(device)).toEqual(port);
    } finally {
      ip("link", "del", bridge);
    }
  });

  test("leaves it even where its number in the container was another one", () => {
    addresses();
    const namespace = networkNamespace();
    try {
      const { ifindex } = link(device);
      namespace.ip("link", "add", "taken", "index", `${ifindex}`, "type", "veth", "peer", "name", "other");
      const before = described(device);
      const namespaces = defaultNamespaces.map((each) =>
        each.type === "network" ? { ...each, path: namespace.path } : each,
      );
      expect(failing({ [device]: {} }, { namespaces })).toBeDefined();
      // Before Linux 5.13 nobody can ask for a number: it keeps the one that it had in the container.
      const number = kernelAtLeast(5, 13) ? before.ifindex : expect.any(Number);
      expect(described(device)).toEqual({ ...before, ifindex: number });
    } finally {
      namespace.close();
    }
  });

  test("at whichever step leaves the device as it was", () => {
    ip("link", "set", device, "up");
    addresses();
    const before = described(device);
    const output = fixture.outside("output-of-faults");
    writeFileSync(output, "");
    const plan = fixture.plan(
      { linux: { namespaces: defaultNamespaces, netDevices: { [device]: { name: "net0" } } }, script: "true" },
      output,
    );
    for (const side of ["host", "container"] as const) {
      for (const index of plan[side].keys()) {
        const session = openSession();
        const { failure } = session.execute(encodePlan(plan), { fault: { mode: "fail", side, index } });
        session.close();
        expect(failure).toMatchObject({ side, index, op: "injected" });
        expect(described(device)).toEqual(before);
      }
    }
  });

  test("leaves it with its addresses and routes also where its name and number are another's by now", () => {
    ip("link", "set", device, "up");
    addresses();
    ip("route", "add", "203.0.113.128/25", "via", "198.51.100.1");
    const before = described(device);
    const output = fixture.outside("output-of-taken");
    writeFileSync(output, "");
    const plan = fixture.plan(
      { linux: { namespaces: defaultNamespaces, netDevices: { [device]: {} } }, script: "true" },
      output,
    );
    const names = () => new Set(readdirSync("/sys/class/net"));
    const earlier = names();
    const session = openSession();
    try {
      expect(session.execute(encodePlan(plan)).failure).toBeUndefined();
      ip("link", "add", device, "index", `${before.ifindex}`, "type", "veth", "peer", "name", `${device}x`);
      session.rollback();
    } finally {
      session.close();
    }
    const [back] = [...names()].filter((name) => !earlier.has(name) && !name.startsWith(device));
    try {
      expect(back).toMatch(/^dev\d+$/);
      const { ifindex, addresses: kept, routes, ...rest } = described(back as string);
      expect(ifindex).not.toBe(before.ifindex);
      expect(kept.map(({ local }) => local).sort()).toEqual(before.addresses.map(({ local }) => local).sort());
      expect({ ...rest, routes }).toEqual({
        up: before.up,
        mtu: before.mtu,
        address: before.address,
        master: before.master,
        routes: before.routes,
      });
    } finally {
      ip("link", "del", device);
      if (back !== undefined) ip("link", "set", back, "down");
      if (back !== undefined) ip("link", "set", back, "name", device);
    }
  });

  test("because another device of it cannot be moved, leaves both", () => {
    addresses();
    const before = described(device);
    expect(run({ [device]: {}, "no-such-device": {} }, "true").failure).toMatchObject({
      side: "host",
      kind: "net.moveDevice",
      op: "rtnetlink",
      errno: 19,
      path: "no-such-device",
    });
    expect(described(device)).toEqual(before);
    expect(run({ [device]: {}, lo: { name: "lo2" } }, "true").failure).toMatchObject({ errno: 22, path: "lo" });
    expect(described(device)).toEqual(before);
  });

  test("because the name is taken, changes nothing", () => {
    addresses();
    const before = described(device);
    expect(run({ [device]: { name: "lo" } }, "true").failure).toMatchObject({
      kind: "net.moveDevice",
      op: "rtnetlink",
      errno: 17,
      path: "lo",
      text: "there is a device of that name",
    });
    expect(described(device)).toEqual(before);
    expect(run({ [device]: { name: "eth%d-too-long-a-name" } }, "true").failure).toMatchObject({ errno: 17 });
    expect(described(device)).toEqual(before);
    // No name at all to the kernel, which finds out after the move.
    expect(run({ [device]: { name: "a%b" } }, "true").failure).toMatchObject({ op: "rtnetlink", errno: 22 });
    expect(described(device)).toEqual(before);
  });
});

test("the host's own network namespace is none of the container's", () => {
  const session = openSession();
  const { failure } = session.execute(
    encodePlan({
      title: "t",
      host: [
        { kind: "process.spawn", cloneFlags: namespaceFlags.mount, cgroup: null, keepFds: 0 },
        { kind: "net.moveDevice", device, name: device },
      ],
      container: [{ kind: "sync.wait", point: point("host-ready") }],
    }),
  );
  session.close();
  expect(failure).toMatchObject({ op: "verify", text: "the container's network namespace is tsrun's own" });
});

test("the thread that runs the plan stays in its network namespace", () => {
  const before = readlinkSync("/proc/thread-self/ns/net");
  run({ [device]: {} }, "true");
  expect(readlinkSync("/proc/thread-self/ns/net")).toBe(before);
});
