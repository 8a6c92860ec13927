import { describe, expect, test } from "@jest/globals";
import type { Config } from "../../spec-schemas/config.ts";
import { readActivation, withActivation } from "./activation.ts";

const warnings: string[] = [];
const log = { debug: () => {}, error: () => {}, warn: (message: string) => warnings.push(message) };
const none = { listenFds: 0, listenNames: undefined, notifyAddress: undefined };

describe("readActivation", () => {
  test("sockets only for the process that they are meant for", () => {
    const env = { LISTEN_FDS: "2", LISTEN_PID: "77", LISTEN_FDNAMES: "a:b" };
    expect(readActivation(env, 77, log)).toEqual({ ...none, listenFds: 2, listenNames: "a:b" });
    expect(readActivation(env, 78, log)).toEqual(none);
    expect(readActivation({ LISTEN_FDS: "2" }, 77, log)).toEqual(none);
    for (const count of ["", "-1", "2x", "5000", "0x2"]) {
      expect(readActivation({ ...env, LISTEN_FDS: count }, 77, log)).toEqual(none);
    }
  });

  test("a notify socket by path or by abstract name; anything else with a warning", () => {
    expect(readActivation({ NOTIFY_SOCKET: "/run/n" }, 1, log).notifyAddress).toBe("/run/n");
    expect(readActivation({ NOTIFY_SOCKET: "@n" }, 1, log).notifyAddress).toBe("@n");
    expect(readActivation({ NOTIFY_SOCKET: "" }, 1, log).notifyAddress).toBeUndefined();
    expect(warnings).toEqual([]);
    expect(readActivation({ NOTIFY_SOCKET: "vsock:2:1" }, 1, log).notifyAddress).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining("vsock:2:1")]);
  });
});

describe("withActivation", () => {
  const config: Config = { ociVersion: "1.3.0", process: { cwd: "/", env: ["A=1"] } };

  test("nothing to hand over changes nothing", () => {
    expect(withActivation(config, none, "/run/tsrun/web")).toBe(config);
    const without: Config = { ociVersion: "1.3.0" };
    expect(withActivation(without, { ...none, listenFds: 1 }, "/run/tsrun/web")).toBe(without);
  });

  test("sockets are told by the environment, the notify socket's directory is bound in", () => {
    expect(withActivation(config, { ...none, listenFds: 2, listenNames: "a:b" }, "/s")).toEqual({
      ...config,
      process: { cwd: "/", env: ["A=1", "LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=a:b"] },
    });
    expect(withActivation(config, { ...none, notifyAddress: "@n" }, "/s")).toEqual({
      ...config,
      process: { cwd: "/", env: ["A=1", "NOTIFY_SOCKET=/run/notify/notify.sock"] },
      mounts: [
        {
          destination: "/run/notify",
          source: "/s/notify",
          type: "bind",
          options: ["bind", "nosuid", "noexec", "nodev", "ro"],
        },
      ],
    });
  });
});
