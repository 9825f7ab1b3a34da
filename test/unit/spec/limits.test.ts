import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineError, isKind } from '../../../engine/base/errors.ts'
import { build } from '../../../engine/spec/build.ts'
import { defaults } from '../../../engine/spec/defaults.ts'
import {
  checkLimits,
  type Limits,
  type Machine,
  parseList,
  resourcesOf,
  withLimits,
} from '../../../engine/spec/limits.ts'

const machine: Machine = {
  processors: 2,
  cpus: '0-1\n',
  mems: '0\n',
  blockDevice: (path) => {
    if (path !== '/dev/sda') throw new EngineError('invalid', `no block device at ${path}`)
    return { major: 8, minor: 0 }
  },
}
const MB = 1024 * 1024

test('limits that cannot be, in the words of dockerd', () => {
  const cases: [Limits, string][] = [
    [{ Memory: 4 * MB }, 'Minimum memory limit allowed is 6MB'],
    [{ Memory: -1 }, 'Minimum memory limit allowed is 6MB'],
    [
      { Memory: 64 * MB, MemorySwap: 32 * MB },
      'Minimum memoryswap limit should be larger than memory limit, see usage',
    ],
    [{ MemorySwap: 32 * MB }, 'You should always set the Memory limit when using Memoryswap limit, see usage'],
    [{ MemorySwappiness: 101 }, 'Invalid value: 101, valid memory swappiness range is 0-100'],
    [{ MemoryReservation: 1 }, 'Minimum memory reservation allowed is 6MB'],
    [
      { Memory: 8 * MB, MemoryReservation: 9 * MB },
      'Minimum memory limit can not be less than memory reservation limit, see usage',
    ],
    [{ NanoCpus: 1e9, CpuPeriod: 1000 }, 'Conflicting options: Nano CPUs and CPU Period cannot both be set'],
    [{ NanoCpus: 1e9, CpuQuota: 1000 }, 'Conflicting options: Nano CPUs and CPU Quota cannot both be set'],
    [{ NanoCpus: 3e9 }, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
    [{ NanoCpus: -1 }, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
    [{ CpuPeriod: 999 }, 'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)'],
    [{ CpuQuota: 999 }, 'CPU cfs quota can not be less than 1ms (i.e. 1000)'],
    [{ CpusetCpus: '0-x' }, 'Invalid value 0-x for cpuset cpus'],
    [{ CpusetCpus: '0,5' }, 'Requested CPUs are not available - requested 0,5, available: 0-1'],
    [{ CpusetMems: '3' }, 'Requested memory nodes are not available - requested 3, available: 0'],
    [{ BlkioWeight: 9 }, 'Range of blkio weight is from 10 to 1000'],
    [{ Memory: 1.5e7 + 0.5 }, 'Invalid value for Memory: 15000000.5 is not a whole number'],
    [{ BlkioDeviceReadBps: [{ Path: '/dev/none', Rate: 1 }] }, 'no block device at /dev/none'],
  ]
  for (const [limits, message] of cases)
    assert.throws(
      () => resourcesOf(limits, machine),
      (error) => isKind(error, 'invalid') && error.message === message,
      message,
    )
})

test('an update may change swap alone', () => {
  checkLimits({ MemorySwap: 64 * MB }, machine, { update: true })
  assert.deepEqual(resourcesOf({ MemorySwap: -1 }, machine, { update: true }), { memory: { swap: -1 } })
})

test('what is not asked for is not there', () => {
  assert.deepEqual(resourcesOf({}, machine), {})
  assert.deepEqual(resourcesOf({ Memory: 0, CpusetCpus: '', PidsLimit: null, BlkioDeviceReadBps: [] }, machine), {})
  const spec = build(defaults(), withLimits({ PidsLimit: 5 }, machine))
  assert.deepEqual(spec.linux?.resources?.pids, { limit: 5 })
  assert.equal(spec.linux.resources.devices?.length, defaults().linux?.resources?.devices?.length)
})

test('conversion to OCI', () => {
  const limits: Limits = {
    Memory: 64 * MB,
    NanoCpus: 1.5e9,
    CpuShares: 512,
    CpusetCpus: '1',
    PidsLimit: -1,
    BlkioWeight: 300,
    BlkioDeviceWriteIOps: [{ Path: '/dev/sda', Rate: 10 }],
    OomKillDisable: true,
  }
  assert.deepEqual(resourcesOf(limits, machine), {
    memory: { limit: 64 * MB, swap: 128 * MB, disableOOMKiller: true },
    cpu: { shares: 512, quota: 150000, period: 100000, cpus: '1' },
    pids: { limit: -1 },
    blockIO: { weight: 300, throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 10 }] },
  })
  assert.equal(resourcesOf({ NanoCpus: 1 }, machine).cpu?.quota, 1000)
})

test('lists of processors', () => {
  assert.deepEqual([...(parseList('0-2,7') ?? [])], [0, 1, 2, 7])
  assert.equal(parseList('')?.size, 0)
  for (const bad of ['a', '2-1', '1-', ',', '0-99999', '1 2']) assert.equal(parseList(bad), undefined, bad)
})
