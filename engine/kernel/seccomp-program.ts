/**
 * Compiles OCI's seccomp settings to a classic BPF program, as pure bytes (struct sock_filter); seccomp(2). The
 * number of a call is found by halving: some nine comparisons, where a list in order takes hundreds.
 */
import { EngineError } from '../base/errors.ts'
import type { OciSeccomp } from '../spec/oci.ts'
import { errnoNumbers } from './errno.table.ts'
import { type Abi, abis, wantedAbis, x32Marker } from './seccomp-abis.ts'
import { type Condition, permits, type Rule, returnValue, rulesOf, seccompReturns } from './seccomp-rules.ts'

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number]

const BPF_LD_W_ABS = 0x20
const BPF_JMP_JA = 0x05
const BPF_JMP_JEQ = 0x15
const BPF_JMP_JGT = 0x25
const BPF_JMP_JGE = 0x35
const BPF_ALU_AND = 0x54
const BPF_RET_K = 0x06
const maximumInstructions = 4096
const maximumJump = 255

/** struct seccomp_data { int nr; u32 arch; u64 instruction_pointer; u64 args[6] }, little endian. */
const offsetOfNumber = 0
const offsetOfArchitecture = 4
const offsetOfArgument = (index: number): number => 16 + 8 * index

const load = (offset: number): Instruction => [BPF_LD_W_ABS, 0, 0, offset]
const giveBack = (value: number): Instruction => [BPF_RET_K, 0, 0, value]

const low = (value: bigint): number => Number(value & 0xffffffffn)
const high = (value: bigint): number => Number(value >> 32n)

/** `then` where the accumulator compares so with k, else `otherwise`; a far jump costs one instruction more. */
function branch(
  code: number,
  k: number,
  then: readonly Instruction[],
  otherwise: readonly Instruction[],
): Instruction[] {
  const jump: Instruction[] =
    otherwise.length <= maximumJump
      ? [[code, otherwise.length, 0, k]]
      : [
          [code, 0, 1, k],
          [BPF_JMP_JA, 0, 0, otherwise.length],
        ]
  return [...jump, ...otherwise, ...then]
}

/** One word against one word: goes on where it holds, jumps `skip` instructions further where it does not. */
function wordCode({ index, op, value, mask }: Condition, skip: number): Instruction[] {
  const word = load(offsetOfArgument(index))
  const k = low(value)
  switch (op) {
    case 'SCMP_CMP_EQ':
      return [word, [BPF_JMP_JEQ, 0, skip, k]]
    case 'SCMP_CMP_NE':
      return [word, [BPF_JMP_JEQ, skip, 0, k]]
    case 'SCMP_CMP_GT':
      return [word, [BPF_JMP_JGT, 0, skip, k]]
    case 'SCMP_CMP_GE':
      return [word, [BPF_JMP_JGE, 0, skip, k]]
    case 'SCMP_CMP_LT':
      return [word, [BPF_JMP_JGE, skip, 0, k]]
    case 'SCMP_CMP_LE':
      return [word, [BPF_JMP_JGT, skip, 0, k]]
    case 'SCMP_CMP_MASKED_EQ':
      return [word, [BPF_ALU_AND, 0, 0, low(mask)], [BPF_JMP_JEQ, 0, skip, k]]
  }
}

/**
 * Goes on behind itself where the condition holds, and jumps `skip` instructions further where it does not. Half
 * words: the upper one decides, unless it is equal.
 */
function conditionCode(condition: Condition, bits: Abi['bits'], skip: number): Instruction[] {
  const { index, op, value, mask } = condition
  const upper = load(offsetOfArgument(index) + 4)
  const h = high(value)
  // Nothing of the upper half is looked at.
  if (bits === 32 || (op === 'SCMP_CMP_MASKED_EQ' && high(mask) === 0 && h === 0)) return wordCode(condition, skip)
  const rest = wordCode(condition, skip)
  switch (op) {
    case 'SCMP_CMP_EQ':
      return [upper, [BPF_JMP_JEQ, 0, skip + 2, h], ...rest]
    case 'SCMP_CMP_NE':
      return [upper, [BPF_JMP_JEQ, 0, 2, h], ...rest]
    case 'SCMP_CMP_GT':
    case 'SCMP_CMP_GE':
      return [upper, [BPF_JMP_JGT, 3, 0, h], [BPF_JMP_JEQ, 0, skip + 2, h], ...rest]
    case 'SCMP_CMP_LT':
    case 'SCMP_CMP_LE':
      return [upper, [BPF_JMP_JGT, skip + 3, 0, h], [BPF_JMP_JEQ, 0, 2, h], ...rest]
    case 'SCMP_CMP_MASKED_EQ':
      return [upper, [BPF_ALU_AND, 0, 0, high(mask)], [BPF_JMP_JEQ, 0, skip + 3, h], ...rest]
  }
}

