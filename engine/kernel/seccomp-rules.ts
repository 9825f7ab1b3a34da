/** What a seccomp filter says about each system call of one architecture, before it becomes a program. Pure. */
import { EngineError } from '../base/errors.ts'
import type { OciSeccomp, OciSeccompArgument } from '../spec/oci.ts'
import { errnoNumbers } from './errno.table.ts'
import { syscallsAarch64 } from './seccomp-aarch64.table.ts'
import { syscallsI386 } from './seccomp-i386.table.ts'
import { syscallsX32 } from './seccomp-x32.table.ts'
import { syscallsX64 } from './seccomp-x86-64.table.ts'

const invalid = (sentence: string): never => {
  throw new EngineError('invalid', sentence)
}

/** linux/audit.h AUDIT_ARCH_*, as seccomp_data has it, and the calls' numbers. */
export type Abi = { name: string; audit: number; numbers: Readonly<Record<string, number>>; marker: number }

/** x32 shares the architecture of x86_64 and marks its numbers with a bit. */
export const x32Marker = 0x40000000

export const abis: Readonly<Record<string, Abi>> = {
  SCMP_ARCH_X86_64: { name: 'x86_64', audit: 0xc000003e, numbers: syscallsX64, marker: 0 },
  SCMP_ARCH_X86: { name: 'i386', audit: 0x40000003, numbers: syscallsI386, marker: 0 },
  SCMP_ARCH_X32: { name: 'x32', audit: 0xc000003e, numbers: syscallsX32, marker: x32Marker },
  SCMP_ARCH_AARCH64: { name: 'aarch64', audit: 0xc00000b7, numbers: syscallsAarch64, marker: 0 },
}

/** linux/seccomp.h SECCOMP_RET_*. */
export const seccompReturns = {
  KILL_PROCESS: 0x80000000,
  KILL_THREAD: 0x00000000,
  TRAP: 0x00030000,
  ERRNO: 0x00050000,
  USER_NOTIF: 0x7fc00000,
  TRACE: 0x7ff00000,
  LOG: 0x7ffc0000,
  ALLOW: 0x7fff0000,
} as const

const actions: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: seccompReturns.KILL_THREAD,
  SCMP_ACT_KILL_THREAD: seccompReturns.KILL_THREAD,
  SCMP_ACT_KILL_PROCESS: seccompReturns.KILL_PROCESS,
  SCMP_ACT_TRAP: seccompReturns.TRAP,
  SCMP_ACT_ERRNO: seccompReturns.ERRNO,
  SCMP_ACT_NOTIFY: seccompReturns.USER_NOTIF,
  SCMP_ACT_TRACE: seccompReturns.TRACE,
  SCMP_ACT_LOG: seccompReturns.LOG,
  SCMP_ACT_ALLOW: seccompReturns.ALLOW,
}

/** The filter's return value. ERRNO and TRACE carry a number, EPERM unless said otherwise; others may have none. */
export function returnValue(action: string, errnoRet: number | undefined): number {
  const value = actions[action] ?? invalid(`unknown seccomp action ${JSON.stringify(action)}`)
  if (value !== seccompReturns.ERRNO && value !== seccompReturns.TRACE) return value
  const errno = errnoRet ?? errnoNumbers.EPERM
  if (!Number.isInteger(errno) || errno < 0 || errno > 0xffff)
    return invalid(`seccomp errnoRet ${errno} is not a number from 0 to 65535`)
  return (value | errno) >>> 0
}

export const comparisons = [
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
] as const
export type Comparison = (typeof comparisons)[number]

/** Unsigned 64 bit; for MASKED_EQ `mask` is applied to the argument first. */
export type Condition = { index: number; op: Comparison; value: bigint; mask: bigint }

export type Rule = { conditions: readonly Condition[]; result: number }

const largest = (1n << 64n) - 1n

/** JSON's 2^64 - 1 arrives here as 2^64: the nearest number that JavaScript has. */
function unsigned(value: number): bigint {
  if (!Number.isInteger(value)) return invalid(`seccomp argument value ${value} is not a whole number`)
  const exact = BigInt(value)
  return exact < 0n ? BigInt.asUintN(64, exact) : exact > largest ? largest : exact
}

function conditionOf({ index, value, valueTwo = 0, op }: OciSeccompArgument): Condition {
  if (!Number.isInteger(index) || index < 0 || index > 5)
    return invalid(`seccomp argument index ${index} is not one of 0 to 5`)
  const known = comparisons.find((name) => name === op) ?? invalid(`unknown seccomp operator ${JSON.stringify(op)}`)
  if (known !== 'SCMP_CMP_MASKED_EQ') return { index, op: known, value: unsigned(value), mask: largest }
  return { index, op: known, value: unsigned(valueTwo), mask: unsigned(value) }
}

/**
 * The conditions of an entry must all hold; but two on one argument are alternatives, because libseccomp never had a
 * way to ask both, and profiles rely on what runc made of that.
 */
function alternatives(args: readonly OciSeccompArgument[] | undefined): Condition[][] {
  const conditions = (args ?? []).map(conditionOf)
  const indexes = new Set(conditions.map(({ index }) => index))
  return indexes.size === conditions.length ? [conditions] : conditions.map((condition) => [condition])
}

/**
 * Rules by number, in the order they are asked: those with conditions first, as in the profile, then the first without.
 * Names that the architecture does not have, or we do not know yet, are no error: a profile serves many kernels.
 */
export function rulesOf(seccomp: OciSeccomp, abi: Abi): Map<number, Rule[]> {
  const rules = new Map<number, Rule[]>()
  for (const { names, action, errnoRet, args } of seccomp.syscalls ?? []) {
    const result = returnValue(action, errnoRet)
    const choices = alternatives(args)
    for (const name of names) {
      const number = Object.hasOwn(abi.numbers, name) ? abi.numbers[name] : undefined
      if (number === undefined) continue
      const known = rules.get(number) ?? []
      known.push(...choices.map((conditions) => ({ conditions, result })))
      rules.set(number, known)
    }
  }
  for (const [number, list] of rules) {
    const conditional = list.filter(({ conditions }) => conditions.length > 0)
    const always = list.find(({ conditions }) => conditions.length === 0)
    rules.set(number, always === undefined ? conditional : [...conditional, always])
  }
  return rules
}
