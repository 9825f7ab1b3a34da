/** The compiled program against a plain reading of the profile, run by an interpreter of classic BPF. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { abis } from '../../../engine/kernel/seccomp-abis.ts'
import { compileSeccomp } from '../../../engine/kernel/seccomp-program.ts'
import { comparisons, returnValue, seccompReturns } from '../../../engine/kernel/seccomp-rules.ts'
import type { OciSeccomp, OciSeccompArgument } from '../../../engine/spec/oci.ts'
import { defaultSeccompProfile } from '../../../engine/spec/seccomp-default.table.ts'
import { resolveSeccomp } from '../../../engine/spec/seccomp-profile.ts'
import { all64, type Call, calls, interesting, randoms, run } from './bpf-interpreter.ts'

/** One comparison, of the lower halves only where a call has no more. */
function holds({ index, value, valueTwo = 0, op }: OciSeccompArgument, args: bigint[], bits: number): boolean {
  const cut = (number: number | bigint): bigint => BigInt.asUintN(bits, BigInt(number))
  const given = cut(args[index] as bigint)
  const wanted = cut(value)
  switch (op) {
    case 'SCMP_CMP_NE':
      return given !== wanted
    case 'SCMP_CMP_LT':
      return given < wanted
    case 'SCMP_CMP_LE':
      return given <= wanted
    case 'SCMP_CMP_EQ':
      return given === wanted
    case 'SCMP_CMP_GE':
      return given >= wanted
    case 'SCMP_CMP_GT':
      return given > wanted
    default:
      return (given & wanted) === cut(valueTwo)
  }
}

type Entry = { args: OciSeccompArgument[]; result: number }

/** Every entry of the profile that speaks of the call, one for each set of conditions. */
function entriesFor(seccomp: OciSeccomp, named: (name: string) => boolean): Entry[] {
  return (seccomp.syscalls ?? [])
    .filter(({ names }) => names.some(named))
    .flatMap(({ args = [], action, errnoRet }) => {
      const result = returnValue(action, errnoRet)
      const twice = new Set(args.map(({ index }) => index)).size < args.length
      return twice ? args.map((one) => ({ args: [one], result })) : [{ args: [...args], result }]
    })
}

const same = (one: OciSeccompArgument, other: OciSeccompArgument): boolean => {
  const words = ({ index, op, value, valueTwo = 0 }: OciSeccompArgument) =>
    [index, op, value, op === 'SCMP_CMP_MASKED_EQ' ? valueTwo : ''].join()
  return words(one) === words(other)
}

/** All that the first asks, the second asks, too, and more. */
const wider = (one: Entry, other: Entry): boolean =>
  one.args.every((arg) => other.args.some((its) => same(arg, its))) &&
  !other.args.every((arg) => one.args.some((its) => same(arg, its)))

const socketcalls = ['', 'socket', 'bind', 'connect', 'listen', 'accept', 'getsockname', 'getpeername', 'socketpair']

/** The profile, read word by word. */
function expected(seccomp: OciSeccomp, { nr, audit, args }: Call): number {
  const listed = ['SCMP_ARCH_X86_64', ...(seccomp.architectures ?? [])]
  const abi = Object.entries(abis).find(
    ([name, one]) =>
      listed.includes(name) && one.audit === audit && (audit !== 0xc000003e || nr >= 0x40000000 === (one.marker !== 0)),
  )?.[1]
  const otherwise = returnValue(seccomp.defaultAction, seccomp.defaultErrnoRet)
  if (nr === 0xffffffff && listed.some((name) => abis[name]?.audit === audit)) return otherwise
  if (abi === undefined) return seccompReturns.KILL_PROCESS
  const numberOf = (name: string): number | undefined => {
    const number = abi.numbers[name]
    return number === undefined ? undefined : number + abi.marker
  }
  const relevant = entriesFor(seccomp, (name) => numberOf(name) === nr)
  const inner = socketcalls[Number(args[0] ?? 0n)]
  if (abi.name === 'i386' && nr === abi.numbers.socketcall && inner)
    for (const { args: conditions, result } of entriesFor(seccomp, (name) => name === inner))
      if (conditions.length === 0 || ![0x7ff0, 0x7ffc, 0x7fff].includes(result >>> 16))
        relevant.push({ args: [{ index: 0, op: 'SCMP_CMP_EQ', value: args[0] as bigint }], result })
  const rules = relevant.filter(({ result }) => result !== otherwise)
  const match = rules
    .filter((rule) => !rules.some((one) => wider(one, rule)))
    .find((rule) => rule.args.every((one) => holds(one, args, abi.bits)))
  if (match !== undefined) return match.result
  if (rules.length > 0) return otherwise
  const named = (seccomp.syscalls ?? [])
    .flatMap(({ names }) => names.map(numberOf))
    .filter((number) => number !== undefined)
  const open = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'].includes(seccomp.defaultAction)
  return !open && named.length > 0 && nr > Math.max(...named) ? 0x50000 | 38 : otherwise
}

