import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerState } from '../../../engine/lifecycle/container.ts'
import { humanDuration, statusText } from '../../../engine/lifecycle/status-text.ts'

test('durations in the words of docker ps', () => {
  const words: [number, string][] = [
    [0.4, 'Less than a second'],
    [1, '1 second'],
    [59, '59 seconds'],
    [60, 'About a minute'],
    [119, 'About a minute'],
    [120, '2 minutes'],
    [3599, '59 minutes'],
    [3600, 'About an hour'],
    [2 * 3600, '2 hours'],
    [47 * 3600, '47 hours'],
    [48 * 3600, '2 days'],
    [13 * 86400, '13 days'],
    [14 * 86400, '2 weeks'],
    [60 * 86400, '2 months'],
    [730 * 86400, '2 years'],
  ]
  for (const [seconds, expected] of words) assert.equal(humanDuration(seconds), expected, String(seconds))
})

test('each state', () => {
  const now = Date.parse('2026-01-01T00:02:00Z')
  const run = {
    pid: 0,
    exitCode: 3,
    error: '',
    oomKilled: false,
    startedAt: '2026-01-01T00:00:00Z',
    finishedAt: '2026-01-01T00:01:55Z',
    restartCount: 0,
    manuallyStopped: false,
  }
  const texts: [ContainerState, string][] = [
    ['created', 'Created'],
    ['running', 'Up 2 minutes'],
    ['paused', 'Up 2 minutes (Paused)'],
    ['restarting', 'Restarting (3) 5 seconds ago'],
    ['exited', 'Exited (3) 5 seconds ago'],
    ['removing', 'Removal In Progress'],
    ['dead', 'Dead'],
  ]
  for (const [state, expected] of texts) assert.equal(statusText({ run: { ...run, state } }, now), expected)
})
