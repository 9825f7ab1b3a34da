import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { SharedWork, Slots } from '../../../engine/images/shared-work.ts'

test('the same key is worked on once, and everyone sees the progress', async () => {
  const shared = new SharedWork<number>()
  const gate = Promise.withResolvers<void>()
  let times = 0
  const work = async (_: AbortSignal, report: (n: number) => void): Promise<void> => {
    times += 1
    report(1)
    await gate.promise
    report(2)
  }
  const seen: [number[], number[]] = [[], []]
  const first = shared.run('k', work, (n) => seen[0].push(n), undefined)
  await setImmediate()
  const second = shared.run('k', work, (n) => seen[1].push(n), undefined)
  await setImmediate()
  gate.resolve()
  await Promise.all([first, second])
  assert.equal(times, 1)
  assert.deepEqual(seen, [
    [1, 2],
    [1, 2],
  ])
  await shared.run('k', work, () => {}, undefined)
  assert.equal(times, 2, 'when it is over, the next one begins anew')
})

test('the last one to leave ends the work, and the next one waits for its end', async () => {
  const shared = new SharedWork<number>()
  const log: string[] = []
  const gate = Promise.withResolvers<void>()
  const work = async (signal: AbortSignal): Promise<void> => {
    log.push('begin')
    if (log.length > 1) return
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    await gate.promise
    log.push('end')
    throw signal.reason
  }
  const [a, b] = [new AbortController(), new AbortController()]
  const first = shared.run('k', work, () => {}, a.signal)
  const second = shared.run('k', work, () => {}, b.signal)
  a.abort(new Error('a left'))
  await assert.rejects(first, /a left/)
  assert.deepEqual(log, ['begin'])
  b.abort(new Error('b left'))
  await setImmediate()
  const third = shared.run('k', work, () => {}, undefined)
  await setImmediate()
  assert.deepEqual(log, ['begin'])
  gate.resolve()
  await assert.rejects(second, /b left/)
  await third
  assert.deepEqual(log, ['begin', 'end', 'begin'])
})

test('a failure reaches everyone', async () => {
  const shared = new SharedWork<number>()
  const work = (): Promise<void> => Promise.reject(new Error('no'))
  const both = [shared.run('k', work, () => {}, undefined), shared.run('k', work, () => {}, undefined)]
  for (const one of await Promise.allSettled(both)) assert.equal(one.status, 'rejected')
})

test('so many slots, the rest in line, and who gives up leaves the line', async () => {
  const slots = new Slots(1)
  const first = await slots.take(undefined)
  const abort = new AbortController()
  let waited = 0
  const second = slots.take(abort.signal, () => waited++)
  const third = slots.take(undefined, () => waited++)
  abort.abort(new Error('gave up'))
  await assert.rejects(second, /gave up/)
  first[Symbol.dispose]()
  const held = await third
  assert.equal(waited, 2)
  held[Symbol.dispose]()
  using _ = await slots.take(undefined, () => assert.fail('a slot is free'))
})
