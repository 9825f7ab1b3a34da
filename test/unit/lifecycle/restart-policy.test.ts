import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextDelay, wantsRestart, wantsStartAtBoot } from '../../../engine/lifecycle/restart-policy.ts'

const ended = { exitCode: 1, manuallyStopped: false, restartCount: 0 }

test('no policy, and "no", never restart', () => {
  assert.equal(wantsRestart(undefined, ended), false)
  assert.equal(wantsRestart({ Name: '' }, ended), false)
  assert.equal(wantsRestart({ Name: 'no' }, ended), false)
})

test('always and unless-stopped restart whatever the exit code, but not after a stop', () => {
  for (const Name of ['always', 'unless-stopped'] as const) {
    assert.equal(wantsRestart({ Name }, { ...ended, exitCode: 0 }), true)
    assert.equal(wantsRestart({ Name }, { ...ended, manuallyStopped: true }), false)
  }
})

test('on-failure counts, and is content with 0', () => {
  const policy = { Name: 'on-failure', MaximumRetryCount: 2 } as const
  assert.equal(wantsRestart(policy, ended), true)
  assert.equal(wantsRestart(policy, { ...ended, restartCount: 1 }), true)
  assert.equal(wantsRestart(policy, { ...ended, restartCount: 2 }), false)
  assert.equal(wantsRestart(policy, { ...ended, exitCode: 0 }), false)
  assert.equal(wantsRestart({ Name: 'on-failure' }, { ...ended, restartCount: 99 }), true)
})

test('the wait doubles from 100 ms to a minute, and starts over after a steady run', () => {
  const waits: number[] = []
  for (let last: number | undefined, count = 0; count < 12; count += 1) {
    last = nextDelay(last, 50)
    waits.push(last)
  }
  assert.deepEqual(waits.slice(0, 4), [100, 200, 400, 800])
  assert.equal(waits.at(-1), 60_000)
  assert.equal(nextDelay(60_000, 10_000), 100)
})

test('at boot: always even after a stop, unless-stopped not', () => {
  const stopped = { ...ended, manuallyStopped: true }
  assert.equal(wantsStartAtBoot({ Name: 'always' }, stopped), true)
  assert.equal(wantsStartAtBoot({ Name: 'unless-stopped' }, stopped), false)
  assert.equal(wantsStartAtBoot({ Name: 'unless-stopped' }, ended), true)
  assert.equal(wantsStartAtBoot({ Name: 'on-failure' }, { ...ended, exitCode: 0 }), false)
})
