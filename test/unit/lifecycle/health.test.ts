import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Health } from '../../../engine/lifecycle/container.ts'
import { goDuration } from '../../../engine/lifecycle/go-duration.ts'
import { afterProbe, type HealthTest, healthTest, nextProbe, startingHealth } from '../../../engine/lifecycle/health.ts'

const second = 1_000_000_000
const startedAt = '2026-01-01T00:00:00.000000000Z'
const at = (seconds: number): string => new Date(Date.parse(startedAt) + seconds * 1000).toISOString()

test('a test of each kind, with defaults for what is not said', () => {
  const image = { Image: 'x' }
  assert.equal(healthTest(image), undefined)
  assert.equal(healthTest({ ...image, Healthcheck: { Test: ['NONE'] } }), undefined)
  assert.deepEqual(healthTest({ ...image, Healthcheck: { Test: ['CMD', 'is-well', '-q'] } }), {
    command: ['is-well', '-q'],
    interval: 30_000,
    timeout: 30_000,
    startPeriod: 0,
    startInterval: 5000,
    retries: 3,
  })
  const shell = healthTest({
    ...image,
    Shell: ['/bin/bash', '-ec'],
    Healthcheck: { Test: ['CMD-SHELL', 'curl -f localhost || exit 1'], Interval: 2 * second, Retries: 1 },
  })
  assert.deepEqual(shell?.command, ['/bin/bash', '-ec', 'curl -f localhost || exit 1'])
  assert.deepEqual([shell?.interval, shell?.retries], [2000, 1])
  assert.throws(() => healthTest({ ...image, Healthcheck: { Test: ['HTTP', '/'] } }), /Unknown healthcheck type 'HTTP'/)
  assert.throws(() => healthTest({ ...image, Healthcheck: { Test: ['CMD'] } }), /needs a command/)
})

const rules: HealthTest = {
  command: ['true'],
  interval: 30_000,
  timeout: 1000,
  startPeriod: 10_000,
  startInterval: 500,
  retries: 2,
}

/** One probe after the other: exit codes at seconds after the start. */
const after = (...probes: [seconds: number, exitCode: number][]): Health =>
  probes.reduce(
    (health, [seconds, exitCode]) =>
      afterProbe(rules, health, { start: at(seconds), end: at(seconds), exitCode, output: '' }, startedAt),
    startingHealth(),
  )

test('failures make it unhealthy when enough of them come in a row, and one success well again', () => {
  assert.equal(after([11, 1]).status, 'starting')
  assert.equal(after([11, 1], [12, 1]).status, 'unhealthy')
  assert.deepEqual(after([1, 0], [2, 1]), { ...after([1, 0], [2, 1]), status: 'healthy', failingStreak: 1 })
  assert.equal(after([1, 0], [2, 1], [3, 1]).status, 'unhealthy')
  assert.deepEqual([after([11, 1], [12, 1], [13, 0])].map(({ status, failingStreak }) => [status, failingStreak])[0], [
    'healthy',
    0,
  ])
})

test('failures in the start period do not count before the first success', () => {
  const early = after([1, 1], [2, 1], [3, 1])
  assert.deepEqual([early.status, early.failingStreak, early.log.length], ['starting', 0, 3])
  assert.equal(after([1, 1], [9, 1], [11, 1]).failingStreak, 1)
})

test('a clock that was set back to before the start does not keep a container starting', () => {
  assert.equal(after([-86_400, 1], [-86_398, 1], [-86_396, 1]).status, 'unhealthy')
  assert.equal(nextProbe(rules, startingHealth(), startedAt, Date.parse(startedAt) - 1000), rules.interval)
})

test('the log is the last five', () => {
  const { log } = after([11, 0], [12, 1], [13, 0], [14, 0], [15, 0], [16, 0])
  assert.deepEqual(
    log.map(({ exitCode }) => exitCode),
    [1, 0, 0, 0, 0],
  )
})

test('probes are closer while it starts', () => {
  const now = Date.parse(startedAt)
  assert.equal(nextProbe(rules, startingHealth(), startedAt, now + 9000), 500)
  assert.equal(nextProbe(rules, startingHealth(), startedAt, now + 10_000), 30_000)
  assert.equal(nextProbe(rules, after([1, 0]), startedAt, now + 2000), 30_000)
})

test('durations as Go writes them', () => {
  const words: [number, string][] = [
    [0, '0s'],
    [500, '500ms'],
    [1500, '1.5s'],
    [30_000, '30s'],
    [60_000, '1m0s'],
    [3_723_000, '1h2m3s'],
  ]
  for (const [milliseconds, expected] of words) assert.equal(goDuration(milliseconds), expected)
})
