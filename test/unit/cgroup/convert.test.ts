import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import {
  askedFor,
  blockWeight,
  orMax,
  orMinusOne,
  rdmaLine,
  sharesToWeight,
  swapOnly,
  weightToShares,
} from '../../../engine/cgroup/convert.ts'
import { delegatedBase, parseHierarchies } from '../../../engine/cgroup/detect.ts'
import { ancestry, cgroupPath, parentGroup } from '../../../engine/cgroup/path.ts'
import { parsePressure } from '../../../engine/cgroup/pressure.ts'
import { deviceWritesV1 } from '../../../engine/cgroup/v1-devices.ts'
import { parseIoStat } from '../../../engine/cgroup/v2-use.ts'
import { defaultDeviceRules } from '../../../engine/spec/defaults.table.ts'
import type { OciDeviceRule } from '../../../engine/spec/oci.ts'

test('shares and weight: the fixed points, rising, there and back', () => {
  assert.deepEqual([0, 2, 1024, 262144, 999999].map(sharesToWeight), [1, 1, 100, 10000, 10000])
  let before = 0
  for (let shares = 2; shares <= 262144; shares += 97) {
    const weight = sharesToWeight(shares)
    assert.ok(weight >= before && weight >= 1 && weight <= 10000)
    before = weight
  }
  for (const shares of [2, 128, 512, 1024, 2048, 262144]) assert.equal(weightToShares(sharesToWeight(shares)), shares)
  for (const weight of [1, 2, 50, 100, 101, 9999, 10000]) assert.equal(sharesToWeight(weightToShares(weight)), weight)
})

test('block weight and swap', () => {
  assert.deepEqual([10, 500, 1000].map(blockWeight), [1, 4950, 10000])
  assert.equal(swapOnly(-1, 100), 'max')
  assert.equal(swapOnly(100, 100), 0)
  assert.equal(swapOnly(300, 100), 200)
  assert.equal(swapOnly(300, undefined), undefined)
  assert.equal(swapOnly(undefined, 100), undefined)
})

test('paths stay inside', () => {
  assert.equal(cgroupPath('/a//b/'), '/a/b')
  assert.equal(cgroupPath('abc'), '/drydock/abc')
  for (const bad of ['/', '/a/../..', '../x', '/a\0', '/a\n'])
    assert.throws(
      () => cgroupPath(bad),
      (error) => isKind(error, 'invalid'),
      JSON.stringify(bad),
    )
  assert.deepEqual(ancestry('/a/b/c'), ['/a', '/a/b', '/a/b/c'])
})

const line = (point: string, type: string, options: string): string =>
  `30 24 0:26 / ${point} rw,nosuid shared:9 - ${type} ${type} rw,${options}`

test('hierarchies: v1, together, hybrid, v2, odd mount points', () => {
  const hybrid = parseHierarchies(
    [
      '24 1 0:22 / / rw - ext4 /dev/vda rw',
      line('/sys/fs/cgroup/cpu,cpuacct', 'cgroup', 'cpu,cpuacct'),
      line('/sys/fs/cgroup/memory', 'cgroup', 'memory'),
      line('/mnt/second', 'cgroup', 'memory'),
      line('/sys/fs/cgroup/systemd', 'cgroup', 'xattr,name=systemd'),
      line('/sys/fs/cgroup/with\\040space', 'cgroup2', 'nsdelegate'),
    ].join('\n'),
  )
  assert.deepEqual(hybrid, {
    v1: {
      cpu: '/sys/fs/cgroup/cpu,cpuacct',
      cpuacct: '/sys/fs/cgroup/cpu,cpuacct',
      memory: '/sys/fs/cgroup/memory',
      systemd: '/sys/fs/cgroup/systemd',
    },
    unified: '/sys/fs/cgroup/with space',
  })
  assert.deepEqual(parseHierarchies(line('/sys/fs/cgroup', 'cgroup2', 'nsdelegate')), {
    v1: {},
    unified: '/sys/fs/cgroup',
  })
  assert.deepEqual(parseHierarchies(''), { v1: {} })
})

