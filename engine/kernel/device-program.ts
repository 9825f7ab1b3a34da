/**
 * Device rules as a BPF program for cgroup v2 (BPF_PROG_TYPE_CGROUP_DEVICE), as pure bytes. The program is asked at
 * each mknod(2) and open(2) of a device: 1 lets it happen, 0 is EPERM. Instructions: Linux Documentation/bpf/standardization/instruction-set.rst.
 */
import type { OciDeviceRule } from '../spec/oci.ts'

/** One instruction of 8 bytes: opcode, registers (source << 4 | destination), offset, immediate. */
const instruction = (opcode: number, registers: number, offset: number, immediate: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt8(opcode, 0)
  bytes.writeUInt8(registers, 1)
  bytes.writeInt16LE(offset, 2)
  bytes.writeInt32LE(immediate | 0, 4)
  return bytes
}

const BPF_LDX_W = 0x61
const BPF_MOV32_X = 0xbc
const BPF_MOV32_K = 0xb4
const BPF_AND32_K = 0x54
const BPF_RSH32_K = 0x74
const BPF_JEQ_K = 0x15
const BPF_JNE_K = 0x55
const BPF_JNE_X = 0x5d
const BPF_EXIT = 0x95

/** Registers: r1 is struct bpf_cgroup_dev_ctx { u32 access_type, major, minor }. */
const [r0, r1, r2, r3, r4, r5] = [0, 1, 2, 3, 4, 5] as const
const from = (source: number, destination: number): number => (source << 4) | destination

const deviceTypes = { b: 1, c: 2 } as const
const accessBits: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 }
const accessMask = (access: string): number => [...access].reduce((mask, letter) => mask | (accessBits[letter] ?? 0), 0)

/** r2 type, r3 access, r4 major, r5 minor. */
const prologue = (): Buffer[] => [
  instruction(BPF_LDX_W, from(r1, r2), 0, 0),
  instruction(BPF_MOV32_X, from(r2, r3), 0, 0),
  instruction(BPF_AND32_K, from(0, r2), 0, 0xffff),
  instruction(BPF_RSH32_K, from(0, r3), 0, 16),
  instruction(BPF_LDX_W, from(r1, r4), 4, 0),
  instruction(BPF_LDX_W, from(r1, r5), 8, 0),
]

const verdict = (allow: boolean): Buffer[] => [
  instruction(BPF_MOV32_K, from(0, r0), 0, allow ? 1 : 0),
  instruction(BPF_EXIT, 0, 0, 0),
]

/**
 * Code that returns the rule's verdict for what it is about, and else falls through. An access of several kinds
 * (read and write) is granted only by a rule that has them all, and refused by one that has any.
 */
function ruleCode(rule: OciDeviceRule): Buffer[] {
  const checks: ((skip: number) => Buffer[])[] = []
  if (rule.type === 'b' || rule.type === 'c') {
    const type = deviceTypes[rule.type]
    checks.push((skip) => [instruction(BPF_JNE_K, from(0, r2), skip, type)])
  }
  const mask = accessMask(rule.access ?? 'rwm')
  if (mask !== 7) {
    const masked = [instruction(BPF_MOV32_X, from(r3, r1), 0, 0), instruction(BPF_AND32_K, from(0, r1), 0, mask)]
    // r1 & mask, then: allowed needs it to be all of the access; denied needs it to be not nothing.
    if (rule.allow) checks.push((skip) => [...masked, instruction(BPF_JNE_X, from(r3, r1), skip, 0)])
    else checks.push((skip) => [...masked, instruction(BPF_JEQ_K, from(0, r1), skip, 0)])
  }
  const { major, minor } = rule
  if (major !== undefined) checks.push((skip) => [instruction(BPF_JNE_K, from(0, r4), skip, major)])
  if (minor !== undefined) checks.push((skip) => [instruction(BPF_JNE_K, from(0, r5), skip, minor)])
  // Built from the end, where it is known how far the next rule is.
  let code = verdict(rule.allow)
  for (const check of checks.toReversed()) code = [...check(code.length), ...code]
  return code
}

const isTotal = (rule: OciDeviceRule): boolean =>
  (rule.type === undefined || rule.type === 'a') &&
  rule.major === undefined &&
  rule.minor === undefined &&
  accessMask(rule.access ?? 'rwm') === 7

/** The later rule wins, so the last is asked first; what no rule is about is denied. */
export function deviceProgram(rules: readonly OciDeviceRule[]): Buffer {
  const code = prologue()
  for (const rule of rules.toReversed()) {
    code.push(...ruleCode(rule))
    // Nothing after it could be reached, and the verifier refuses unreachable instructions.
    if (isTotal(rule)) return Buffer.concat(code)
  }
  return Buffer.concat([...code, ...verdict(false)])
}