function agree(seccomp: OciSeccomp, tried: Call[]): void {
  const { program } = compileSeccomp(seccomp, 'x64')
  for (const call of tried) {
    const { value } = run(program, call)
    assert.equal(value, expected(seccomp, call), `${call.nr} of ${call.audit.toString(16)}, ${call.args.join(' ')}`)
  }
}

const target = { capabilities: ['CAP_CHOWN', 'CAP_SYS_CHROOT'], arch: 'x64', kernel: '6.1.0' }

test('the default profile: every call of every ABI', () => {
  const seccomp = resolveSeccomp(defaultSeccompProfile, target)
  const every: Call[] = [0xc000003e, 0x40000003, 0xc00000b7].flatMap((audit) =>
    [0, 0x40000000].flatMap((base) =>
      Array.from({ length: 600 }, (_, nr) => ({ nr: nr + base, audit, args: [0n, 0n, 0n, 0n, 0n, 0n] })),
    ),
  )
  agree(seccomp, every)
  agree(seccomp, calls(randoms(1), 20000))
  for (const capability of ['CAP_SYS_ADMIN', 'CAP_BPF', 'CAP_SYS_NICE'])
    agree(resolveSeccomp(defaultSeccompProfile, { ...target, capabilities: [capability] }), calls(randoms(2), 3000))
})

test('the default profile is small, and few steps decide', () => {
  const { program, flags, notify } = compileSeccomp(resolveSeccomp(defaultSeccompProfile, target), 'x64')
  assert.ok(program.length / 8 < 1500, `${program.length / 8} instructions`)
  for (const nr of [0, 1, 39, 202, 257, 435]) {
    const { steps } = run(program, { nr, audit: 0xc000003e, args: [0n, 0n, 0n, 0n, 0n, 0n] })
    assert.ok(steps <= 14, `${nr}: ${steps} steps`)
  }
  assert.equal(flags, 4)
  assert.equal(notify, false)
})

test('all operators on 64 bit, alone, together, and twice on one argument', () => {
  const values = [0, 1, 40, 0xffffffff, 0x100000000, 0x100000028, 2n ** 53n + 1n, all64]
  const random = randoms(7)
  for (const op of comparisons)
    for (const value of values) {
      const one: OciSeccompArgument = { index: random(6), value, valueTwo: value, op }
      const two: OciSeccompArgument = {
        index: random(6),
        value: values[random(8)] as number | bigint,
        valueTwo: 0,
        op: comparisons[random(7)] as string,
      }
      const seccomp: OciSeccomp = {
        defaultAction: 'SCMP_ACT_ERRNO',
        defaultErrnoRet: 5,
        architectures: ['SCMP_ARCH_X86_64'],
        syscalls: [
          { names: ['read'], action: 'SCMP_ACT_ALLOW', args: [one] },
          { names: ['write', 'mmap'], action: 'SCMP_ACT_LOG', args: [one, two] },
          { names: ['read'], action: 'SCMP_ACT_TRAP', args: [two] },
          { names: ['mmap'], action: 'SCMP_ACT_KILL_PROCESS' },
        ],
      }
      const edges = [-1n, 0n, 1n].map((step) => BigInt.asUintN(64, BigInt(value) + step))
      const tried = [0, 1, 9].flatMap((nr) =>
        [...edges, ...interesting].flatMap((arg) =>
          [arg, 0n].map((other) => ({
            nr,
            audit: 0xc000003e,
            args: Array.from({ length: 6 }, (_, index) => (index === one.index ? arg : other)),
          })),
        ),
      )
      agree(seccomp, tried)
    }
})

