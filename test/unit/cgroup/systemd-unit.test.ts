import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { variant } from '../../../engine/cgroup/dbus-message.ts'
import { pathOfAddress } from '../../../engine/cgroup/systemd-bus.ts'
import {
  creationProperties,
  limitProperties,
  parseUnitPath,
  slicePath,
  unitPath,
} from '../../../engine/cgroup/systemd-unit.ts'

const refused = (work: () => unknown, words: RegExp): void =>
  assert.throws(work, (error) => isKind(error, 'invalid') && words.test(error.message))

test('slice, prefix and name make a unit', () => {
  assert.deepEqual(parseUnitPath('machine.slice:libpod:abc', 'system.slice'), {
    slice: 'machine.slice',
    unit: 'libpod-abc.scope',
  })
  assert.deepEqual(parseUnitPath('::abc', 'user.slice'), { slice: 'user.slice', unit: 'abc.scope' })
  assert.deepEqual(parseUnitPath('a.slice:x:b.slice', 'system.slice'), { slice: 'a.slice', unit: 'b.slice' })
})

test('what is no unit is refused by its field', () => {
  refused(() => parseUnitPath('/a/b', 's.slice'), /^linux\.cgroupsPath: "\/a\/b" is not of the form slice:prefix:name/)
  refused(() => parseUnitPath('a.slice:p:', 's.slice'), /has no name/)
  refused(() => parseUnitPath('a:p:n', 's.slice'), /names "a", which is no slice/)
  refused(() => parseUnitPath('a/b.slice:p:n', 's.slice'), /no slice/)
  refused(() => parseUnitPath('a.slice:p:n/../x', 's.slice'), /no name of a unit/)
  refused(() => slicePath('a--b.slice'), /no name of a slice/)
})

test('a slice lies in the slices its name has', () => {
  assert.equal(slicePath('-.slice'), '')
  assert.equal(slicePath('system.slice'), '/system.slice')
  assert.equal(slicePath('a-b-c.slice'), '/a.slice/a-b.slice/a-b-c.slice')
  assert.equal(unitPath('/', { slice: 'a-b.slice', unit: 'x.scope' }), '/a.slice/a-b.slice/x.scope')
  assert.equal(
    unitPath('/user.slice/user-1000.slice/user@1000.service', { slice: 'user.slice', unit: 'x.scope' }),
    '/user.slice/user-1000.slice/user@1000.service/user.slice/x.scope',
  )
})

test('a scope begins with a process and is delegated; a slice is neither', () => {
  const scope = Object.fromEntries(creationProperties({ slice: 'a.slice', unit: 'x.scope' }, 7, 'd'))
  assert.deepEqual(scope.Slice, variant('s', 'a.slice'))
  assert.deepEqual(scope.Delegate, variant('b', true))
  assert.deepEqual(scope.PIDs, variant('au', [7]))
  const slice = Object.fromEntries(creationProperties({ slice: 'a.slice', unit: 'x.slice' }, 7, 'd'))
  assert.deepEqual(slice.Wants, variant('as', ['a.slice']))
  assert.equal(slice.PIDs, undefined)
})

test('limits as properties', () => {
  assert.deepEqual(
    limitProperties({
      memory: { limit: 1000, reservation: 500, swap: 3000 },
      cpu: { shares: 1024, quota: 12_345, period: 100_000, cpus: '0,9', mems: '0' },
      pids: { limit: 10 },
    }),
    [
      ['MemoryMax', variant('t', 1000n)],
      ['MemoryLow', variant('t', 500n)],
      ['MemorySwapMax', variant('t', 2000n)],
      ['CPUWeight', variant('t', 100n)],
      ['CPUQuotaPeriodUSec', variant('t', 100_000n)],
      ['CPUQuotaPerSecUSec', variant('t', 130_000n)],
      ['AllowedCPUs', variant('ay', Buffer.from([1, 2]))],
      ['AllowedMemoryNodes', variant('ay', Buffer.from([1]))],
      ['TasksMax', variant('t', 10n)],
    ],
  )
  const none = 2n ** 64n - 1n
  assert.deepEqual(limitProperties({ memory: { limit: -1 }, cpu: { quota: -1 }, pids: { limit: -1 } }), [
    ['MemoryMax', variant('t', none)],
    ['CPUQuotaPerSecUSec', variant('t', none)],
    ['TasksMax', variant('t', none)],
  ])
  assert.deepEqual(limitProperties({ memory: { limit: 0 }, cpu: { shares: 0 } }), [])
})

test('addresses of buses', () => {
  assert.equal(pathOfAddress('unix:path=/run/user/1000/bus'), '/run/user/1000/bus')
  assert.equal(pathOfAddress('tcp:host=x;unix:guid=1,path=/a%20b,x=y'), '/a b')
  assert.equal(pathOfAddress('unix:abstract=/tmp/x'), undefined)
  assert.equal(pathOfAddress(''), undefined)
})
