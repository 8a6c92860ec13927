/**
 * The eBPF program that decides about devices on cgroup v2 (BPF_PROG_TYPE_CGROUP_DEVICE, Linux 4.15). The kernel runs it
 * at every open and mknod with what is asked for, and takes 1 for yes and 0 for no.
 *
 * Each right (read, write, mknod) is decided by the last rule that speaks of it. So the program goes through the rules
 * from the last to the first with the rights that are still undecided: a rule that denies one of them ends it with no, a
 * rule that allows some of them takes them off, and when none is left the answer is yes. Nothing spoken of is denied.
 */
import { TsrunError } from "../core/errors.ts";
import type { DeviceRule } from "./device-rules.ts";

export const INSTRUCTION_BYTES = 8;

/** Most rules of one program: the kernel bounds the branches that its verifier has yet to look at (8192, three a rule). */
const MAX_RULES = 1024;

// Codes as linux/bpf.h composes them: class | size or operation | mode or source.
const LDX_MEM_W = 0x61; // dst = *(u32 *)(src + offset)
const MOV64_REG = 0xbf;
const MOV64_IMM = 0xb7;
const AND64_IMM = 0x57;
const RSH64_IMM = 0x77;
const JEQ_IMM = 0x15;
const JNE_IMM = 0x55;
const JNE32_IMM = 0x56; // compares the lower 32 bits: device numbers have 32, and immediates are signed
const EXIT = 0x95;

// Registers. r1 is the context at the start: struct bpf_cgroup_dev_ctx { u32 access_type, major, minor }.
const RESULT = 0;
const CONTEXT = 1;
const PART = 2; // of the context
const RIGHTS = 3; // still undecided
const DENIED = 4;

/** BPF_DEVCG_DEV_BLOCK and BPF_DEVCG_DEV_CHAR; the upper 16 bits of access_type are the rights. */
const typeNumbers = { b: 1, c: 2 } as const;

interface Instruction {
  readonly code: number;
  readonly dst?: number;
  readonly src?: number;
  readonly offset?: number;
  readonly imm?: number;
}

/** Bytes of the program (struct bpf_insn, little-endian as both architectures are). */
export function deviceProgram(rules: readonly DeviceRule[]): Uint8Array {
  if (rules.length > MAX_RULES) {
    throw new TsrunError("unsupported", `/linux/resources/devices: more than ${MAX_RULES} rules`);
  }
  const program: Instruction[] = [
    { code: LDX_MEM_W, dst: RIGHTS, src: CONTEXT, offset: 0 },
    { code: RSH64_IMM, dst: RIGHTS, imm: 16 },
  ];
  for (const rule of [...rules].reverse()) {
    const action: readonly Instruction[] = rule.allow
      ? [
          { code: AND64_IMM, dst: RIGHTS, imm: ~rule.access },
          { code: JNE_IMM, dst: RIGHTS, imm: 0, offset: 2 }, // over the answer
          { code: MOV64_IMM, dst: RESULT, imm: 1 },
          { code: EXIT },
        ]
      : [
          { code: MOV64_REG, dst: DENIED, src: RIGHTS },
          { code: AND64_IMM, dst: DENIED, imm: rule.access },
          { code: JEQ_IMM, dst: DENIED, imm: 0, offset: 2 }, // over the answer
          { code: MOV64_IMM, dst: RESULT, imm: 0 },
          { code: EXIT },
        ];
    // Type and numbers are loaded again for each rule. What one rule found out of them would otherwise be carried on by
    // the kernel's verifier, a state more for every rule, and it gives up after a few hundred.
    const tests: Instruction[] = [
      { code: LDX_MEM_W, dst: PART, src: CONTEXT, offset: 0 },
      { code: AND64_IMM, dst: PART, imm: 0xffff },
      { code: JNE_IMM, dst: PART, imm: typeNumbers[rule.type] },
    ];
    for (const [value, offset] of [
      [rule.major, 4],
      [rule.minor, 8],
    ] as const) {
      if (value === undefined) continue;
      tests.push({ code: LDX_MEM_W, dst: PART, src: CONTEXT, offset }, { code: JNE32_IMM, dst: PART, imm: value | 0 });
    }
    for (const [i, test] of tests.entries()) {
      const isJump = test.code === JNE_IMM || test.code === JNE32_IMM;
      program.push(isJump ? { ...test, offset: tests.length - 1 - i + action.length } : test); // past this rule
    }
    program.push(...action);
  }
  program.push({ code: MOV64_IMM, dst: RESULT, imm: 0 }, { code: EXIT });

  const bytes = new Uint8Array(program.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, { code, dst = 0, src = 0, offset = 0, imm = 0 }] of program.entries()) {
    const at = i * INSTRUCTION_BYTES;
    view.setUint8(at, code);
    view.setUint8(at + 1, (src << 4) | dst);
    view.setInt16(at + 2, offset, true);
    view.setInt32(at + 4, imm, true);
  }
  return bytes;
}
