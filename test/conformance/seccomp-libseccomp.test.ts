/**
 * Compiled filters beside those of libseccomp, the reference that runc and crun use: the same profile, the same verdict.
 * Left out is what differs on purpose: a foreign architecture or an unwanted x32 call kills the process here, the thread
 * there; several rules for one call that overlap in part, where libseccomp follows the order of its tree and we the
 * profile's (two upper bounds for one argument it mixes up altogether); arguments of x32, of which the library sees half.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { abis } from '../../engine/kernel/seccomp-abis.ts'
import { compileSeccomp } from '../../engine/kernel/seccomp-program.ts'
import { comparisons, returnValue } from '../../engine/kernel/seccomp-rules.ts'
import type { OciSeccomp, OciSeccompArgument } from '../../engine/spec/oci.ts'
import { defaultSeccompProfile } from '../../engine/spec/seccomp-default.table.ts'
import { resolveSeccomp } from '../../engine/spec/seccomp-profile.ts'
import { type Call, calls, interesting, randoms, run } from '../unit/kernel/bpf-interpreter.ts'

/** [architecture, name, number]: reads profiles from its input, writes their programs in hexadecimal, one a line. */
const script = `
import ctypes, json, os, sys
lib = ctypes.CDLL('libseccomp.so.2')
lib.seccomp_init.restype = ctypes.c_void_p
class Arg(ctypes.Structure):
    _fields_ = [('arg', ctypes.c_uint), ('op', ctypes.c_int), ('a', ctypes.c_uint64), ('b', ctypes.c_uint64)]
for line in sys.stdin:
    profile = json.loads(line)
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(profile['otherwise'])))
    for arch in profile['arches']:
        lib.seccomp_arch_add(context, ctypes.c_uint32(arch))
    for name, action, args in profile['rules']:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number == -1: continue
        array = (Arg * max(1, len(args)))(*[Arg(i, op, int(a), int(b)) for i, op, a, b in args])
        lib.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(args), array)
    end, start = os.memfd_create('bpf'), None
    lib.seccomp_export_bpf(context, end)
    os.lseek(end, 0, 0)
    print(os.read(end, 1 << 20).hex())
    lib.seccomp_release(context)
`

const operator = (name: string): number =>
  [
    '',
    'SCMP_CMP_NE',
    'SCMP_CMP_LT',
    'SCMP_CMP_LE',
    'SCMP_CMP_EQ',
    'SCMP_CMP_GE',
    'SCMP_CMP_GT',
    'SCMP_CMP_MASKED_EQ',
  ].indexOf(name)

/** As runc hands a profile over: entries that say the default left out, conditions on one argument as alternatives. */
function handedOver(seccomp: OciSeccomp): string {
  const otherwise = returnValue(seccomp.defaultAction, seccomp.defaultErrnoRet)
  const native = abis.SCMP_ARCH_X86_64?.audit
  const rules = (seccomp.syscalls ?? []).flatMap(({ names, action, errnoRet, args = [] }) => {
    const result = returnValue(action, errnoRet)
    const words = args.map(({ index, op, value, valueTwo = 0 }) => [index, operator(op), `${value}`, `${valueTwo}`])
    const twice = new Set(args.map(({ index }) => index)).size < args.length
    const sets = twice ? words.map((one) => [one]) : [words]
    return result === otherwise ? [] : names.flatMap((name) => sets.map((set) => [name, result, set]))
  })
  const marked: Readonly<Record<string, number>> = { SCMP_ARCH_X86: 0x40000003, SCMP_ARCH_X32: 0x4000003e }
  const arches = (seccomp.architectures ?? []).map((name) => marked[name]).filter((one) => one !== undefined)
  assert.ok(native !== undefined)
  return JSON.stringify({ otherwise, arches, rules })
}

function reference(profiles: OciSeccomp[]): Buffer[] {
  const input = profiles.map((profile) => `${handedOver(profile)}\n`).join('')
  const { stdout, stderr, status } = spawnSync('python3', ['-c', script], { input, maxBuffer: 1 << 28 })
  assert.equal(status, 0, stderr?.toString())
  return stdout
    .toString()
    .trim()
    .split('\n')
    .map((line) => Buffer.from(line, 'hex'))
}

const there =
  spawnSync('python3', ['-c', "import ctypes; ctypes.CDLL('libseccomp.so.2')"]).status === 0 && process.arch === 'x64'
const skip = !there && 'needs python3 and libseccomp.so.2 on x86_64'

const isForeign = ({ nr, audit }: Call, seccomp: OciSeccomp): boolean => {
  const names = ['SCMP_ARCH_X86_64', ...(seccomp.architectures ?? [])]
  const marker = audit === 0xc000003e && nr >= 0x40000000 && nr !== 0xffffffff ? 0x40000000 : 0
  return !names.some((name) => abis[name]?.audit === audit && abis[name].marker === marker)
}