/** Built from its end, where the distance to the next rule is known. */
function ruleCode({ conditions, result }: Rule, bits: Abi['bits']): Instruction[] {
  let code: Instruction[] = [giveBack(result)]
  for (const condition of conditions.toReversed()) code = [...conditionCode(condition, bits, code.length), ...code]
  return code
}

/** What happens to one call: its rules in order, then the default. */
function callCode(rules: readonly Rule[], bits: Abi['bits'], otherwise: number): Instruction[] {
  const unconditional = rules.at(-1)?.conditions.length === 0
  return [...rules.flatMap((rule) => ruleCode(rule, bits)), ...(unconditional ? [] : [giveBack(otherwise)])]
}

/** From `start` up to the next range's start, `code` decides; equal neighbours are one range. */
type Range = { start: number; key: string; code: readonly Instruction[] }

const keyOf = (code: readonly Instruction[]): string => code.map((part) => part.join()).join(';')

class Ranges {
  readonly list: Range[] = []

  /** In rising order. */
  add(start: number, code: readonly Instruction[]): void {
    const key = keyOf(code)
    const before = this.list.at(-1)
    if (before?.start === start) this.list.pop()
    if (this.list.at(-1)?.key !== key) this.list.push({ start, key, code })
  }
}

/** Halves the ranges until one is left; the accumulator holds the number. */
function search(ranges: readonly Range[]): readonly Instruction[] {
  const [first] = ranges
  if (first === undefined) throw new Error('a seccomp filter without a single range')
  if (ranges.length === 1) return first.code
  const middle = ranges.length >> 1
  const pivot = (ranges[middle] as Range).start
  return branch(BPF_JMP_JGE, pivot, search(ranges.slice(middle)), search(ranges.slice(0, middle)))
}

/**
 * The ranges of one ABI. Unless the default is to permit, a call newer than all the profile names answers ENOSYS, so that
 * libraries fall back to an older one; runc does the same, and programs in containers rely on it.
 */
function addAbi(ranges: Ranges, abi: Abi, seccomp: OciSeccomp, otherwise: number): void {
  const { rules, newest } = rulesOf(seccomp, abi, otherwise)
  const unknown = newest === undefined || permits(otherwise) ? abi.privateRange : newest + 1
  const decide = (number: number): readonly Instruction[] => {
    const list = rules.get(number)
    if (list !== undefined) return callCode(list, abi.bits, otherwise)
    return [giveBack(number >= unknown && number < abi.privateRange ? notImplemented : otherwise)]
  }
  const edges = [...rules.keys()].flatMap((number) => [number, number + 1])
  const starts = new Set([0, ...edges, unknown, abi.privateRange].filter(Number.isFinite))
  for (const start of [...starts].toSorted((one, other) => one - other)) ranges.add(abi.marker + start, decide(start))
}

const notImplemented = seccompReturns.ERRNO | errnoNumbers.ENOSYS

/** A tracer that skips a call makes its number -1. */
const skippedCall = 0xffffffff

/** All of one AUDIT_ARCH: x86_64 with x32 or, where that is not wanted, with an end for who tries it. */
function architectureCode(group: readonly Abi[], seccomp: OciSeccomp, otherwise: number): readonly Instruction[] {
  const ranges = new Ranges()
  const plain = group.find((abi) => abi.marker === 0)
  const marked = group.find((abi) => abi.marker !== 0)
  const foreign = giveBack(seccompReturns.KILL_PROCESS)
  if (plain === undefined) ranges.add(0, [foreign])
  else addAbi(ranges, plain, seccomp, otherwise)
  if (marked !== undefined) addAbi(ranges, marked, seccomp, otherwise)
  else if (group.some((abi) => abi.audit === abis.SCMP_ARCH_X32?.audit)) ranges.add(x32Marker, [foreign])
  ranges.add(skippedCall, [giveBack(otherwise)])
  return [load(offsetOfNumber), ...search(ranges.list)]
}