test('random profiles', () => {
  const names = Object.keys(abis.SCMP_ARCH_X86_64?.numbers ?? {})
  const actions = ['ALLOW', 'ERRNO', 'TRAP', 'LOG', 'KILL', 'KILL_THREAD', 'KILL_PROCESS', 'TRACE', 'NOTIFY']
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = randoms(seed * 7919)
    const action = (): string => `SCMP_ACT_${actions[random(8)]}`
    const argument = (): OciSeccompArgument => ({
      index: random(6),
      value: interesting[random(11)] as bigint,
      valueTwo: random(3),
      op: comparisons[random(7)] as string,
    })
    const seccomp: OciSeccomp = {
      defaultAction: action(),
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'].slice(0, 1 + random(3)),
      syscalls: Array.from({ length: random(30) }, () => ({
        names: Array.from({ length: 1 + random(8) }, () => names[random(names.length)] as string),
        action: action(),
        args: Array.from({ length: random(3) }, argument),
      })),
    }
    agree(seccomp, calls(random, 1500))
  }
})

test('arm64 and its numbers', () => {
  const { program } = compileSeccomp(resolveSeccomp(defaultSeccompProfile, { ...target, arch: 'arm64' }), 'arm64')
  const args = [0n, 0n, 0n, 0n, 0n, 0n]
  assert.equal(run(program, { nr: 63, audit: 0xc00000b7, args }).value, seccompReturns.ALLOW)
  assert.equal(run(program, { nr: 104, audit: 0xc00000b7, args }).value, seccompReturns.ERRNO | 1)
  assert.equal(run(program, { nr: 63, audit: 0xc000003e, args }).value, seccompReturns.KILL_PROCESS)
})

test('32-bit ARM beside it: its own numbers, private ones as the profile says, 32-bit arguments', () => {
  const syscalls = [
    { names: ['read', 'set_tls'], action: 'SCMP_ACT_ALLOW' },
    {
      names: ['openat2'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 3, value: 0xffff_ffff_0000_0018n, op: 'SCMP_CMP_EQ' }],
    },
  ]
  const seccomp = { defaultAction: 'SCMP_ACT_ERRNO', architectures: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'], syscalls }
  const { program } = compileSeccomp(seccomp, 'arm64')
  const arm = (nr: number, fourth = 0n) =>
    run(program, { nr, audit: 0x40000028, args: [0n, 0n, 0n, fourth, 0n, 0n] }).value
  assert.equal(arm(3), seccompReturns.ALLOW)
  assert.equal(arm(0xf0005), seccompReturns.ALLOW)
  assert.equal(arm(0xf0002), seccompReturns.ERRNO | 1)
  assert.equal(arm(437, 0x18n), seccompReturns.ALLOW)
  assert.equal(arm(437, 0x19n), seccompReturns.ERRNO | 1)
  assert.equal(arm(438), seccompReturns.ERRNO | 38)
  assert.equal(run(compileSeccomp(seccomp, 'x64').program, { nr: 3, audit: 0x40000028, args: [] }).value, 0x80000000)
})

test('socketcall: a refused socket is refused there, too; what depends on arguments is not permitted there', () => {
  const architectures = ['SCMP_ARCH_X86']
  const vsock = { index: 0, value: 40, op: 'SCMP_CMP_EQ' }
  const through = (defaultAction: string, action: string, args?: OciSeccompArgument[]) => {
    const rule = { names: ['socket', 'semop'], action, ...(args === undefined ? {} : { args }) }
    const { program } = compileSeccomp({ defaultAction, architectures, syscalls: [rule] }, 'x64')
    return (nr: number, first: bigint) =>
      run(program, { nr, audit: 0x40000003, args: [first, 0n, 0n, 0n, 0n, 0n] }).value
  }
  const [socketcall, ipc, errno] = [102, 117, seccompReturns.ERRNO | 1]
  const refused = through('SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO')
  assert.deepEqual([refused(socketcall, 1n), refused(socketcall, 2n), refused(ipc, 1n)], [errno, 0x7fff0000, errno])
  const partly = through('SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO', [vsock])
  assert.deepEqual([partly(socketcall, 1n), partly(359, 40n), partly(359, 1n)], [errno, errno, 0x7fff0000])
  const allowed = through('SCMP_ACT_ERRNO', 'SCMP_ACT_ALLOW')
  assert.deepEqual([allowed(socketcall, 1n), allowed(socketcall, 3n)], [0x7fff0000, errno])
  assert.equal(through('SCMP_ACT_ERRNO', 'SCMP_ACT_ALLOW', [vsock])(socketcall, 1n), errno)
})

