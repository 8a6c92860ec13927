import { describe, expect, test } from "@jest/globals";
import { readSystemd, type SystemdProbe, unixPaths } from "./systemd.ts";

const files: Readonly<Record<string, string>> = {
  "/proc/1/cgroup": "0::/init.scope\n",
  "/proc/self/cgroup": "0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service\n",
  "/proc/self/uid_map": "         0          0 4294967295\n",
};
const probe = (more: Partial<SystemdProbe> = {}, texts: Readonly<Record<string, string>> = {}): SystemdProbe => ({
  exists: (path) => path === "/run/systemd/system",
  read: (path) => ({ ...files, ...texts })[path] ?? "",
  environment: { XDG_RUNTIME_DIR: "/run/user/1000" },
  uid: 1000,
  ...more,
});

test("none where systemd does not run", () => {
  expect(readSystemd(false, probe({ exists: () => false }))).toBeUndefined();
});

describe("the system's", () => {
  test("by its own socket, or by the bus", () => {
    expect(readSystemd(false, probe())).toEqual({
      user: false,
      managers: ["/run/systemd/private"],
      buses: ["/run/dbus/system_bus_socket"],
      cgroup: "",
    });
  });
  test.each([
    ["0::/\n", ""],
    ["0::/machine/a/init.scope\n", "/machine/a"],
    ["1:name=systemd:/x/init.scope\n0::/init.scope\n", ""],
  ])("whose pid 1 is in %j", (memberships, cgroup) => {
    expect(readSystemd(false, probe({}, { "/proc/1/cgroup": memberships }))?.cgroup).toBe(cgroup);
  });
});

describe("a user's", () => {
  test("below which we are", () => {
    expect(readSystemd(true, probe())).toEqual({
      user: true,
      managers: ["/run/user/1000/systemd/private"],
      buses: ["/run/user/1000/bus"],
      cgroup: "/user.slice/user-1000.slice/user@1000.service",
    });
  });
  test("by our uid, from a session", () => {
    const session = { "/proc/self/cgroup": "0::/user.slice/user-1000.slice/session-2.scope\n" };
    expect(readSystemd(true, probe({}, session))?.cgroup).toBe("/user.slice/user-1000.slice/user@1000.service");
    const mapped = {
      ...session,
      "/proc/self/uid_map": "         0       1001          1\n         1     100000      65536\n",
    };
    expect(readSystemd(true, probe({ uid: 0 }, mapped))?.cgroup).toBe("/user.slice/user-1001.slice/user@1001.service");
  });
  test("by the session's bus", () => {
    const environment = { DBUS_SESSION_BUS_ADDRESS: "unix:path=/tmp/bus" };
    expect(readSystemd(true, probe({ environment }))).toMatchObject({ managers: [], buses: ["/tmp/bus"] });
    const both = { ...environment, XDG_RUNTIME_DIR: "/run/user/1" };
    expect(readSystemd(true, probe({ environment: both }))?.buses).toEqual(["/tmp/bus", "/run/user/1/bus"]);
  });
  test("that nothing names", () => {
    expect(() => readSystemd(true, probe({ environment: {} }))).toThrow("XDG_RUNTIME_DIR is not set");
  });
});

test.each([
  ["unix:path=/run/user/1000/bus", ["/run/user/1000/bus"]],
  ["unix:guid=ab,path=/a%20b,x=y;unix:path=/c", ["/a b", "/c"]],
  ["unix:abstract=/tmp/a;tcp:host=a,port=1;unix:path=relative;unix:path=/%zz;unix:path=/a%00b", []],
  ["", []],
])("paths in %j", (address, paths) => {
  expect(unixPaths(address)).toEqual(paths);
});
