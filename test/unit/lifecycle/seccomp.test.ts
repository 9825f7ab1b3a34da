import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { checkSeccomp, seccompFor } from '../../../engine/lifecycle/seccomp.ts'

const machine = { arch: 'x64', kernel: '6.1.0-44-amd64' }
const invalid = (pattern: RegExp) => (error: unknown) => isKind(error, 'invalid') && pattern.test(error.message)

test('what a container gets', () => {
  const names = (request: Parameters<typeof seccompFor>[0]) =>
    seccompFor(request, machine)?.syscalls?.flatMap((one) => (one.args === undefined ? one.names : [])) ?? []
  assert.ok(names({}).includes('read') && !names({}).includes('mount'))
  assert.ok(names({ CapAdd: ['SYS_ADMIN'] }).includes('mount'))
  assert.ok(names({}).includes('chroot') && !names({ CapDrop: ['ALL'] }).includes('chroot'))
  assert.equal(seccompFor({ SecurityOpt: ['seccomp=unconfined'] }, machine), undefined)
  assert.equal(seccompFor({ SecurityOpt: ['seccomp:unconfined'] }, machine), undefined)
  assert.equal(seccompFor({ Privileged: true }, machine), undefined)
  assert.equal(seccompFor({ Privileged: true, SecurityOpt: ['seccomp=builtin'] }, machine)?.defaultErrnoRet, 1)
  assert.equal(
    seccompFor({ SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_LOG"}'] }, machine)?.defaultAction,
    'SCMP_ACT_LOG',
  )
  assert.throws(() => seccompFor({ SecurityOpt: ['seccomp=/some/file'] }, machine), invalid(/Decoding/))
  assert.throws(
    () => seccompFor({}, { ...machine, arch: 'mips' }),
    (error) => isKind(error, 'unavailable'),
  )
})

test('a profile that can be no filter is refused by its field', () => {
  const profile = (more: object) => ({
    SecurityOpt: [`seccomp=${JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', ...more })}`],
  })
  checkSeccomp({})
  checkSeccomp(profile({}))
  const bad: [object, RegExp][] = [
    [{ defaultAction: 'SCMP_ACT_NO' }, /seccomp\.defaultAction: unknown seccomp action "SCMP_ACT_NO"/],
    [{ syscalls: [{ names: ['read'], action: 'x' }] }, /syscalls\[0\]\.action/],
    [{ architectures: ['SCMP_ARCH_6502'] }, /architectures\[0\]: unknown/],
    [{ flags: ['SECCOMP_FILTER_FLAG_NEW_LISTENER'] }, /flags\[0\]: unknown/],
  ]
  for (const [more, pattern] of bad) assert.throws(() => checkSeccomp(profile(more)), invalid(pattern))
})
