/** Seccomp: the engines' own profiles, and each thing that a profile can say. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../harness.ts";
import type { Bundle, Engine } from "../bundle.ts";
import { since } from "../bundle.ts";
import { needsProfile } from "../profiles.ts";

const capabilities = [
  ...[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
  ],
  ...["CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"],
];

const engines = ["docker", "podman"] as const satisfies readonly Engine[];

const ofEngine = (engine: Engine, noNewPrivileges: boolean): Bundle => ({
  name: `seccomp-${engine}${noNewPrivileges ? "" : "-privileges"}`,
  about: `${engine}'s default profile, ${noNewPrivileges ? "with" : "without"} no_new_privs: what each system call answers`,
  needs: needsProfile(engine),
  probe: ["--syscalls"],
  edit: (config, { profile }) => {
    config.process.noNewPrivileges = noNewPrivileges;
    config.process.capabilities = { bounding: capabilities, permitted: capabilities, effective: capabilities };
    config.linux.seccomp = profile(engine, capabilities);
  },
  shows: {
    "init/status/Seccomp": "2",
    "init/call/personality 8": "done",
    "init/call/personality 40000": /EPERM|ENOSYS/,
  },
});

export const seccompBundles: readonly Bundle[] = [
  ...engines.flatMap((engine) => [ofEngine(engine, true), ofEngine(engine, false)]),
  {
    name: "seccomp-programs",
    about: "the usual programs below docker's profile",
    needs: needsProfile("docker"),
    edit: (config, { profile }) => {
      config.root.readonly = false;
      config.linux.seccomp = profile("docker", capabilities);
      const script =
        "cd /tmp; echo a > f; cat f; ls -l f | cut -c1-10; sleep 0.01; id -u; (exit 3); echo $?; mkdir d; mv f d; ls d; ln -s x y; chmod 600 d/f; date -u -d @0 +%Y; hostname; /probe >/dev/null && echo probed";
      config.process.args = ["/bin/sh", "-c", `(${script}) > /result 2>&1; exec /probe --wait /result`];
    },
    shows: { "init//result": "a\n-rw-r--r--\n0\n3\nf\n1970\ntsrun\nprobed" },
  },
  {
    name: "seccomp-actions",
    about: "every action, errors of their own, conditions",
    probe: ["--syscalls"],
    edit: (config) => {
      config.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        syscalls: [
          { names: ["mincore"], action: "SCMP_ACT_ERRNO" },
          { names: ["mlock", "munlock"], action: "SCMP_ACT_ERRNO", errnoRet: 55 },
          { names: ["msync"], action: "SCMP_ACT_ERRNO", errnoRet: 0 },
          { names: ["getitimer"], action: "SCMP_ACT_KILL" },
          { names: ["setitimer"], action: "SCMP_ACT_KILL_PROCESS" },
          { names: ["times"], action: "SCMP_ACT_KILL_THREAD" },
          { names: ["getpgid"], action: "SCMP_ACT_TRAP" },
          { names: ["getrusage"], action: "SCMP_ACT_TRACE", errnoRet: 3 },
          { names: ["sysinfo"], action: "SCMP_ACT_LOG" },
          { names: ["no_such_call", "shmget"], action: "SCMP_ACT_ERRNO", errnoRet: 13 },
          {
            names: ["socket"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 97,
            args: [
              { index: 0, value: 16, op: "SCMP_CMP_EQ" },
              { index: 2, value: 9, op: "SCMP_CMP_EQ" },
            ],
          },
          {
            names: ["personality"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 1,
            args: [{ index: 0, value: 0x20000, valueTwo: 0x20000, op: "SCMP_CMP_MASKED_EQ" }],
          },
          {
            names: ["personality"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 2,
            args: [{ index: 0, value: 0x40000, op: "SCMP_CMP_EQ" }],
          },
          {
            names: ["clone"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 11,
            args: [{ index: 0, value: 0x10000000, valueTwo: 0x10000000, op: "SCMP_CMP_MASKED_EQ" }],
          },
          {
            names: ["dup"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 7,
            args: [{ index: 0, value: 1000, op: "SCMP_CMP_GT" }],
          },
          {
            names: ["close"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 8,
            args: [{ index: 0, value: 0xffffffff, op: "SCMP_CMP_GE" }],
          },
          {
            names: ["fsync"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 9,
            args: [{ index: 0, value: 5, op: "SCMP_CMP_LT" }],
          },
          {
            names: ["fdatasync"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 9,
            args: [{ index: 0, value: 5, op: "SCMP_CMP_LE" }],
          },
          {
            names: ["umask"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 10,
            args: [{ index: 0, value: 5, op: "SCMP_CMP_NE" }],
          },
        ],
      };
    },
    shows: {
      "init/call/socket netlink audit": "EAFNOSUPPORT",
      "init/call/socket netlink route": "done",
      "init/call/clone user": "EAGAIN",
    },
  },
  {
    name: "seccomp-default-kill",
    about: "a default action that is none",
    edit: (config) => {
      config.linux.seccomp = {
        defaultAction: "SCMP_ACT_LOG",
        architectures: [],
        syscalls: [{ names: ["kexec_load"], action: "SCMP_ACT_ERRNO" }],
      };
    },
  },
  {
    name: "seccomp-agent",
    about: "calls that an agent is asked about, and what the agent is told",
    prepare: ({ work }) => {
      const program = join(__dirname, "../agent.py");
      spawn("python3", [program, `${work}/agent`, `${work}/log`], { stdio: ["ignore", "ignore", "inherit"] }).unref();
      waitFor("the agent", () => existsSync(`${work}/agent`));
    },
    edit: (config, { work }) => {
      config.annotations = { "org.example": "x" };
      config.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        listenerPath: `${work}/agent`,
        listenerMetadata: "for the agent",
        syscalls: [{ names: ["sethostname", "mincore"], action: "SCMP_ACT_NOTIFY" }],
      };
    },
    exec: "none",
    probe: ["--syscalls"],
    hookLogs: ["log"],
    shows: {
      "hook agent/metadata": "for the agent",
      "hook agent/state/id": "compared",
      "hook agent/directory": "1-descriptors",
    },
  },
  {
    name: "seccomp-flags",
    about: "flags of the filter",
    without: { runc: since("1.2") },
    edit: (config) => {
      config.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        flags: ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_LOG"],
        syscalls: [{ names: ["kexec_load"], action: "SCMP_ACT_ERRNO" }],
      };
    },
  },
];
