/** The compiled program against a plain reading of the profile, run by an interpreter of classic BPF. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { compileSeccomp } from '../../../engine/kernel/seccomp-program.ts'
import { abis, comparisons, returnValue, seccompReturns } from '../../../engine/kernel/seccomp-rules.ts'
import type { OciSeccomp, OciSeccompArgument } from '../../../engine/spec/oci.ts'
import { defaultSeccompProfile } from '../../../engine/spec/seccomp-default.table.ts'
import { resolveSeccomp } from '../../../engine/spec/seccomp-profile.ts'

type Call = { nr: number; audit: number; args: bigint[] }

/** The kernel's cBPF, as far as seccomp allows it; anything else is a failure, as it is there. */
function run(program: Buffer, { nr, audit, args }: Call): { value: number; steps: number } {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(nr >>> 0, 0)
  data.writeUInt32LE(audit >>> 0, 4)
  for (const [index, arg] of args.entries()) data.writeBigUInt64LE(arg, 16 + index * 8)
  let accumulator = 0
  for (let pc = 0, steps = 1; ; pc += 1, steps += 1) {
    assert.ok(pc * 8 < program.length, 'ran off the end')
    const [code, jt, jf] = [program.readUInt16LE(pc * 8), program[pc * 8 + 2] ?? 0, program[pc * 8 + 3] ?? 0]
    const k = program.readUInt32LE(pc * 8 + 4)
    if (code === 0x06) return { value: k, steps }
    else if (code === 0x20) {
      assert.ok(k % 4 === 0 && k < 64)
      accumulator = data.readUInt32LE(k)
    } else if (code === 0x54) accumulator = (accumulator & k) >>> 0
    else if (code === 0x05) pc += k
    else if (code === 0x15) pc += accumulator === k ? jt : jf
    else if (code === 0x25) pc += accumulator > k ? jt : jf
    else if (code === 0x35) pc += accumulator >= k ? jt : jf
    else assert.fail(`instruction ${code}`)
  }
}

const all64 = (1n << 64n) - 1n
const u64 = (value: number): bigint => (BigInt(value) > all64 ? all64 : BigInt(value))

function holds({ index, value, valueTwo = 0, op }: OciSeccompArgument, args: bigint[]): boolean {
  const given = args[index] as bigint
  const wanted = u64(value)
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
      return (given & wanted) === u64(valueTwo)
  }
}

/** The profile, read word by word. */
function expected(seccomp: OciSeccomp, { nr, audit, args }: Call): number {
  const listed = ['SCMP_ARCH_X86_64', ...(seccomp.architectures ?? [])]
  const [, abi] =
    Object.entries(abis).find(
      ([name, one]) =>
        listed.includes(name) &&
        one.audit === audit &&
        (audit !== 0xc000003e || nr >= 0x40000000 === (one.marker !== 0)),
    ) ?? []
  const otherwise = returnValue(seccomp.defaultAction, seccomp.defaultErrnoRet)
  if (nr === 0xffffffff && listed.some((name) => abis[name]?.audit === audit)) return otherwise
  if (abi === undefined) return seccompReturns.KILL_PROCESS
  const numberOf = (name: string): number | undefined => {
    const number = abi.numbers[name]
    return number === undefined ? undefined : number + abi.marker
  }
  const entries = (seccomp.syscalls ?? []).filter(({ names }) => names.some((name) => numberOf(name) === nr))
  for (const { args: conditions = [], action, errnoRet } of entries) {
    if (conditions.length === 0) continue
    const twice = new Set(conditions.map(({ index }) => index)).size < conditions.length
    const match = twice ? conditions.some((one) => holds(one, args)) : conditions.every((one) => holds(one, args))
    if (match) return returnValue(action, errnoRet)
  }
  const always = entries.find((entry) => (entry.args ?? []).length === 0)
  if (always !== undefined) return returnValue(always.action, always.errnoRet)
  const named = (seccomp.syscalls ?? [])
    .flatMap(({ names }) => names.map(numberOf))
    .filter((number) => number !== undefined)
  if (seccomp.defaultAction === 'SCMP_ACT_ERRNO' && named.length > 0 && nr > Math.max(...named)) return 0x50000 | 38
  return otherwise
}

/** xorshift32: the same calls at each run, so that a failure can be found again. */
function randoms(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const interesting = [0n, 1n, 7n, 8n, 40n, 0x20000n, 0x7e020000n, 0xffffffffn, 0x100000000n, 0x100000028n, all64]

function calls(random: (below: number) => number, count: number): Call[] {
  const audits = [0xc000003e, 0x40000003, 0xc00000b7, 0x12345678]
  return Array.from({ length: count }, () => ({
    nr: random(20) === 0 ? 0xffffffff : random(520) + (random(4) === 0 ? 0x40000000 : 0),
    audit: audits[Math.min(random(8) >> 1, random(4))] as number,
    args: Array.from({ length: 6 }, () =>
      random(2) === 0
        ? (interesting[random(interesting.length)] as bigint)
        : (BigInt(random(2 ** 32)) << 32n) | BigInt(random(2 ** 32)),
    ),
  }))
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
  const values = [0, 1, 40, 0xffffffff, 0x100000000, 0x100000028, Number.MAX_SAFE_INTEGER, 2 ** 64]
  const random = randoms(7)
  for (const op of comparisons)
    for (const value of values) {
      const one: OciSeccompArgument = { index: random(6), value, valueTwo: value, op }
      const two: OciSeccompArgument = {
        index: random(6),
        value: values[random(8)] as number,
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
      const edges = [value - 1, value, value + 1].filter((edge) => edge >= 0).map(u64)
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
      value: Number(interesting[random(10)]),
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
    [{ defaultAction: 'ALLOW' }, /unknown seccomp action "ALLOW"/],
    [rule({ action: 'SCMP_ACT_MAYBE' }), /unknown seccomp action/],
    [rule({ errnoRet: 70000 }), /errnoRet 70000/],
    [rule({ args: [{ ...argument, index: 6 }] }), /argument index 6/],
    [rule({ args: [{ ...argument, op: 'SCMP_CMP_LIKE' }] }), /unknown seccomp operator/],
    [rule({ args: [{ ...argument, value: 0.5 }] }), /not a whole number/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', flags: ['FAST'] }, /unknown seccomp flag "FAST"/],
    [{ defaultAction: 'SCMP_ACT_NOTIFY' }, /SCMP_ACT_NOTIFY cannot/],
    [rule({ action: 'SCMP_ACT_NOTIFY', names: ['write'] }), /SCMP_ACT_NOTIFY cannot/],
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