const flagWaitKillable = 32
const flagBits: Readonly<Record<string, number>> = {
  // One thread: there is nobody to synchronise with.
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: flagWaitKillable,
}
export const knownFlags: readonly string[] = Object.keys(flagBits)

/** SECCOMP_FILTER_FLAG_SPEC_ALLOW. */
export const flagSpecAllow = 4
const flagNewListener = 8

function flagsOf(seccomp: OciSeccomp, notify: boolean): number {
  // Unless told otherwise no speculation is given up for the filter: runc's default, and the kernel's since 5.16.
  let flags = seccomp.flags === undefined ? flagSpecAllow : 0
  for (const [at, name] of (seccomp.flags ?? []).entries()) {
    const bit = Object.hasOwn(flagBits, name) ? flagBits[name] : undefined
    if (bit === undefined)
      throw new EngineError('invalid', `linux.seccomp.flags[${at}]: unknown seccomp flag ${JSON.stringify(name)}`)
    flags |= bit
  }
  // WAIT_KILLABLE_RECV speaks of a listener; without one the kernel refuses it.
  return notify ? flags | flagNewListener : flags & ~flagWaitKillable
}

function bytesOf(code: readonly Instruction[]): Buffer {
  if (code.length > maximumInstructions)
    throw new EngineError(
      'invalid',
      `the seccomp profile needs ${code.length} instructions; the kernel takes ${maximumInstructions}`,
    )
  const bytes = Buffer.alloc(code.length * 8)
  for (const [index, [operation, jumpTrue, jumpFalse, k]] of code.entries()) {
    bytes.writeUInt16LE(operation, index * 8)
    bytes.writeUInt8(jumpTrue, index * 8 + 2)
    bytes.writeUInt8(jumpFalse, index * 8 + 3)
    bytes.writeUInt32LE(k, index * 8 + 4)
  }
  return bytes
}

export type SeccompFilter = {
  /** struct sock_filter, one after the other; at most 4096. */
  program: Buffer
  /** SECCOMP_FILTER_FLAG_*. */
  flags: number
  /** Loading gives a descriptor on which someone must answer. */
  notify: boolean
}

/** Whether a call waits for an answer; refused where nobody could be told. */
function usesListener(seccomp: OciSeccomp, otherwise: number): boolean {
  if (otherwise === seccompReturns.USER_NOTIF)
    throw new EngineError('invalid', 'linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default action')
  const asking = (seccomp.syscalls ?? []).filter(({ action }) => action === 'SCMP_ACT_NOTIFY')
  const write = asking.find(({ names }) => names.includes('write'))
  if (write !== undefined)
    throw new EngineError(
      'invalid',
      `linux.seccomp.syscalls[${seccomp.syscalls?.indexOf(write)}].action: SCMP_ACT_NOTIFY cannot be used for the write syscall: its listener could not be handed over`,
    )
  return asking.length > 0
}

/** `arch` as Node's `process.arch`. The same settings give the same bytes: the result can be kept. */
export function compileSeccomp(seccomp: OciSeccomp, arch: string): SeccompFilter {
  const otherwise = returnValue(seccomp.defaultAction, seccomp.defaultErrnoRet)
  const notify = usesListener(seccomp, otherwise)
  const byAudit = Map.groupBy(wantedAbis(seccomp.architectures ?? [], arch), (abi) => abi.audit)
  // Code of an architecture that is not asked for must not run under the rules of another.
  let code: readonly Instruction[] = [giveBack(seccompReturns.KILL_PROCESS)]
  for (const [audit, group] of [...byAudit].toReversed())
    code = branch(BPF_JMP_JEQ, audit, architectureCode(group, seccomp, otherwise), code)
  return { program: bytesOf([load(offsetOfArchitecture), ...code]), flags: flagsOf(seccomp, notify), notify }
}
