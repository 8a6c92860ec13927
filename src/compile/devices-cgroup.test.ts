import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { deviceProgramRules } from "../plan/device-program-text.ts";
import { deviceProgram, INSTRUCTION_BYTES } from "./device-program.ts";
import { access, type DeviceConfig, type DeviceRule, deviceRules, deviceWrites } from "./device-rules.ts";

interface Request {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  readonly access: number;
}

/** What the rules mean: every right that is asked for is decided by the last rule that speaks of it. */
function decide(rules: readonly DeviceRule[], request: Request): boolean {
  return [access.r, access.w, access.m]
    .filter((right) => (request.access & right) !== 0)
    .every(
      (right) =>
        rules.findLast(
          (rule) =>
            rule.type === request.type &&
            (rule.major === undefined || rule.major === request.major) &&
            (rule.minor === undefined || rule.minor === request.minor) &&
            (rule.access & right) !== 0,
        )?.allow ?? false,
    );
}

/** Runs a program as the kernel would, as far as device programs use its machine. Fails on anything else. */
function interpret(program: Uint8Array, request: Request): boolean {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const context = [(request.access << 16) | (request.type === "b" ? 1 : 2), request.major, request.minor];
  const registers = Array<bigint>(11).fill(0n);
  const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
  for (let pc = 0, steps = 0; ; pc++, steps++) {
    if (steps > program.length) throw new Error("runs backwards");
    const at = pc * INSTRUCTION_BYTES;
    const code = view.getUint8(at);
    const dst = view.getUint8(at + 1) & 15;
    const src = view.getUint8(at + 1) >> 4;
    const offset = view.getInt16(at + 2, true);
    const imm = BigInt(view.getInt32(at + 4, true));
    const value = registers[dst] as bigint;
    switch (code) {
      case 0x61:
        if (src !== 1 || offset % 4 !== 0) throw new Error("reads something else than the context");
        registers[dst] = BigInt.asUintN(32, BigInt(context[offset / 4] as number));
        break;
      case 0xbf:
        registers[dst] = registers[src] as bigint;
        break;
      case 0xb7:
        registers[dst] = u64(imm);
        break;
      case 0x57:
        registers[dst] = value & u64(imm);
        break;
      case 0x77:
        registers[dst] = value >> imm;
        break;
      case 0x15:
        if (value === u64(imm)) pc += offset;
        break;
      case 0x55:
        if (value !== u64(imm)) pc += offset;
        break;
      case 0x56:
        if (BigInt.asUintN(32, value) !== BigInt.asUintN(32, imm)) pc += offset;
        break;
      case 0x95:
        return registers[0] === 1n;
      default:
        throw new Error(`unknown instruction 0x${code.toString(16)}`);
    }
  }
}

/** What a v1 devices cgroup answers after these writes (security/device_cgroup.c). */
function decideV1(writes: ReturnType<typeof deviceWrites>, request: Request): boolean {
  let allowed = true;
  let exceptions: { type: string; major: string; minor: string; mask: number }[] = [];
  for (const { file, value } of writes) {
    if (value === "a") {
      allowed = file === "devices.allow";
      exceptions = [];
      continue;
    }
    const [, type = "", major = "", minor = "", letters = ""] = /^([bc]) (\d+|\*):(\d+|\*) ([rwm]+)$/.exec(value) ?? [];
    if ((file === "devices.allow") === allowed) throw new Error(`${file} ${value} only takes an exception back`);
    const mask = [...letters].reduce((bits, letter) => bits | access[letter as "r" | "w" | "m"], 0);
    exceptions.push({ type, major, minor, mask });
  }
  const matches = exceptions.filter(
    ({ type, major, minor }) =>
      type === request.type &&
      (major === "*" || Number(major) === request.major) &&
      (minor === "*" || Number(minor) === request.minor),
  );
  // All of an access must be in one exception when everything is denied, any of it when everything is allowed.
  return allowed
    ? !matches.some(({ mask }) => (mask & request.access) !== 0)
    : matches.some(({ mask }) => (request.access & ~mask) === 0);
}

const number = fc.constantFrom(0, 1, 3, 5, 136, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe);
const config: fc.Arbitrary<DeviceConfig> = fc
  .record({
    allow: fc.boolean(),
    type: fc.constantFrom(undefined, "", "a", "b", "c"),
    major: fc.option(number, { nil: undefined }),
    minor: fc.option(number, { nil: undefined }),
    access: fc.constantFrom(undefined, "", "r", "w", "m", "rw", "rm", "wm", "rwm"),
  })
  .filter((rule) => !rule.allow || (rule.access ?? "") !== "");
const request: fc.Arbitrary<Request> = fc.record({
  type: fc.constantFrom("b", "c"),
  major: number,
  minor: number,
  access: fc.integer({ min: 1, max: 7 }),
});

