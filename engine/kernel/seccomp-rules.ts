/** What a seccomp filter says about each system call of one architecture, before it becomes a program. Pure. */
import { EngineError } from '../base/errors.ts'
import type { OciSeccomp, OciSeccompArgument } from '../spec/oci.ts'
import { errnoNumbers } from './errno.table.ts'
import { type Abi, multiplexed } from './seccomp-abis.ts'

const invalid = (field: string, sentence: string): never => {
  throw new EngineError('invalid', `linux.seccomp.${field}: ${sentence}`)
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

export const knownActions: readonly string[] = Object.keys(actions)

/**
 * The filter's return value. ERRNO and TRACE carry a number, EPERM unless said otherwise; others may have none.
 *
 * @param field where in linux.seccomp it stands, for the error: `syscalls[3].`, or `` and then the default's names
 */
export function returnValue(action: string, errnoRet: number | undefined, field = ''): number {
  const [actionName, errnoName] = field === '' ? ['defaultAction', 'defaultErrnoRet'] : ['action', 'errnoRet']
  const value = Object.hasOwn(actions, action)
    ? actions[action]!
    : invalid(`${field}${actionName}`, `unknown seccomp action ${JSON.stringify(action)}`)
  if (value !== seccompReturns.ERRNO && value !== seccompReturns.TRACE) return value
  const errno = errnoRet ?? errnoNumbers.EPERM
  if (!Number.isInteger(errno) || errno < 0 || errno > 0xffff)
    return invalid(`${field}${errnoName}`, `${errno} is not a number from 0 to 65535`)
  return (value | errno) >>> 0
}

/** The call goes on, as far as the filter is concerned; a tracer is trusted to know newer calls itself. */
export const permits = (result: number): boolean =>
  (result & 0xffff0000) >>> 0 >= seccompReturns.TRACE && result >> 31 === 0

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

/** Unsigned, as wide as the ABI's arguments; for MASKED_EQ `mask` is applied to the argument first. */
export type Condition = { index: number; op: Comparison; value: bigint; mask: bigint }

export type Rule = { conditions: readonly Condition[]; result: number }

const largest = (1n << 64n) - 1n

function unsigned(value: number | bigint, field: string): bigint {
  if (typeof value === 'number' && !Number.isInteger(value)) return invalid(field, `${value} is not a whole number`)
  const exact = BigInt(value)
  if (exact < 0n || exact > largest) return invalid(field, `${value} is not a number from 0 to 2^64 - 1`)
  return exact
}

function conditionOf({ index, value, valueTwo = 0, op }: OciSeccompArgument, bits: number, field: string): Condition {
  if (!Number.isInteger(index) || index < 0 || index > 5)
    return invalid(`${field}.index`, `argument index ${index} is not one of 0 to 5`)
  const known =
    comparisons.find((name) => name === op) ?? invalid(`${field}.op`, `unknown seccomp operator ${JSON.stringify(op)}`)
  // A 32-bit call has no upper halves: what a profile says of them is meant for the other architectures.
  const first = BigInt.asUintN(bits, unsigned(value, `${field}.value`))
  const second = BigInt.asUintN(bits, unsigned(valueTwo, `${field}.valueTwo`))
  if (known !== 'SCMP_CMP_MASKED_EQ') return { index, op: known, value: first, mask: BigInt.asUintN(bits, largest) }
  return { index, op: known, value: second, mask: first }
}

/**
 * The conditions of an entry must all hold; but two on one argument are alternatives, because libseccomp never had a
 * way to ask both, and profiles rely on what runc made of that.
 */
function alternatives(
  args: readonly OciSeccompArgument[] | null | undefined,
  bits: number,
  field: string,
): Condition[][] {
  const conditions = (args ?? []).map((one, at) => conditionOf(one, bits, `${field}args[${at}]`))
  const indexes = new Set(conditions.map(({ index }) => index))
  return indexes.size === conditions.length ? [conditions] : conditions.map((condition) => [condition])
}

const keyOf = ({ index, op, value, mask }: Condition): string => `${index} ${op} ${value} ${mask}`

type Keyed = Rule & { keys: ReadonlySet<string> }

/** More different rules than this for one call cannot be a program; linux/bpf_common.h BPF_MAXINSNS. */
const mostRules = 4096

/**
 * As libseccomp reads several rules for one call: one that holds wherever another holds makes that other moot, whatever
 * their order and actions are; so a rule without conditions is the only one. Of equal ones the first counts.
 */
function broadest(rules: readonly Rule[]): Rule[] {
  const unconditional = rules.find(({ conditions }) => conditions.length === 0)
  if (unconditional !== undefined) return [unconditional]
  const different = new Map<string, Keyed>()
  for (const rule of rules) {
    const keys = rule.conditions.map(keyOf).sort()
    const whole = keys.join()
    if (!different.has(whole)) different.set(whole, { ...rule, keys: new Set(keys) })
  }
  const list = [...different.values()]
  if (list.length > mostRules)
    return invalid('syscalls', `${list.length} rules for one system call; the kernel takes ${mostRules} instructions`)
  return list.filter((one) => !list.some(({ keys }) => keys.size < one.keys.size && keys.isSubsetOf(one.keys)))
}

/**
 * A call that 32-bit programs also make through socketcall(2) or ipc(2), where its own arguments lie behind a pointer:
 * permission that depends on them is not given there, a refusal that does is complete.
 */
function throughMultiplexer(abi: Abi, name: string, choices: readonly Condition[][], result: number) {
  const route = abi.multiplexed ? multiplexed[name] : undefined
  if (route === undefined || (permits(result) && choices.some((conditions) => conditions.length > 0))) return undefined
  const condition: Condition = { index: 0, op: 'SCMP_CMP_EQ', value: BigInt(route.number), mask: 0xffffffffn }
  return { number: abi.numbers[route.through]!, rule: { conditions: [condition], result } }
}

export type AbiRules = {
  /** By number, in the order they are asked. */
  rules: Map<number, Rule[]>
  /** The highest number that the profile names, those of the private range aside; undefined where it names none. */
  newest: number | undefined
}

/**
 * Entries that say what is the default anyway are left out, as runc does. Names that the architecture does not have, or we do
 * not know yet, are no error: a profile serves many kernels.
 */
export function rulesOf(seccomp: OciSeccomp, abi: Abi, otherwise: number): AbiRules {
  const found = new Map<number, Rule[]>()
  const add = (number: number, rules: Rule[]): void => {
    found.set(number, [...(found.get(number) ?? []), ...rules])
  }
  let newest: number | undefined
  for (const [at, { names, action, errnoRet, args }] of (seccomp.syscalls ?? []).entries()) {
    const field = `syscalls[${at}].`
    const result = returnValue(action, errnoRet, field)
    const choices = alternatives(args, abi.bits, field)
    for (const name of names) {
      const number = Object.hasOwn(abi.numbers, name) ? abi.numbers[name] : undefined
      if (number !== undefined && number < abi.privateRange) newest = Math.max(newest ?? 0, number)
      if (result === otherwise) continue
      if (number !== undefined)
        add(
          number,
          choices.map((conditions) => ({ conditions, result })),
        )
      const inner = throughMultiplexer(abi, name, choices, result)
      if (inner !== undefined) add(inner.number, [inner.rule])
    }
  }
  return { rules: new Map([...found].map(([number, list]) => [number, broadest(list)])), newest }
}