/** Newer than the profile or than the library: runc puts its own answer before the library's program. */
const isNewer = ({ nr, audit }: Call, newest: number): boolean =>
  nr !== 0xffffffff && (audit === 0xc000003e ? nr & ~0x40000000 : nr) > newest

function agree(seccomp: OciSeccomp, theirs: Buffer, tried: Call[], newest: number): { ours: number; theirs: number } {
  const { program } = compileSeccomp(seccomp, 'x64')
  const steps = { ours: 0, theirs: 0 }
  for (const call of tried) {
    if (isForeign(call, seccomp) || isNewer(call, newest)) continue
    const [mine, other] = [run(program, call), run(theirs, call)]
    assert.equal(mine.value, other.value, `${call.nr} of ${call.audit.toString(16)}, ${call.args.join(' ')}`)
    steps.ours += mine.steps
    steps.theirs += other.steps
  }
  return steps
}

test('the default profile', { skip }, (context) => {
  const target = { capabilities: ['CAP_CHOWN', 'CAP_SYS_CHROOT'], arch: 'x64', kernel: '6.1.0' }
  const whole = resolveSeccomp(defaultSeccompProfile, target)
  // The library on this machine may not know the newest names that the profile allows.
  const old = (name: string): boolean =>
    Object.values(abis).every(({ numbers }) => numbers[name] === undefined || numbers[name] < 440) &&
    !/^u(ret)?probe$/.test(name)
  const seccomp = {
    ...whole,
    syscalls: (whole.syscalls ?? []).map((rule) => ({ ...rule, names: rule.names.filter(old) })),
  }
  const [theirs] = reference([seccomp])
  assert.ok(theirs !== undefined)
  const steps = agree(seccomp, theirs, calls(randoms(11), 40000), 439)
  const { program } = compileSeccomp(seccomp, 'x64')
  context.diagnostic(`instructions: ${program.length / 8} here, ${theirs.length / 8} in libseccomp`)
  context.diagnostic(`instructions run: libseccomp ${(steps.theirs / steps.ours).toFixed(1)} times as many`)
})

test('random profiles, a rule for a call', { skip }, () => {
  // Older libraries lack the newest names; calls that i386 makes through socketcall(2) and ipc(2) are the unit test's.
  const names = Object.entries(abis.SCMP_ARCH_X86_64?.numbers ?? {})
    .filter(([name, number]) => number < 440 && !/^u(ret)?probe$/.test(name))
    .map(([name]) => name)
    .filter(
      (name) =>
        !/^(socket|bind|connect|listen|accept|get(sock|peer)|send|recv|shutdown|setsockopt|sem|msg|shm)/.test(name),
    )
  const actions = ['ALLOW', 'ERRNO', 'TRAP', 'LOG', 'KILL', 'KILL_PROCESS', 'TRACE']
  const profiles = Array.from({ length: 40 }, (_, seed): OciSeccomp => {
    const random = randoms((seed + 1) * 104729)
    const action = (): string => `SCMP_ACT_${actions[random(actions.length)]}`
    const argument = (_: unknown, at: number): OciSeccompArgument => {
      const op = comparisons[random(7)] as string
      const value = interesting[random(interesting.length)] as bigint
      return {
        index: at * 2 + random(2),
        value,
        valueTwo: op === 'SCMP_CMP_MASKED_EQ' ? value & BigInt(random(64)) : 0,
        op,
      }
    }
    const chosen = new Set(Array.from({ length: 40 }, () => names[random(names.length)] as string))
    return {
      defaultAction: action(),
      architectures: ['SCMP_ARCH_X86'].slice(0, random(2)),
      syscalls: [...chosen].map((name) => ({
        names: [name],
        action: action(),
        args: Array.from({ length: random(4) }, argument),
      })),
    }
  })
  const programs = reference(profiles)
  for (const [at, seccomp] of profiles.entries()) {
    const random = randoms(at + 1)
    const named = (seccomp.syscalls ?? []).map(
      ({ names: [name] }) => abis.SCMP_ARCH_X86_64?.numbers[name as string] ?? 0,
    )
    const tried = calls(random, 1000).map((call) =>
      random(2) === 0 && call.audit === 0xc000003e ? { ...call, nr: named[random(named.length)] as number } : call,
    )
    const most = Math.min(...['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'].map((name) => newestOf(seccomp, name)))
    agree(seccomp, programs[at] as Buffer, tried, most)
  }
})

const newestOf = (seccomp: OciSeccomp, name: string): number =>
  Math.max(...(seccomp.syscalls ?? []).map(({ names: [one] }) => abis[name]?.numbers[one as string] ?? 0))
