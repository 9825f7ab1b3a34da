import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LimitsSample } from '../../../engine/api/contract/drydock.ts'
import { namespaceRows, spanRows } from '../../../extension/details/describe.ts'
import { limitsRequest, limitTexts } from '../../../extension/details/limits-request.ts'
import { PointMaker } from '../../../extension/details/points.ts'
import { parseFromPage } from '../../../webview/messages.ts'

const none = { memory: '', cpus: '', pids: '' }

test('limits are written as a person would', () => {
  assert.deepEqual(limitTexts({ Memory: 536_870_912, NanoCpus: 1_500_000_000, PidsLimit: 10 }), {
    memory: '512m',
    cpus: '1.5',
    pids: '10',
  })
  assert.deepEqual(limitTexts({ CpuQuota: 50_000, CpuPeriod: 100_000, PidsLimit: -1 }), { ...none, cpus: '0.5' })
  assert.deepEqual(limitTexts({ Memory: 1_000_000_000 }), { ...none, memory: '1000000000' })
})

test('only what was changed is sent', () => {
  const after = { memory: '1g', cpus: ' 0.5 ', pids: '' }
  assert.deepEqual(limitsRequest({ Memory: 1024 ** 3 }, after, 2), { body: { NanoCpus: 500_000_000 } })
  const memory = { body: { Memory: 536_870_912, MemorySwap: 1_073_741_824 } }
  assert.deepEqual(limitsRequest({}, { ...none, memory: '512m' }, 2), memory)
  assert.deepEqual(limitsRequest({}, none, 2), { body: {} })
})

test('an emptied field takes the limit away, a quota stays a quota', () => {
  const before = { Memory: 1024 ** 3, PidsLimit: 10 }
  const gone = { Memory: -1, MemorySwap: -1, PidsLimit: -1 }
  assert.deepEqual(limitsRequest({ ...before, NanoCpus: 1e9 }, none, 2), { body: { ...gone, NanoCpus: 2e9 } })
  assert.deepEqual(limitsRequest({ ...before, CpuQuota: 50_000 }, none, 2), { body: { ...gone, CpuQuota: -1 } })
  assert.deepEqual(limitsRequest({ CpuQuota: 100, CpuPeriod: 50_000 }, { ...none, cpus: '0.5' }, 2), {
    body: { CpuQuota: 25_000 },
  })
})

test('a wrong limit is refused with its field and a sentence, and nothing is sent', () => {
  const refused = (field: keyof typeof none, text: string): void => {
    const request = limitsRequest({}, { ...none, [field]: text }, 2)
    assert.ok('sentence' in request && request.field === field && request.sentence.endsWith('.'), `${field} ${text}`)
  }
  for (const text of ['5m', 'much', '-1', '1 g b']) refused('memory', text)
  for (const text of ['0', '-1', 'x', '0.001', '3']) refused('cpus', text)
  for (const text of ['0', '1.5', '-1', 'x']) refused('pids', text)
})

const sample = (second: number, fields: { cpu: number; read: number; throttled: number }): LimitsSample => ({
  Read: new Date(second * 1000).toISOString(),
  Memory: { Usage: 100, Limit: 1000, Peak: 200, Swap: null, SwapLimit: null, OomKills: 1, Failures: 2, Stat: {} },
  Cpu: {
    Usage: fields.cpu,
    User: 0,
    System: 0,
    Quota: 50_000,
    Period: 100_000,
    Shares: null,
    Periods: second * 10,
    ThrottledPeriods: fields.throttled,
    ThrottledTime: 0,
    Online: 2,
  },
  Pids: { Current: 3, Limit: null },
  Io: [{ Major: 8, Minor: 0, ReadBytes: fields.read, WriteBytes: 0, Reads: 0, Writes: 0 }],
  Pressure: { Cpu: { Some: { Avg10: 1.5, Avg60: 0, Avg300: 0, Total: 0 }, Full: null }, Memory: null, Io: null },
})

test('counters become rates; the first sample has none', () => {
  const maker = new PointMaker()
  const first = maker.push(sample(1, { cpu: 5e9, read: 1000, throttled: 2 }))
  assert.deepEqual([first.cpu, first.read, first.throttled], [0, 0, 0])
  const second = maker.push(sample(3, { cpu: 6e9, read: 5000, throttled: 7 }))
  assert.deepEqual([second.cpu, second.read, second.throttled, second.cpuLimit], [0.5, 2000, 0.25, 0.5])
  assert.deepEqual(second.pressure, { cpu: 1.5, memory: null, io: null })
})

test('a counter that starts again makes no negative rate', () => {
  const maker = new PointMaker()
  maker.push(sample(1, { cpu: 5e9, read: 1000, throttled: 0 }))
  assert.equal(maker.push(sample(2, { cpu: 1e9, read: 0, throttled: 0 })).cpu, 0)
})

test('a namespace tells with whom it is shared, not counting the container itself', () => {
  const member = (
    Pid: number,
    ContainerId: string | null,
  ): { Pid: number; Command: string; ContainerId: string | null; ContainerName: string | null } => ({
    Pid,
    Command: 'x',
    ContainerId,
    ContainerName: ContainerId && `name-${ContainerId}`,
  })
  const rows = namespaceRows(
    {
      Namespaces: [
        { Type: 'net', Id: 5, Host: false, Members: [member(1, 'a'), member(2, 'b'), member(3, 'b'), member(4, null)] },
      ],
    },
    'a',
  )
  assert.deepEqual(
    rows.map(({ kind, meaning, shared, memberCount }) => [kind, meaning, shared, memberCount]),
    [['net', 'network', ['name-b'], 4]],
  )
})

test('a trace is a tree by time, counted from its first span', () => {
  const span = (
    Layer: string,
    Start: number,
    End: number,
  ): { Layer: string; Name: string; Start: number; End: number } => ({ Layer, Name: Layer, Start, End })
  const { rows, total } = spanRows([
    span('kernel', 102, 103),
    span('api', 100, 110),
    span('runtime', 101, 105),
    span('shim', 106, 109),
  ])
  assert.deepEqual(
    rows.map(({ layer, depth, start, duration }) => [layer, depth, start, duration]),
    [
      ['api', 0, 0, 10],
      ['runtime', 1, 1, 4],
      ['kernel', 2, 2, 1],
      ['shim', 1, 6, 3],
    ],
  )
  assert.equal(total, 10)
  assert.deepEqual(spanRows([]), { rows: [], total: 0 })
})

test('only messages of the page are taken from the page', () => {
  assert.deepEqual(parseFromPage({ type: 'ready', tab: 'trace', more: 1 }), { type: 'ready', tab: 'trace' })
  assert.deepEqual(parseFromPage({ type: 'action', action: 'stop' }), { type: 'action', action: 'stop' })
  assert.deepEqual(parseFromPage({ type: 'set-limits', limits: none }), { type: 'set-limits', limits: none })
  for (const bad of [
    null,
    'x',
    {},
    { type: 'tab', tab: 'x' },
    { type: 'action', action: 'format-disk' },
    { type: 'set-limits', limits: { memory: 1, cpus: '', pids: '' } },
    { type: 'set-limits', limits: { ...none, memory: 'x'.repeat(300) } },
  ])
    assert.equal(parseFromPage(bad), null)
})
