import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyedLock } from '../../../engine/lifecycle/keyed-lock.ts'

test('one after the other for a key, whoever fails, and side by side for two', async () => {
  const lock = new KeyedLock()
  const order: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = lock.run('a', async () => {
    await gate.promise
    order.push('first')
    throw new Error('failed')
  })
  const second = lock.run('a', () => order.push('second'))
  await lock.run('b', () => order.push('other'))
  gate.resolve()
  await assert.rejects(first, /failed/)
  await second
  assert.deepEqual(order, ['other', 'first', 'second'])
  assert.equal(lock.held('a'), false)
})