test('several rules for one call: the widest counts, then the first', () => {
  const one = { index: 0, value: 1, op: 'SCMP_CMP_EQ' }
  const two = { index: 1, value: 2, op: 'SCMP_CMP_EQ' }
  const syscalls = [
    { names: ['read', 'mmap'], action: 'SCMP_ACT_ALLOW', args: [one] },
    { names: ['read'], action: 'SCMP_ACT_LOG' },
    { names: ['read'], action: 'SCMP_ACT_TRAP' },
    { names: ['mmap'], action: 'SCMP_ACT_KILL_PROCESS', args: [two, one] },
    { names: ['mmap'], action: 'SCMP_ACT_TRAP', args: [one] },
  ]
  const { program } = compileSeccomp({ defaultAction: 'SCMP_ACT_ERRNO', syscalls }, 'x64')
  const result = (nr: number, ...args: bigint[]) => run(program, { nr, audit: 0xc000003e, args }).value
  assert.deepEqual([result(0, 1n), result(0, 5n)], [seccompReturns.LOG, seccompReturns.LOG])
  assert.deepEqual([result(9, 1n, 2n), result(9, 0n, 2n)], [seccompReturns.ALLOW, seccompReturns.ERRNO | 1])
})

test('notifications, flags, and the same bytes for the same settings', () => {
  const notify: OciSeccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_NOTIFY' }],
  }
  assert.deepEqual([compileSeccomp(notify, 'x64').notify, compileSeccomp(notify, 'x64').flags], [true, 12])
  assert.equal(compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', flags: [] }, 'x64').flags, 0)
  assert.equal(compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', flags: ['SECCOMP_FILTER_FLAG_LOG'] }, 'x64').flags, 2)
  const seccomp = resolveSeccomp(defaultSeccompProfile, target)
  assert.deepEqual(compileSeccomp(seccomp, 'x64').program, compileSeccomp(structuredClone(seccomp), 'x64').program)
})

test('what cannot be compiled', () => {
  const rule = (more: object): OciSeccomp => ({
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['read'], action: 'SCMP_ACT_ERRNO', ...more }],
  })
  const argument = { index: 0, value: 1, op: 'SCMP_CMP_EQ' }
  const bad: [OciSeccomp, RegExp][] = [
    [{ defaultAction: 'ALLOW' }, /linux\.seccomp\.defaultAction: unknown seccomp action "ALLOW"/],
    [{ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: -1 }, /seccomp\.defaultErrnoRet: -1 is not/],
    [rule({ action: 'SCMP_ACT_MAYBE' }), /seccomp\.syscalls\[0\]\.action: unknown seccomp action/],
    [rule({ action: 'toString' }), /seccomp\.syscalls\[0\]\.action: unknown seccomp action/],
    [rule({ errnoRet: 70000 }), /syscalls\[0\]\.errnoRet: 70000/],
    [rule({ args: [argument, { ...argument, index: 6 }] }), /syscalls\[0\]\.args\[1\]\.index: argument index 6/],
    [rule({ args: [{ ...argument, op: 'SCMP_CMP_LIKE' }] }), /args\[0\]\.op: unknown seccomp operator/],
    [rule({ args: [{ ...argument, value: 0.5 }] }), /args\[0\]\.value: 0\.5 is not a whole number/],
    [rule({ args: [{ ...argument, value: -1 }] }), /args\[0\]\.value: -1 is not a number from 0/],
    [rule({ args: [{ ...argument, valueTwo: 1n << 64n }] }), /args\[0\]\.valueTwo: 18446744073709551616 is not/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', flags: ['FAST'] }, /seccomp\.flags\[0\]: unknown seccomp flag "FAST"/],
    [
      { defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_MIPS', 'SCMP_ARCH_Z80'] },
      /seccomp\.architectures\[1\]: unknown seccomp architecture "SCMP_ARCH_Z80"/,
    ],
    [{ defaultAction: 'SCMP_ACT_NOTIFY' }, /seccomp\.defaultAction: SCMP_ACT_NOTIFY cannot/],
    [rule({ action: 'SCMP_ACT_NOTIFY', names: ['write'] }), /syscalls\[0\]\.action: SCMP_ACT_NOTIFY cannot/],
  ]
  for (const [seccomp, pattern] of bad)
    assert.throws(
      () => compileSeccomp(seccomp, 'x64'),
      (error) => isKind(error, 'invalid') && pattern.test(error.message),
      String(pattern),
    )
  const huge: OciSeccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: Object.keys(abis.SCMP_ARCH_X86_64?.numbers ?? {}).map((name, value) => ({
      names: [name],
      action: 'SCMP_ACT_ERRNO',
      args: [0, 1, 2].map((index) => ({ ...argument, index, value })),
    })),
  }
  assert.throws(() => compileSeccomp(huge, 'x64'), /instructions; the kernel takes 4096/)
  assert.throws(
    () => compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW' }, 'mips'),
    (error) => isKind(error, 'unavailable'),
  )
})
