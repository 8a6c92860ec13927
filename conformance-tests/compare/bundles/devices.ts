/** Devices, and the rules that say who may use them: the same rules with v1's controller and with v2's program. */
import type { Bundle, Config } from "../bundle.ts";
import { crunDevices } from "../bundle.ts";

const rules: readonly (readonly [name: string, about: string, devices: readonly object[]])[] = [
  ["none", "rules that allow nothing more", [{ allow: false, access: "rwm" }]],
  ["missing", "no rules at all", []],
  [
    "some",
    "some devices, each with other rights",
    [
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 10, minor: 229, access: "rwm" },
      { allow: true, type: "c", major: 10, minor: 237, access: "r" },
      { allow: true, type: "b", major: 7, access: "rw" },
      { allow: true, type: "c", major: 1, minor: 11, access: "w" },
    ],
  ],
  [
    "exceptions",
    "everything but some",
    [
      { allow: true, access: "rwm" },
      { allow: false, type: "b", access: "w" },
      { allow: false, type: "c", major: 10, minor: 229, access: "rwm" },
    ],
  ],
  [
    "in-turn",
    "later rules that change earlier ones",
    [
      { allow: false, access: "rwm" },
      { allow: true, type: "b", major: 7, minor: 0, access: "rwm" },
      { allow: true, type: "c", major: 10, access: "rwm" },
      { allow: false, type: "b", major: 7, minor: 0, access: "w" },
    ],
  ],
  [
    "both-types",
    "a rule for devices of both types with one number",
    [
      { allow: false, access: "rwm" },
      { allow: true, type: "a", major: 7, minor: 0, access: "r" },
    ],
  ],
];

const withRules = (unified: boolean): Bundle[] =>
  rules.map(([name, about, devices]) => ({
    name: `device-rules-${name}${unified ? "-v2" : ""}`,
    about: `${about}${unified ? ", with cgroup v2" : ""}`,
    unified,
    ...(unified ? { without: { crun: crunDevices } } : {}),
    probe: ["--devices"],
    exec: "none",
    edit: (config: Config) => {
      config.linux.resources = { devices };
      for (const set of ["bounding", "permitted", "effective"]) config.process.capabilities[set].push("CAP_MKNOD");
    },
  }));

export const deviceBundles: readonly Bundle[] = [
  {
    name: "devices",
    about: "nodes of every type, with modes and owners, and one in place of a default",
    edit: (config) => {
      config.root.readonly = false;
      config.linux.devices = [
        { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 },
        { path: "/dev/deep/below/loop", type: "b", major: 7, minor: 0, fileMode: 0o640, uid: 5, gid: 6 },
        { path: "/dev/unbuffered", type: "u", major: 1, minor: 5, fileMode: 0o600 },
        { path: "/dev/fifo", type: "p", fileMode: 0o622, uid: 1000, gid: 1000 },
        { path: "/dev/without-mode", type: "c", major: 1, minor: 7 },
        { path: "/srv/null", type: "c", major: 1, minor: 3, fileMode: 0o444 },
      ];
    },
    probe: ["--devices"],
    shows: {
      "init//dev/deep/below/loop": "b 0640 5:6 7:0",
      "init//dev/fifo": "p 0622 1000:1000",
      "init//dev/unbuffered": "c 0600 0:0 1:5",
    },
  },
  ...withRules(false),
  ...withRules(true),
];