test('the base of paths on v2: our own service, or the root', () => {
  assert.equal(delegatedBase('0::/system.slice/drydock.service\n'), '', 'systemd before 254')
  assert.equal(delegatedBase('0::/system.slice/drydock.service/daemon\n'), '/system.slice/drydock.service')
  assert.equal(delegatedBase('0::/user.slice/user-0.slice/session-1.scope\n'), '')
  assert.equal(delegatedBase('1:cpu:/x\n0::/\n'), '')
  assert.equal(delegatedBase('1:cpu:/drydock.service\n'), '')
})

test('pressure and io', () => {
  const text = 'some avg10=1.50 avg60=0.00 avg300=0.25 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n'
  assert.deepEqual(parsePressure(text).some, { avg10: 1.5, avg60: 0, avg300: 0.25, total: 1234 })
  assert.equal(parsePressure(text).full?.total, 5)
  assert.deepEqual(parsePressure(''), {})
  assert.deepEqual(parseIoStat('8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n259:1\n'), [
    { major: 8, minor: 0, readBytes: 1, writeBytes: 2, reads: 3, writes: 4 },
  ])
})

test('device rules for v1: one default and exceptions', () => {
  const deny: OciDeviceRule = { allow: false, access: 'rwm' }
  const tty: OciDeviceRule = { allow: true, type: 'c', major: 5, minor: 0, access: 'rwm' }
  assert.deepEqual(deviceWritesV1([]), [['devices.deny', 'a']])
  assert.deepEqual(deviceWritesV1([tty]), [
    ['devices.deny', 'a'],
    ['devices.allow', 'c 5:0 rwm'],
  ])
  assert.deepEqual(deviceWritesV1([deny, tty, { ...tty, allow: false }]), [['devices.deny', 'a']])
  assert.deepEqual(deviceWritesV1([tty, { allow: true }]), [['devices.allow', 'a']])
  assert.deepEqual(deviceWritesV1([{ allow: true }, { ...tty, allow: false }]), [
    ['devices.allow', 'a'],
    ['devices.deny', 'c 5:0 rwm'],
  ])
  assert.equal(deviceWritesV1(defaultDeviceRules)[0]?.join(' '), 'devices.deny a')
})

test('what v1 cannot say is refused, not left open', () => {
  const wide: OciDeviceRule = { allow: true, type: 'c', major: 10, access: 'rwm' }
  for (const rules of [
    [wide, { allow: false, type: 'c', major: 10, minor: 229 }],
    [
      { allow: true, type: 'c', major: 5, minor: 0 },
      { allow: false, type: 'c', major: 5, minor: 0, access: 'r' },
    ],
    [{ allow: true, access: 'r' }],
    [{ allow: true, type: 'a', major: 5 }],
  ] as OciDeviceRule[][])
    assert.throws(
      () => deviceWritesV1(rules),
      (error) => isKind(error, 'invalid'),
      JSON.stringify(rules),
    )
})

test('engines on other roots have groups of their own', () => {
  assert.equal(parentGroup(''), '/drydock')
  assert.match(parentGroup('/var/tmp/a'), /^\/drydock-[0-9a-f]{8}$/)
  assert.notEqual(parentGroup('/var/tmp/a'), parentGroup('/var/tmp/b'))
})

test('no limit, in the words of both versions', () => {
  assert.deepEqual([-1, 5, 2 ** 63, 2 ** 64].map(orMax), ['max', '5', 'max', 'max'])
  assert.deepEqual([-1, 5, 2 ** 63, 2 ** 64].map(orMinusOne), ['-1', '5', '-1', '-1'])
})

test('0 and the empty text ask for nothing, where 0 is no value', () => {
  assert.deepEqual(
    askedFor({
      memory: { limit: 0, swap: 5, swappiness: 0 },
      cpu: { shares: 0, cpus: '', idle: 0, burst: 0, quota: -1 },
      blockIO: { weight: 0 },
      pids: { limit: 0 },
    }),
    { memory: { swap: 5, swappiness: 0 }, cpu: { idle: 0, burst: 0, quota: -1 }, blockIO: {}, pids: { limit: 0 } },
  )
})

test('lines of rdma.max', () => {
  assert.equal(rdmaLine('mlx4_0', { hcaHandles: 3, hcaObjects: 10_000 }), 'mlx4_0 hca_handle=3 hca_object=10000')
  assert.equal(rdmaLine('mlx4_0', { hcaObjects: 1 }), 'mlx4_0 hca_object=1')
})
