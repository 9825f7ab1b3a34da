import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { formatConfig, parseConfig } from '../../../engine/spec/config-json.ts'
import { parseSeccompProfile } from '../../../engine/spec/seccomp-parse.ts'
import { resolveSeccomp, type SeccompProfile } from '../../../engine/spec/seccomp-profile.ts'

const machine = { arch: 'x64', kernel: '6.1.0-44-amd64' }
const target = { ...machine, capabilities: ['CAP_CHOWN'] }
const invalid = (pattern: RegExp) => (error: unknown) => isKind(error, 'invalid') && pattern.test(error.message)

const namesOf = (profile: SeccompProfile, more = {}) =>
  resolveSeccomp(profile, { ...target, ...more }).syscalls?.flatMap(({ names }) => names)
const rule = (name: string, more: object) => ({ names: [name], action: 'SCMP_ACT_ALLOW', ...more })

test('conditions: capability, processor, kernel', () => {
  const profile: SeccompProfile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    syscalls: [
      rule('a', {}),
      rule('has', { includes: { caps: ['CAP_CHOWN'] } }),
      rule('has-not', { includes: { caps: ['CAP_CHOWN', 'CAP_BPF'] } }),
      rule('not', { excludes: { caps: ['CAP_BPF', 'CAP_CHOWN'] } }),
      rule('but', { excludes: { caps: ['CAP_BPF'] } }),
      rule('amd', { includes: { arches: ['amd64', 'x32'] } }),
      rule('arm', { includes: { arches: ['arm64'] } }),
      rule('not-amd', { excludes: { arches: ['amd64'] } }),
      rule('new', { includes: { minKernel: '6.2' } }),
      rule('old', { includes: { minKernel: '4.8' } }),
      rule('older-only', { excludes: { minKernel: '6.1' } }),
      rule('empty', { includes: { caps: null, arches: [] }, excludes: {} }),
    ],
  }
  assert.deepEqual(namesOf(profile), ['a', 'has', 'but', 'amd', 'old', 'empty'])
  assert.deepEqual(namesOf(profile, { arch: 'arm64', capabilities: ['CAP_BPF'], kernel: '6.18.0' }), [
    'a',
    'arm',
    'not-amd',
    'new',
    'old',
    'empty',
  ])
})

test('architectures by map or by list, not both', () => {
  const archMap = [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }]
  const base = { defaultAction: 'SCMP_ACT_ALLOW' }
  assert.deepEqual(resolveSeccomp({ ...base, archMap }, target).architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'])
  assert.equal(resolveSeccomp({ ...base, archMap }, { ...target, arch: 'arm64' }).architectures, undefined)
  assert.throws(() => resolveSeccomp({ ...base, archMap, architectures: ['x'] }, target), invalid(/use either/))
})

test('older and Podman forms: name, errno', () => {
  const syscalls = [{ name: 'a', action: 'SCMP_ACT_ERRNO', errno: 'ENOSYS' }]
  const resolved = resolveSeccomp({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrno: 'EPERM', syscalls }, target)
  assert.deepEqual(resolved.syscalls, [{ names: ['a'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 }])
  assert.equal(resolved.defaultErrnoRet, 1)
  const both = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ name: 'a', names: ['b'], action: 'SCMP_ACT_ALLOW' }] }
  assert.throws(() => resolveSeccomp(both, target), invalid(/either 'name' or 'names'/))
  const unknown = { defaultAction: 'SCMP_ACT_ERRNO', defaultErrno: 'EWHAT' }
  assert.throws(() => resolveSeccomp(unknown, target), invalid(/EWHAT/))
})

test('a profile as text', () => {
  assert.equal(
    parseSeccompProfile('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":null}').defaultAction,
    'SCMP_ACT_ALLOW',
  )
  for (const bad of ['', '{', '[]', '{}', '{"defaultAction":1}', '{"defaultAction":"x","syscalls":[{"names":"a"}]}'])
    assert.throws(() => parseSeccompProfile(bad), invalid(/^Decoding seccomp profile failed/), bad)
})

test('64-bit values arrive exactly, and are written as they were', () => {
  const exact = 'fefefefefefefefe'
  const text = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG","args":[
    {"index":1,"value":18446744073709551615,"valueTwo":${BigInt(`0x${exact}`)},"op":"SCMP_CMP_MASKED_EQ"}]}]}`
  const seccomp = resolveSeccomp(parseSeccompProfile(text), target)
  const [arg] = seccomp.syscalls?.[0]?.args ?? []
  assert.deepEqual(arg, { index: 1, value: 2n ** 64n - 1n, valueTwo: BigInt(`0x${exact}`), op: 'SCMP_CMP_MASKED_EQ' })
  const written = formatConfig({ linux: { seccomp } })
  assert.match(written, /"value":18446744073709551615,"valueTwo":18374403900871474942/)
  assert.deepEqual(parseConfig(written), { linux: { seccomp } })
})
