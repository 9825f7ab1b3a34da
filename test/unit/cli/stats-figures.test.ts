import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Stats } from '../../../engine/api/contract/docker.ts'
import { figuresOf } from '../../../engine/cli/stats-figures.ts'

const cpu = (own: number, all: number) => ({
  cpu_usage: { total_usage: own, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  system_cpu_usage: all,
  online_cpus: 4,
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
})
const block = (op: string, value: number) => ({ major: 8, minor: 0, op, value })

const sample: Stats = {
  ...{ name: '/one', id: 'a'.repeat(64), read: '', preread: '', num_procs: 0, storage_stats: {} },
  pids_stats: { current: 3 },
  blkio_stats: {
    io_service_bytes_recursive: [block('Read', 10), block('read', 5), block('write', 7), block('Sync', 9)],
  },
  cpu_stats: cpu(300, 2000),
  precpu_stats: cpu(100, 1000),
  memory_stats: { usage: 1000, limit: 4000, stats: { inactive_file: 200 } },
  networks: { eth0: { rx_bytes: 1, tx_bytes: 2 }, eth1: { rx_bytes: 10, tx_bytes: 20 } },
}

test('the figures of a sample', () => {
  assert.deepEqual(figuresOf(sample), {
    ...{ cpu: 80, memory: 800, limit: 4000, memoryShare: 20 },
    ...{ received: 11, sent: 22, read: 15, written: 7, pids: 3 },
  })
})

test('of version 1 the whole tree counts; of a container that does not run there is nothing', () => {
  const memory_stats = { usage: 1000, limit: 4000, stats: { inactive_file: 1, total_inactive_file: 300 } }
  assert.equal(figuresOf({ ...sample, memory_stats }).memory, 700)
  const nothing = cpu(0, 0)
  const idle = { cpu_stats: nothing, precpu_stats: nothing, memory_stats: {}, pids_stats: {}, blkio_stats: {} }
  const { networks: _, ...rest } = sample
  assert.deepEqual(new Set(Object.values(figuresOf({ ...rest, ...idle }))), new Set([0]))
})