describe("device programs", () => {
  test("decide as the last rule that speaks of each right", () => {
    fc.assert(
      fc.property(
        fc.array(config, { maxLength: 12 }),
        fc.array(request, { minLength: 20, maxLength: 20 }),
        (devices, asked) => {
          const rules = deviceRules(devices);
          const program = deviceProgram(rules);
          for (const each of asked) expect(interpret(program, each)).toBe(decide(rules, each));
        },
      ),
    );
  });

  test("are printed as the rules that they were made of", () => {
    const text = ({ allow, type, major, minor, access: mask }: DeviceRule): string => {
      const letters = (["r", "w", "m"] as const).map((letter) => ((mask & access[letter]) === 0 ? "" : letter));
      return `${allow ? "allow" : "deny"} ${type} ${major ?? "*"}:${minor ?? "*"} ${letters.join("")}`;
    };
    fc.assert(
      fc.property(fc.array(config, { maxLength: 12 }), (devices) => {
        const rules = deviceRules(devices);
        expect(deviceProgramRules(deviceProgram(rules))).toEqual(rules.map(text));
      }),
    );
    expect(deviceProgramRules(deviceProgram([]))).toEqual([]);
  });

  test("another program is not printed as one that it is not", () => {
    const program = deviceProgram(deviceRules([{ allow: false, type: "c", major: 10, minor: 229, access: "w" }]));
    const printed = deviceProgramRules(program);
    for (let at = 0; at < program.length; at++) {
      const other = Uint8Array.from(program);
      other[at] = (other[at] as number) ^ 0x40;
      // Another number or another right is another rule; whatever else it does, it is not these.
      expect(deviceProgramRules(other)).not.toEqual(printed);
    }
    expect(deviceProgramRules(program.subarray(0, program.length - 8))).toBeUndefined();
    expect(deviceProgramRules(program.subarray(4))).toBeUndefined();
    expect(deviceProgramRules(new Uint8Array())).toBeUndefined();
  });

  test("without any rule everything is denied", () => {
    expect(interpret(deviceProgram([]), { type: "c", major: 1, minor: 3, access: access.r })).toBe(false);
  });

  test("too many rules are refused", () => {
    expect(() => deviceProgram(Array.from({ length: 1025 }, () => deviceRules([])[0] as DeviceRule))).toThrow(/rules/);
  });
});

describe("device rules", () => {
  const may = (
    devices: readonly DeviceConfig[],
    type: "b" | "c",
    major: number,
    minor: number,
    mask: number,
  ): boolean => decide(deviceRules(devices), { type, major, minor, access: mask });

  test("a list without a rule for everything still denies", () => {
    const devices = [{ allow: true, type: "c", major: 10, minor: 229, access: "rw" }];
    expect(may(devices, "c", 10, 229, access.r | access.w)).toBe(true);
    expect(may(devices, "b", 8, 0, access.r)).toBe(false);
    expect(may([], "b", 8, 0, access.w)).toBe(false);
  });

  test("the devices of every container stay usable after a rule against everything", () => {
    const devices = [{ allow: false, access: "rwm" }];
    for (const minor of [3, 5, 7, 8, 9]) expect(may(devices, "c", 1, minor, access.r | access.w)).toBe(true);
    expect(may(devices, "c", 136, 12, access.r | access.w)).toBe(true);
    expect(may(devices, "b", 8, 0, access.m)).toBe(true);
    expect(may(devices, "c", 10, 200, access.r)).toBe(false); // tun
  });

  test("a privileged container may do everything", () => {
    expect(deviceWrites(deviceRules([{ allow: false }, { allow: true, type: "a", access: "rwm" }]))).toEqual([
      { file: "devices.allow", value: "a" },
    ]);
  });

  test.each([
    [{ allow: true, type: "c", major: 1 }, "/linux/resources/devices/0/access"],
    [{ allow: true, type: "u" }, "/linux/resources/devices/0/type"],
    [{ allow: true, access: "rx" }, "/linux/resources/devices/0/access"],
    [{ allow: false, major: -2 }, "/linux/resources/devices/0/major"],
    [{ allow: false, minor: 2 ** 32 }, "/linux/resources/devices/0/minor"],
    // The kernel's "all".
    [{ allow: true, major: 0xffff_ffff, access: "r" }, "/linux/resources/devices/0/major"],
  ])("%j is refused by its pointer", (device, pointer) => {
    expect(() => deviceRules([device])).toThrow(pointer);
  });
});

describe("v1 device lists", () => {
  test("allow nothing that the rules deny; and what they refuse is only what v1 cannot say", () => {
    let compared = 0;
    fc.assert(
      fc.property(
        fc.array(config, { maxLength: 8 }),
        fc.array(request, { minLength: 20, maxLength: 20 }),
        (devices, asked) => {
          const rules = deviceRules(devices);
          let writes: ReturnType<typeof deviceWrites>;
          try {
            writes = deviceWrites(rules);
          } catch (error) {
            expect(String(error)).toMatch(/cgroup v1 cannot/);
            return;
          }
          compared++;
          for (const each of asked) {
            if (decideV1(writes, each)) expect(decide(rules, each)).toBe(true);
            // One right at a time the two agree; several at once have to be in one exception.
            for (const right of [access.r, access.w, access.m]) {
              const single = { ...each, access: right };
              expect(decideV1(writes, single)).toBe(decide(rules, single));
            }
          }
        },
      ),
    );
    expect(compared).toBeGreaterThan(20);
  });

  test("keep the order of config.json, without what is taken back", () => {
    const devices = [
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
      { allow: true, type: "b", major: 8, minor: 20, access: "rw" },
      { allow: true, type: "b", major: 7, access: "r" },
      { allow: false, type: "b", major: 8, minor: 20, access: "w" },
      { allow: false, type: "b", major: 7, access: "rwm" },
    ];
    expect(deviceWrites(deviceRules(devices)).slice(0, 4)).toEqual([
      { file: "devices.deny", value: "a" },
      { file: "devices.allow", value: "c 10:229 rw" },
      { file: "devices.allow", value: "b 8:20 r" },
      { file: "devices.allow", value: "c *:* m" },
    ]);
  });

  test("a hole in a wider rule is refused", () => {
    const devices = [
      { allow: true, type: "c", major: 10, access: "rw" },
      { allow: false, type: "c", major: 10, minor: 229, access: "w" },
    ];
    expect(() => deviceWrites(deviceRules(devices))).toThrow("cannot deny c 10:229 w after c 10:* rw was allowed");
  });
});
