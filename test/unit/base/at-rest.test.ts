import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { whenAtRest } from '../../../engine/base/at-rest.ts'

/** More than counts as rest, in whichever period it falls. */
function work(): void {
  const before = process.cpuUsage()
  while (process.cpuUsage(before).user < 60_000);
}

test('acts once after each stretch of work, however long the rest', async () => {
  let acted = 0
  // The act itself takes longer than rest allows.
  using _watch = whenAtRest(100, () => {
    acted += 1
    work()
  })
  const until = async (count: number): Promise<void> => {
    while (acted < count) await sleep(20)
  }
  await until(1)
  await sleep(500)
  assert.equal(acted, 1)
  await sleep(10)
  work()
  await until(2)
  await sleep(500)
  assert.equal(acted, 2)
})

test('does not act any more when it was disposed of', async () => {
  let acted = 0
  whenAtRest(20, () => {
    acted += 1
  })[Symbol.dispose]()
  await sleep(100)
  assert.equal(acted, 0)
})
