import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineError, messageOf } from '../../../engine/base/errors.ts'

test('the text of what was thrown, whatever it is', () => {
  assert.equal(messageOf(new EngineError('invalid', 'no such thing')), 'no such thing')
  assert.equal(messageOf('thrown bare'), 'thrown bare')
})

test('a failure whose undoing failed, too, tells both', () => {
  const work = (): void => {
    using cleanup = new DisposableStack()
    cleanup.defer(() => {
      throw new Error('umount: EBUSY')
    })
    throw new EngineError('unavailable', 'the tree is full')
  }
  let thrown: unknown
  try {
    work()
  } catch (error) {
    thrown = error
  }
  assert.equal(messageOf(thrown), 'the tree is full; and undoing it: umount: EBUSY')
})
