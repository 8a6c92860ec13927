/**
 * The rules of a device program, read back out of its instructions (src/compile/device-program.ts makes them): what is printed
 * is what the kernel will run, whoever made the program.
 */

const INSTRUCTION_BYTES = 8;
const letters = [
  ["r", 2],
  ["w", 4],
  ["m", 1],
] as const;

interface Instruction {
  readonly code: number;
  readonly dst: number;
  readonly src: number;
  readonly offset: number;
  readonly imm: number;
}

type Parts = Partial<Readonly<Record<Exclude<keyof Instruction, "code">, number | "any">>>;

function instructionsOf(program: Uint8Array): Instruction[] {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  return Array.from({ length: Math.floor(program.length / INSTRUCTION_BYTES) }, (_, i) => {
    const at = i * INSTRUCTION_BYTES;
    const registers = view.getUint8(at + 1);
    return {
      code: view.getUint8(at),
      dst: registers & 15,
      src: registers >> 4,
      offset: view.getInt16(at + 2, true),
      imm: view.getInt32(at + 4, true),
    };
  });
}

/** `allow c 1:3 rwm`, in the order of the rules, of which the last that speaks of a right decides; undefined for other programs. */
export function deviceProgramRules(program: Uint8Array): string[] | undefined {
  if (program.length % INSTRUCTION_BYTES !== 0) return undefined;
  const all = instructionsOf(program);
  let pc = 0;
  /** Takes the next instruction if it is this one; parts that are not named are 0. */
  const take = (code: number, parts: Parts): Instruction | undefined => {
    const found = all[pc];
    if (found === undefined || found.code !== code) return undefined;
    for (const part of ["dst", "src", "offset", "imm"] as const) {
      const wanted = parts[part] ?? 0;
      if (wanted !== "any" && wanted !== found[part]) return undefined;
    }
    pc++;
    return found;
  };
  const load = (dst: number, offset: number) => take(0x61, { dst, src: 1, offset });
  const answer = (imm: number): boolean => take(0xb7, { imm }) !== undefined && take(0x95, {}) !== undefined;

  const rules: string[] = [];
  if (load(3, 0) === undefined || take(0x77, { dst: 3, imm: 16 }) === undefined) return undefined;
  while (pc < all.length - 2) {
    const jumps: [from: number, offset: number][] = [];
    /** A comparison that goes past the rule when it fails. */
    const compare = (code: number): number | undefined => {
      const jump = take(code, { dst: 2, offset: "any", imm: "any" });
      if (jump !== undefined) jumps.push([pc, jump.offset]);
      return jump?.imm;
    };
    const number = (offset: number): string | undefined => {
      if (load(2, offset) === undefined) return "*";
      const value = compare(0x56);
      return value === undefined ? undefined : String(value >>> 0);
    };
    if (load(2, 0) === undefined || take(0x57, { dst: 2, imm: 0xffff }) === undefined) return undefined;
    const type = { 1: "b", 2: "c" }[compare(0x55) ?? 0];
    const [major, minor] = [number(4), number(8)];
    const kept = take(0x57, { dst: 3, imm: "any" });
    let mask: number;
    if (kept !== undefined) {
      if (take(0x55, { dst: 3, offset: 2 }) === undefined || !answer(1)) return undefined;
      mask = ~kept.imm;
    } else {
      const denied = take(0xbf, { dst: 4, src: 3 }) && take(0x57, { dst: 4, imm: "any" });
      if (denied === undefined || take(0x15, { dst: 4, offset: 2 }) === undefined || !answer(0)) return undefined;
      mask = denied.imm;
    }
    const end = pc;
    if (type === undefined || major === undefined || minor === undefined || (mask & ~7) !== 0) return undefined;
    if (jumps.some(([from, offset]) => from + offset !== end)) return undefined;
    const access = letters.map(([letter, bit]) => ((mask & bit) === 0 ? "" : letter)).join("");
    rules.unshift(`${kept === undefined ? "deny" : "allow"} ${type} ${major}:${minor} ${access}`);
  }
  return answer(0) && pc === all.length ? rules : undefined;
}
